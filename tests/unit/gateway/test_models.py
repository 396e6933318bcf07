import pytest

from serve_app.tenancy.snapshot import Snapshot
from tests.unit.fake_gateway import ACME_KEY, BARE_KEY, ROOT_KEY, a_site
from tests.unit.fakes import FakeReplicas, a_version

VISIBLE = {
    ACME_KEY: ["demo-llama@finance"],
    ROOT_KEY: ["demo-llama", "demo-llama@finance", "demo-llama@legal"],
    BARE_KEY: [],
}


@pytest.mark.parametrize(("key", "ids"), VISIBLE.items())
async def test_a_tenant_is_shown_its_own_models_alone(key: str, ids: list[str]) -> None:
    async with a_site() as site:
        listed = (await site.get("/v1/models", key)).json()
        assert listed["object"] == "list"
        assert [model["id"] for model in listed["data"]] == ids


async def test_an_adapter_is_shown_with_its_version_and_its_base() -> None:
    async with a_site() as site:
        (card,) = (await site.get("/v1/models")).json()["data"]
        assert card == {
            "id": "demo-llama@finance",
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "serve_app",
            "root": a_version("finance").name,
            "parent": "demo-llama",
        }


async def test_the_base_has_no_parent() -> None:
    async with a_site() as site:
        card = (await site.get("/v1/models", ROOT_KEY)).json()["data"][0]
        assert (card["root"], card["parent"]) == ("demo-llama", None)


@pytest.mark.parametrize("name", ["finance", "base@finance", "demo-llama:finance", "base"])
async def test_a_model_is_found_under_every_spelling(name: str) -> None:
    async with a_site() as site:
        assert (await site.get(f"/v1/models/{name}")).json()["id"] == "demo-llama@finance"


async def test_a_base_with_a_slash_in_its_name_is_found() -> None:
    async with a_site() as site:
        old = site.gateway.known
        site.gateway.registry.snapshot = Snapshot(
            "org/model", old.keyring, old.tenants, old.catalog
        )
        card = (await site.get("/v1/models/org/model@finance")).json()
        assert card["id"] == "org/model@finance"


async def test_models_are_listed_while_no_engine_lives() -> None:
    async with a_site(FakeReplicas()) as site:
        assert (await site.get("/v1/models")).status_code == 200
