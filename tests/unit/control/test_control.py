"""The registry as it is asked, the same on SQLite and on Postgres."""

from collections.abc import Callable
from typing import Any

import pytest

from serve_app.adapters.commands import ShowAudit, ShowVersions
from tests.unit.control.bench import ACME, ADMIN, OTHER, USER, Bench, code_of, digest_of


async def test_a_registered_adapter_is_live_and_in_the_catalog(bench: Bench) -> None:
    answer = await bench.register("a", "/a", labels={"k": "v"}, grants=frozenset({"user"}))
    assert answer.status == 200
    assert answer.body["state"] == "live"
    assert (answer.body["version"], answer.body["digest"]) == (1, digest_of("/a"))
    assert answer.body["labels"] == {"k": "v"}
    assert answer.revision == bench.control.revision
    assert bench.control.entries["a"].version.digest == digest_of("/a")
    assert bench.outcomes.outcomes == ["live"]


async def test_everything_acknowledged_is_there_after_a_crash(bench: Bench) -> None:
    await bench.register("a", "/a", description="d", labels={"k": "v"}, preload=True, pin=True)
    await bench.register("a", "/b", owner="acme", grants=frozenset({"x", "y"}))
    await bench.alias("a", "old", "v1")
    before, entries = await bench.show("a"), dict(bench.control.entries)
    await bench.restart()
    assert await bench.show("a") == before
    assert bench.control.entries == entries


async def test_other_content_is_the_next_version_and_in_force_at_once(bench: Bench) -> None:
    await bench.register("a", "/a")
    answer = await bench.register("a", "/b")
    assert answer.body["version"] == 2
    assert await bench.states("a") == {2: "live", 1: "staged"}
    assert set(bench.control.entries["a"].versions) == {1, 2}


async def test_the_same_content_keeps_its_number(bench: Bench) -> None:
    await bench.register("a", "/a")
    await bench.register("a", "/b")
    assert (await bench.register("a", "/a")).body["version"] == 1
    assert (await bench.register("a", "/c")).body["version"] == 3
    assert await bench.states("a") == {3: "live", 2: "staged", 1: "staged"}


async def test_what_a_registration_does_not_say_stays(bench: Bench) -> None:
    await bench.register("a", "/a", description="d", pin=True, grants=frozenset({"user"}))
    answer = await bench.register("a", "/b")
    assert answer.body["description"] == "d"
    assert answer.body["pin"]
    assert answer.body["grants"] == ["user"]
    answer = await bench.register("a", "/b", pin=False, grants=frozenset())
    assert not answer.body["pin"]
    assert answer.body["grants"] == []


async def test_rolling_back_puts_the_version_before_in_force_and_back_again(bench: Bench) -> None:
    for source in ("/a", "/b"):
        await bench.register("a", source)
    assert (await bench.rollback("a")).body["version"] == 1
    assert (await bench.rollback("a")).body["version"] == 2
    assert (await bench.rollback("a", digest_of("/a")[:12])).body["version"] == 1


async def test_rolling_back_to_what_is_in_force_writes_nothing(bench: Bench) -> None:
    await bench.register("a")
    revision = bench.control.revision
    assert (await bench.rollback("a", "v1")).revision == revision


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        ("v9", 404, "version_not_found"),
        ("nonsense", 404, "version_not_found"),
        (None, 409, "no_previous_version"),
    ],
)
async def test_there_is_no_going_back_to_what_never_was(
    bench: Bench, version: str | None, status: int, code: str
) -> None:
    await bench.register("a")
    answer = await bench.rollback("a", version)
    assert (answer.status, code_of(answer)) == (status, code)


async def test_an_alias_means_its_version_and_moves(bench: Bench) -> None:
    for source in ("/a", "/b"):
        await bench.register("a", source)
    assert (await bench.alias("a", "stable", "v1")).body["aliases"] == {"stable": 1}
    assert await bench.states("a") == {2: "live", 1: "live"}
    assert (await bench.alias("a", "stable")).body["aliases"] == {"stable": 2}
    assert await bench.states("a") == {2: "live", 1: "staged"}
    assert (await bench.unalias("a", "stable")).body["aliases"] == {}
    assert code_of(await bench.unalias("a", "stable")) == "alias_not_found"


async def test_adapters_and_aliases_share_their_names(bench: Bench) -> None:
    for name in ("a", "b"):
        await bench.register(name, f"/{name}")
    await bench.alias("a", "stable")
    for answer in (
        await bench.alias("a", "b"),
        await bench.alias("b", "stable"),
        await bench.alias("a", "a"),
        await bench.register("stable", "/c"),
    ):
        assert (answer.status, code_of(answer)) == (409, "adapter_name_taken")
        assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("name", ["base", "demo", "A", "../x", "a@v1", "", "a" * 64])
