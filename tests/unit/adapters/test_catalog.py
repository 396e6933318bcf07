from hypothesis import given
from hypothesis import strategies as st

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.version import Version


def version(adapter: str, number: int) -> Version:
    return Version(adapter, number, f"{number:x}".rjust(4, "a") + "b" * 60, 8, 1)


def entry(name: str, *numbers: int, current: int = 1, **aliases: int) -> Entry:
    versions = {number: version(name, number) for number in numbers or (1,)}
    return Entry(name, versions, current, aliases)


CATALOG = Catalog.of({"a": entry("a", 1, 2, current=2, stable=1), "b": entry("b")})


def found(name: str) -> Version | None:
    match = CATALOG.find(name)
    return match[1] if match else None


def test_a_bare_name_means_the_version_in_force() -> None:
    assert found("a") == version("a", 2)


def test_an_alias_means_its_version() -> None:
    assert found("stable") == version("a", 1)


def test_a_version_may_be_named_by_its_number() -> None:
    assert found("a@v1") == version("a", 1)


def test_a_version_may_be_named_by_its_digest_or_the_beginning_of_it() -> None:
    digest = version("a", 1).digest
    assert found(f"a@{digest}") == found(f"a@{digest[:12]}") == version("a", 1)


def test_nothing_is_found_under() -> None:
    wrong = ["c", "", "a@", "a@v3", "a@v0", "a@v01", "a@1", "a@aaab", "@v1", "stable@v1", "b@v2"]
    assert [name for name in wrong if found(name)] == []


def test_wanted_are_the_version_in_force_and_those_behind_an_alias() -> None:
    wanted = entry("a", 1, 2, 3, current=3, stable=1).wanted
    assert wanted == {version("a", 1).name, version("a", 3).name}


def test_an_alias_goes_with_its_adapter_and_may_move_to_another() -> None:
    without = CATALOG.changed({"a": None})
    assert without.find("stable") is None
    moved = CATALOG.changed({"a": entry("a"), "b": entry("b", stable=1)})
    match = moved.find("stable")
    assert match is not None
    assert match[0].name == "b"


def test_a_changed_catalog_leaves_the_old_one_as_it_was() -> None:
    CATALOG.changed({"a": None, "c": entry("c")})
    assert set(CATALOG.entries) == {"a", "b"}
    assert CATALOG.find("stable")


NAMES = st.sampled_from("abcd")
CHANGES = st.lists(
    st.dictionaries(
        NAMES,
        st.none() | st.sampled_from([{}, {"stable": 1}, {"old": 1}, {"old": 1, "stable": 1}]),
        max_size=3,
    )
)


@given(CHANGES)
def test_changes_one_by_one_make_what_the_whole_makes(
    changes: list[dict[str, dict[str, int] | None]],
) -> None:
    """An alias belongs to one adapter at a time, as control sees to."""
    catalog, whole = Catalog(), dict[str, Entry]()
    for change in changes:
        taken = {a for name, e in whole.items() if name not in change for a in e.aliases}
        entries: dict[str, Entry | None] = {}
        for name, aliases in change.items():
            free = {a: n for a, n in (aliases or {}).items() if a not in taken}
            taken |= free.keys()
            entries[name] = None if aliases is None else entry(name, **free)
        catalog = catalog.changed(entries)
        whole = {n: e for n, e in (whole | entries).items() if e is not None}
    assert catalog == Catalog.of(whole)
