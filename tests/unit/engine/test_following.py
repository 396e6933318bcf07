import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.engine.following import Orders, orders
from serve_app.feed import Update
from tests.unit.fakes import a_version

V1, V2, V3 = (a_version("a", number) for number in (1, 2, 3))


def _entry(
    *numbers: int, current: int, preload: bool = False, pin: bool = False, **aliases: int
) -> Entry:
    versions = {number: a_version("a", number) for number in numbers}
    return Entry("a", versions, current, aliases, preload=preload, pin=pin)


def _orders(**parts: object) -> Orders:
    nothing: dict[str, object] = dict.fromkeys(
        ("retire", "remove", "restore", "pin", "unpin", "forget"), frozenset()
    )
    return Orders(**{**nothing, "preload": (), **parts})  # type: ignore[arg-type]


def _names(*versions: object) -> frozenset[str]:
    return frozenset(version.name for version in versions)  # type: ignore[attr-defined]


CASES: dict[str, tuple[Entry | None, Entry | None, Orders]] = {
    "a new adapter may answer": (None, _entry(1, current=1), _orders(restore=_names(V1))),
    "a version another took over from is retired": (
        _entry(1, current=1),
        _entry(1, 2, current=2),
        _orders(retire=_names(V1), restore=_names(V2)),
    ),
    "one that an alias still means is not": (
        _entry(1, current=1, stable=1),
        _entry(1, 2, current=2, stable=1),
        _orders(restore=_names(V2)),
    ),
    "one that no alias means any more is": (
        _entry(1, 2, current=2, stable=1),
        _entry(1, 2, current=2),
        _orders(retire=_names(V1)),
    ),
    "a roll back restores": (
        _entry(1, 2, current=2),
        _entry(1, 2, current=1),
        _orders(retire=_names(V2), restore=_names(V1)),
    ),
    "an adapter that is gone is removed whole": (
        _entry(1, 2, current=2),
        None,
        _orders(remove=_names(V1, V2)),
    ),
    "a version that is kept no longer is removed": (
        _entry(1, 2, current=2),
        _entry(2, 3, current=3),
        _orders(remove=_names(V1), retire=_names(V2), restore=_names(V3)),
    ),
    "a pin follows the version in force": (
        _entry(1, current=1, pin=True),
        _entry(1, 2, current=2, pin=True),
        _orders(retire=_names(V1), restore=_names(V2), pin=_names(V2), unpin=_names(V1)),
    ),
    "a pin that is taken off": (
        _entry(1, current=1, pin=True),
        _entry(1, current=1),
        _orders(unpin=_names(V1)),
    ),
    "what is to be preloaded appears": (
        None,
        _entry(1, current=1, preload=True),
        _orders(restore=_names(V1), preload=(V1,)),
    ),
    "what is preloaded already is not again": (
        _entry(1, current=1, preload=True),
        _entry(1, current=1, preload=True, pin=True),
        _orders(pin=_names(V1)),
    ),
    "what was to be preloaded is gone": (
        _entry(1, current=1, preload=True),
        None,
        _orders(remove=_names(V1), forget=_names(V1)),
    ),
}


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "change"])
@pytest.mark.parametrize(("was", "now", "expected"), CASES.values(), ids=CASES)
def test_orders_when(was: Entry | None, now: Entry | None, expected: Orders, whole: bool) -> None:
    before = Catalog.of({"a": was} if was else {})
    entries: dict[str, Entry | None] = {"a": now} if now or not whole else {}
    after, ordered = orders(before, Update(2, whole, entries=entries), held=())
    assert ordered == expected
    assert dict(after.entries) == ({"a": now} if now else {})


def test_a_stranger_is_retired_when_the_whole_catalog_does_not_know_it() -> None:
    known, stranger = _entry(1, current=1), a_version("b")
    held = [V1.name, stranger.name]
    _, ordered = orders(Catalog(), Update(1, True, entries={"a": known}), held)
    assert ordered.retire == {stranger.name}
    assert not ordered.remove


def test_a_change_says_nothing_about_strangers() -> None:
    _, ordered = orders(Catalog(), Update(2, entries={}), [a_version("b").name])
    assert ordered == _orders()


entries = st.none() | st.builds(
    lambda numbers, pin, preload, alias: _entry(
        *numbers, current=numbers[0], pin=pin, preload=preload, alias=numbers[alias % len(numbers)]
    ),
    st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
)


@given(st.lists(entries, max_size=8), st.data())
def test_however_it_came_about_what_stands_is_what_the_catalog_says(
    story: list[Entry | None], data: st.DataObject
) -> None:
    catalog, gone, pinned, waiting = Catalog(), set[str](), set[str](), dict[str, object]()
    for entry in story:
        whole = data.draw(st.booleans())
        change: dict[str, Entry | None] = {"a": entry} if entry or not whole else {}
        catalog, ordered = orders(catalog, Update(1, whole, entries=change), ())
        gone = (gone - ordered.restore) | ordered.retire | ordered.remove
        pinned = (pinned - ordered.unpin) | ordered.pin
        waiting = {n: v for n, v in waiting.items() if n not in ordered.forget}
        waiting |= {version.name: version for version in ordered.preload}
        wanted = entry.wanted if entry else frozenset()
        assert not gone & wanted
        assert pinned == (wanted if entry and entry.pin else frozenset())
        assert waiting.keys() == (wanted if entry and entry.preload else frozenset())
