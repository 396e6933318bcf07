"""`serve-app tenant|key|grant|limits|usage`: what they ask of the admin API, and what they show."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from serve_app.cli.exits import STOPPED
from serve_app.errors import envelope
from tests.unit.cli.admin_api import KEY, TENANT, USED, Run, a_page, runner


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


_USAGE_QUERY = (
    "limit=10000&tenant=acme&from=2026-01-01&interval=total&group_by=adapter&group_by=key"
)
ASKED: dict[str, tuple[str, httpx.Response, tuple[str, str, Any]]] = {
    "a tenant": (
        *("tenant show acme", httpx.Response(200, json=TENANT)),
        ("GET", "/tenants/acme", None),
    ),
    "a tenant gone": (
        *("tenant rm acme --yes", httpx.Response(200, json={"object": "tenant.deleted"})),
        ("DELETE", "/tenants/acme", None),
    ),
    "a key": (
        "key create acme --label app --scope usage:read --expires-in 90d --limit tokens_per_day=9",
        httpx.Response(201, json=KEY | {"key": "sk-secret"}),
        (
            "POST",
            "/keys",
            {
                "tenant": "acme",
                "label": "app",
                "limits": {"tokens_per_day": 9},
                "scopes": ["usage:read"],
                "expires_in_s": 90 * 86_400,
            },
        ),
    ),
    "a key in place of another": (
        *("key rotate 0aB1 --overlap 1h", httpx.Response(201, json=KEY | {"key": "sk-secret"})),
        ("POST", "/keys/0aB1/rotate", {"overlap_s": 3600}),
    ),
    "no key any more": (
        *("key rm 0aB1 -y", httpx.Response(200, json=KEY)),
        ("DELETE", "/keys/0aB1", None),
    ),
    "a grant": (
        *("grant add finance acme", httpx.Response(200, json={"object": "grant"})),
        ("PUT", "/grants/finance/acme", None),
    ),
    "no grant any more": (
        *("grant rm finance acme", httpx.Response(200, json={"object": "grant.deleted"})),
        ("DELETE", "/grants/finance/acme", None),
    ),
    "grants": (
        *("grant ls --tenant acme", a_page({"adapter": "finance", "tenant": "acme", "id": "x"})),
        ("GET", "/grants?limit=1000&tenant=acme", None),
    ),
    "usage": (
        *("usage --tenant acme --from 2026-01-01 --by adapter --by key", a_page(USED)),
        ("GET", f"/usage?{_USAGE_QUERY}", None),
    ),
    "limits": (
        *("limits show acme", httpx.Response(200, json={"object": "limits", "limits": {}})),
        ("GET", "/limits/acme", None),
    ),
    "a name that is none": (
        *("tenant show a/../b?c", httpx.Response(200, json=TENANT)),
        ("GET", "/tenants/a%2F..%2Fb%3Fc", None),
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_the_admin_api_is_asked_for(run: Run, case: str) -> None:
    command, answer, asked = ASKED[case]
    result, api = run(command, answer)
    assert result.exit_code == STOPPED, result.output
    assert api.asked == [asked]


def test_a_new_key_is_shown_once_with_a_word_to_keep_it(run: Run) -> None:
    made = httpx.Response(201, json=KEY | {"key": "sk-secret"})
    result, _ = run("key create acme", made)
    assert result.stdout == "sk-secret\n"
    assert "not shown again" in result.stderr
    quiet, _ = run("key create acme -q", made)
    assert (quiet.stdout, quiet.stderr) == ("sk-secret\n", "")
    program, _ = run("key create acme --output json", made)
    assert json.loads(program.stdout)["key"] == "sk-secret"


def test_lists_are_tables_of_every_page(run: Run) -> None:
    result, api = run("key ls", a_page(KEY, more=True), a_page(KEY | {"id": "second"}))
    assert [path for _, path, _ in api.asked] == ["/keys?limit=1000", "/keys?limit=1000&after=0aB1"]
    for shown in ("0aB1", "second", "inference", "active", "2027-01-15 08:00", "no"):
        assert shown in result.stdout
    program, _ = run("key ls --output json", a_page(KEY))
    assert json.loads(program.stdout)["data"] == [KEY]


def test_usage_is_a_table_of_numbers(run: Run) -> None:
    result, _ = run("usage", a_page(USED))
    for shown in ("acme", "1,234", "5,000,000", "0.250", "-"):
        assert shown in result.stdout


def test_usage_is_every_page_and_may_be_csv(run: Run) -> None:
    first = {"object": "list", "data": [USED], "has_more": True, "next_offset": 1}
    pages = (httpx.Response(200, json=first), a_page(USED | {"requests": 5}))
    result, api = run("usage --csv", *pages)
    assert [path.partition("&offset=")[2].partition("&")[0] for _, path, _ in api.asked] == [
        "",
        "1",
    ]
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["tenant"], row["requests"]) for row in rows] == [("acme", "1234"), ("acme", "5")]
    nothing, _ = run("usage --csv", a_page())
    assert (nothing.exit_code, nothing.stdout) == (STOPPED, "")


def test_what_somebody_named_is_mere_text_in_a_table(run: Run) -> None:
    result, _ = run("key ls", a_page(KEY | {"label": "[bold]app[/] \x1b[2J"}))
    assert "[bold]app[/] �[2J" in result.stdout


def test_setting_limits_changes_only_those_that_are_named(run: Run) -> None:
    there = {"object": "limits", "id": "acme", "limits": {"tokens_per_day": 9, "max_n": 2}}
    result, api = run(
        "limits set acme requests_per_minute=60 max_n=none",
        httpx.Response(200, json=there),
        httpx.Response(200, json=there),
    )
    assert result.exit_code == STOPPED, result.output
    limits = {"requests_per_minute": 60, "tokens_per_day": 9, "max_n": None}
    assert api.asked[1] == ("PUT", "/limits/acme", limits)


def test_setting_a_tenant_changes_only_what_is_named(run: Run) -> None:
    result, api = run(
        "tenant set acme --weight 3 --disabled --limit tokens_per_day=5",
        httpx.Response(200, json=TENANT),
        httpx.Response(200, json=TENANT),
    )
    assert result.exit_code == STOPPED, result.output
    (_, _, body) = api.asked[1]
    assert body == {
        "description": "a customer",
        "adapters": ["finance"],
        "default_adapter": "finance",
        "base": False,
        "enabled": False,
        "weight": 3.0,
        "limits": {"requests_per_minute": 60, "tokens_per_day": 5},
    }


def test_setting_a_tenant_that_is_not_there_makes_it(run: Run) -> None:
    missing = httpx.Response(404, json=envelope("none", type_="x", param=None, code="y"))
    result, api = run(
        "tenant set new --base --limit tokens_per_day=5", missing, httpx.Response(201, json=TENANT)
    )
    assert result.exit_code == STOPPED, result.output
    assert api.asked[1] == ("PUT", "/tenants/new", {"base": True, "limits": {"tokens_per_day": 5}})