async def test_a_name_no_client_could_ask_for_is_refused(bench: Bench, name: str) -> None:
    for answer in (await bench.register(name), await bench.register("ok")):
        assert answer.status == (400 if answer.body.get("error") else 200)
    answer = await bench.alias("ok", name)
    assert (answer.status, answer.body["error"]["param"]) == (400, "alias")


async def test_a_removed_adapter_answers_no_more_and_is_gone_when_replicas_let_go(
    bench: Bench,
) -> None:
    await bench.register("a")
    version = bench.version("a", 1).name
    bench.report(version)
    answer = await bench.remove("a")
    assert (answer.status, answer.body["state"]) == (200, "retiring")
    assert "a" not in bench.control.entries
    await bench.passes(14)
    bench.report(version)
    await bench.passes(2)
    assert (await bench.show("a")).body["replicas"][0]["state"] == "resident"
    bench.report()
    await bench.passes(1)
    assert (await bench.show("a")).status == 404
    assert await bench.names() == []
    assert await bench.states("a") == {1: "gone"}


async def test_removing_twice_is_no_mistake_until_it_is_gone(bench: Bench) -> None:
    await bench.register("a")
    first = await bench.remove("a")
    assert (await bench.remove("a")).body["state"] == "retiring"
    assert bench.control.revision == first.revision
    await bench.passes(20)
    assert code_of(await bench.remove("a")) == "adapter_not_found"


async def test_numbers_are_not_given_again_after_a_removal(bench: Bench) -> None:
    for source in ("/a", "/b"):
        await bench.register("a", source)
    await bench.remove("a")
    await bench.passes(20)
    assert (await bench.register("a", "/c")).body["version"] == 3
    assert (await bench.register("a", "/a")).body["version"] == 1
    assert await bench.states("a") == {3: "staged", 2: "gone", 1: "live"}


async def test_older_versions_retire_unless_an_alias_needs_them(
    make: Callable[..., Any],
) -> None:
    bench: Bench = await make(keep=2)
    await bench.register("a", "/1")
    await bench.alias("a", "old", "v1")
    for n in range(2, 5):
        await bench.register("a", f"/{n}")
    assert await bench.states("a") == {4: "live", 3: "retiring", 2: "retiring", 1: "live"}
    await bench.unalias("a", "old")
    await bench.register("a", "/5")
    assert await bench.states("a") == {
        5: "live",
        4: "staged",
        3: "retiring",
        2: "retiring",
        1: "retiring",
    }


async def test_every_write_is_in_the_audit_log_and_in_the_revision(bench: Bench) -> None:
    await bench.register("a", "/a", actor=ACME)
    await bench.alias("a", "x")
    await bench.unalias("a", "x")
    await bench.register("b", "/b")
    await bench.remove("a")
    told = ["register", "publish", "put_alias", "remove_alias"]
    assert await bench.actions() == [*told, "register", "publish", "remove"]
    assert await bench.actions(ACME) == [*told, "remove"]
    assert bench.control.revision == 7


async def test_the_audit_log_is_read_page_by_page_newest_first(bench: Bench) -> None:
    for name in ("a", "b"):
        await bench.register(name)
    page = (await bench.ok(ShowAudit(ADMIN, limit=3))).body
    assert page["has_more"]
    assert [deed["subject"] for deed in page["data"]] == ["b", "b", "a"]
    rest = (await bench.ok(ShowAudit(ADMIN, 3, after=page["last_id"]))).body
    assert [deed["action"] for deed in rest["data"]] == ["register"]
    assert not rest["has_more"]
    assert (await bench.control.manage(ShowAudit(USER))).status == 403


async def test_what_a_caller_may_not_see_answers_as_what_does_not_exist(bench: Bench) -> None:
    await bench.register("a", "/a", actor=ACME)
    for ask in (bench.show, bench.remove, bench.rollback):
        hidden, missing = await ask("a", actor=OTHER), await ask("b", actor=OTHER)
        assert hidden.status == 404
        assert str(hidden.body).replace("`a`", "`b`") == str(missing.body)
    assert await bench.names(OTHER) == []
    assert (await bench.control.manage(ShowVersions(OTHER, "a"))).status == 404


async def test_the_next_owner_of_a_name_does_not_see_its_former_life(bench: Bench) -> None:
    await bench.register("a", "/secret", actor=ACME)
    await bench.remove("a", ACME)
    await bench.passes(20)
    await bench.register("a", "/b", actor=OTHER)
    assert await bench.states("a", OTHER) == {2: "live"}
    assert await bench.states("a") == {2: "live", 1: "gone"}


async def test_a_source_is_shown_and_kept_without_its_credentials(bench: Bench) -> None:
    answer = await bench.register("a", "https://user:secret@host/x?sig=secret")
    assert answer.body["path"] == "https://host/x"
    assert bench.stager.staged == [("a", "https://user:secret@host/x?sig=secret")]
    audit = (await bench.ok(ShowAudit(ADMIN))).body
    assert "secret" not in str([answer.body, audit])
    await bench.restart()
    assert "secret" not in str(vars(bench.control.book))
