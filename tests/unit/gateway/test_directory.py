import json
from pathlib import Path

import pytest

from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE
from serve_app.configuration import parse
from serve_app.errors import ConfigError, InvalidApiKey
from serve_app.gateway.directory import snapshot
from serve_app.settings import Directory, EngineSettings
from serve_app.tenancy.keys import cache_salt

ENGINE = EngineSettings(model="org/model", served_model_name="demo", max_lora_rank=16)
PEPPER = b"pepper"


def an_adapter(folder: Path, name: str, rank: int = 8) -> dict[str, str]:
    """Declares a directory that preflight lets pass if the rank is served."""
    path = folder / name
    path.mkdir()
    config = {"peft_type": "LORA", "r": rank, "name": name}
    tensor = {"dtype": "F32", "shape": [rank, 1], "data_offsets": [0, 4 * rank]}
    header = json.dumps({"q_proj.lora_A.weight": tensor}).encode()
    (path / CONFIG_FILE).write_text(json.dumps(config))
    (path / WEIGHTS_FILE).write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * rank))
    return {"name": name, "path": str(path)}


def _declared(folder: Path, *ranks: int) -> Directory:
    adapters = [an_adapter(folder, f"a{n}", rank) for n, rank in enumerate(ranks)]
    tenants = [
        {"id": "acme", "keys": ["sk-old", "sk-new"], "adapters": ["a0"], "default_adapter": "a1"},
        {"id": "root", "keys": ["sk-root"], "adapters": ["*"], "base": True, "admin": True},
    ]
    return parse(Directory, {"tenants": tenants, "adapters": adapters}, "user_config")


def test_a_declared_directory_becomes_a_snapshot(tmp_path: Path) -> None:
    known = snapshot(_declared(tmp_path, 8, 16), ENGINE, PEPPER)
    assert known.base == "demo"
    assert sorted(known.versions) == ["a0", "a1"]
    assert known.versions["a1"].rank == 16
    assert known.tenants["root"].admin
    assert not known.tenants["acme"].admin


def test_every_key_of_a_tenant_is_its_own(tmp_path: Path) -> None:
    known = snapshot(_declared(tmp_path, 8, 8), ENGINE, PEPPER)
    for key, tenant in (("sk-old", "acme"), ("sk-new", "acme"), ("sk-root", "root")):
        assert known.authenticate(f"Bearer {key}").id == tenant
    with pytest.raises(InvalidApiKey):
        known.authenticate("Bearer sk-other")


def test_a_default_adapter_is_granted_without_saying_so_twice(tmp_path: Path) -> None:
    acme = snapshot(_declared(tmp_path, 8, 8), ENGINE, PEPPER).tenants["acme"]
    assert acme.adapters == {"a0", "a1"}


def test_each_tenant_has_the_cache_salt_of_its_id(tmp_path: Path) -> None:
    tenants = snapshot(_declared(tmp_path, 8, 8), ENGINE, PEPPER).tenants
    assert tenants["acme"].cache_salt == cache_salt("acme", PEPPER)
    assert tenants["acme"].cache_salt != tenants["root"].cache_salt


def test_every_bad_adapter_is_named_at_once_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        snapshot(_declared(tmp_path, 8, 32, 64), ENGINE, PEPPER)
    said = str(refused.value)
    assert "'a0'" not in said
    for name in ("'a1'", "'a2'"):
        assert name in said
    assert said.count("adapter_rank_too_large") == 2
    assert str(tmp_path / "a1") in said
    assert "sk-" not in said


def test_a_snapshot_shows_neither_keys_nor_pepper(tmp_path: Path) -> None:
    shown = repr(snapshot(_declared(tmp_path, 8, 8), ENGINE, b"secret-pepper"))
    assert "sk-" not in shown
    assert "secret-pepper" not in shown


@pytest.mark.parametrize("name", ["base", "demo"])
def test_an_adapter_that_no_client_could_name_is_refused(tmp_path: Path, name: str) -> None:
    """Asked for by its bare name, the base or the default adapter would answer instead."""
    tenant = {"id": "acme", "keys": ["sk-acme"], "adapters": [name]}
    declared = {"tenants": [tenant], "adapters": [an_adapter(tmp_path, name)]}
    with pytest.raises(ConfigError, match=name):
        snapshot(parse(Directory, declared, "user_config"), ENGINE, PEPPER)
