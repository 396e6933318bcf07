import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app import pepper
from serve_app.configuration import load, parse
from serve_app.directory import Directory
from serve_app.errors import ConfigError
from serve_app.settings import AppSettings, EngineSettings, GatewaySettings

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
KEY = "sk-secret-12345"


def _tenant(**changes: Any) -> dict[str, Any]:
    return {"id": "acme", "keys": [KEY]} | changes


def _directory(*tenants: dict[str, Any], adapters: tuple[str, ...] = ()) -> dict[str, Any]:
    declared = [{"name": name, "path": f"adapters/{name}"} for name in adapters]
    return {"tenants": list(tenants), "adapters": declared}


def _file(folder: Path, application: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"applications": [application]}))
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_that_ships_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"\$\{(\w+)\}", path.read_text()):
        monkeypatch.setenv(name, f"sk-of-{name}")
    settings, directory = load(path)
    assert settings.engine.base_name
    assert directory.tenants


def test_there_are_configurations_that_ship() -> None:
    assert "demo.yaml" in [path.name for path in CONFIGS]


ARGS_REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown key": ({"engin": {}}, ["args.engin: unknown key", "args.engine: Field required"]),
    "an unknown key below": ({"engine": {"model": "m", "x": 1}}, ["args.engine.x: unknown key"]),
    "a missing model": ({"engine": {}}, ["args.engine.model: Field required"]),
    "too many adapters for one batch": (
        {"engine": {"model": "m", "max_loras": 8, "max_cpu_loras": 4}},
        ["args.engine", "max_cpu_loras (4) must be at least max_loras (8)"],
    ),
    "a rank vLLM does not know": (
        {"engine": {"model": "m", "max_lora_rank": 24}},
        ["args.engine.max_lora_rank", "16"],
    ),
    "a memory share above one": (
        {"engine": {"model": "m", "gpu_memory_utilization": 90}},
        ["args.engine.gpu_memory_utilization", "less than or equal to 1"],
    ),
    "no room for a body": (
        {"engine": {"model": "m"}, "gateway": {"max_body_bytes": 0}},
        ["args.gateway.max_body_bytes", "greater than 0"],
    ),
    "a slot less than none": (
        {"engine": {"model": "m", "max_loras": 0}},
        ["args.engine.max_loras"],
    ),
    "a Redis by another scheme": (
        {"engine": {"model": "m"}, "limits": {"redis_url": "http://h:hunter2@h", "site": "eu"}},
        ["args.limits.redis_url", "must begin with redis://, rediss:// or unix://"],
    ),
    "a Redis whose password is not quoted": (
        {
            "engine": {"model": "m"},
            "limits": {"redis_url": "redis://:hunter2/x@h:1", "site": "eu"},
        },
        ["args.limits.redis_url", "in a password, / is %2F"],
    ),
    "a Redis of a variable that is not set": (
        {"engine": {"model": "m"}, "limits": {"redis_url": "${NOWHERE_SET}", "site": "eu"}},
        ["args.limits.redis_url", "the environment variable NOWHERE_SET is not set"],
    ),
    "a Redis and no site": (
        {"engine": {"model": "m"}, "limits": {"redis_url": "redis://u:hunter2@h"}},
        ["args.limits", "site: needed beside redis_url"],
    ),
    "a site with a colon": (
        {"engine": {"model": "m"}, "limits": {"redis_url": "redis://h", "site": "eu:1"}},
        ["args.limits.site", "must match"],
    ),
    "a prefix with braces": (
        {"engine": {"model": "m"}, "limits": {"prefix": "{x}"}},
        ["args.limits.prefix"],
    ),
    "an empty pepper": ({"engine": {"model": "m"}, "pepper": ""}, ["args.pepper"]),
    "a list for an engine": ({"engine": ["m"]}, ["args.engine"]),
}


@pytest.mark.parametrize(("args", "said"), ARGS_REFUSED.values(), ids=ARGS_REFUSED)
def test_settings_are_refused_by_their_path_for(args: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(AppSettings, args, "args")
    for words in said:
        assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_redis_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    limits = {"redis_url": "redis://h", "site": "eu"}
    with pytest.raises(ConfigError, match=r"limits\.redis_url.*pip install 'serve-app\[redis\]'"):
        parse(AppSettings, {"engine": {"model": "m"}, "limits": limits}, "args")


def test_a_redis_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITS_REDIS", "rediss://:hunter2@redis.example:6380/1")
    limits = {"redis_url": "${LIMITS_REDIS}", "site": "eu"}
    settings = parse(AppSettings, {"engine": {"model": "m"}, "limits": limits}, "args")
    assert settings.limits.redis_url is not None
    assert "redis.example" in settings.limits.redis_url.get_secret_value()
    assert "hunter2" not in repr(settings)


def test_an_unknown_key_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"gateway\.max_token: unknown key.*max_tokens"):
        parse(AppSettings, {"engine": {"model": "m"}, "gateway": {"max_token": 1}}, "args")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(AppSettings, {"engine": {"max_loras": "x", "dtype": "int4"}}, "args")
    for path in ("args.engine.model", "args.engine.max_loras", "args.engine.dtype"):
        assert path in str(refused.value)


DIRECTORY_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no tenants": (_directory(), "tenants"),
    "a key's file that is not there": (
        _directory(_tenant(keys=["file:/nowhere/key"])),
        "tenants.0.keys.0",
    ),
    "an empty key": (_directory(_tenant(keys=[""])), "tenants.0.keys.0"),
    "a blank key": (_directory(_tenant(keys=[" \t"])), "tenants.0.keys.0"),
    "a key no header can carry": (_directory(_tenant(keys=[f" {KEY}"])), "tenants.0.keys.0"),
    "a key that is no text": (_directory(_tenant(keys=[{KEY: 1}])), "tenants.0.keys.0"),
    "keys that are no list": (_directory(_tenant(keys=KEY)), "tenants.0.keys"),
    "keys by name": (_directory(_tenant(keys={KEY: "main"})), "tenants.0.keys"),
    "a tenant that is only a key": ({"tenants": [KEY]}, "tenants.0"),
    "a name with a path in it": (_directory(_tenant(id="../acme")), "tenants.0.id"),
    "a misspelt key": (_directory(_tenant(key=[KEY])), "tenants.0.key: unknown key"),
    "an unknown key of an adapter": (
        {"tenants": [_tenant()], "adapters": [{"name": "a", "path": "p", "rank": 1}]},
        "adapters.0.rank: unknown key",
    ),
    "a tenant named twice": (_directory(_tenant(), _tenant(keys=["b"])), "declared twice: acme"),
    "an adapter named twice": (
        _directory(_tenant(), adapters=("a", "a")),
        "adapters: declared twice: a",
    ),
    "a key held by two": (_directory(_tenant(), _tenant(id="legal")), "hold the same key"),
    "a key held twice by one": (_directory(_tenant(keys=[KEY, KEY])), "hold the same key"),
    "an adapter nobody declared": (
        _directory(_tenant(adapters=["lost"]), adapters=("a", "b")),
        "acme names adapter 'lost', which is not declared; declared are a, b",
    ),
    "a default nobody declared": (
        _directory(_tenant(default_adapter="lost")),
        "'lost', which is not declared; declared are none",
    ),
    "a wildcard as default": (_directory(_tenant(default_adapter="*")), "default_adapter"),
    "a key from an unset variable": (
        _directory(_tenant(keys=["${SERVE_APP_NO_SUCH_KEY}"])),
        "variable SERVE_APP_NO_SUCH_KEY is not set",
    ),
}


@pytest.mark.parametrize(("directory", "said"), DIRECTORY_REFUSED.values(), ids=DIRECTORY_REFUSED)
def test_tenants_are_refused_without_showing_their_keys_for(
    directory: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(Directory, directory, "user_config")
    assert said in str(refused.value)
    assert KEY not in str(refused.value)


def test_a_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-from-environment")
    directory = parse(Directory, _directory(_tenant(keys=["${ACME_KEY}", "$ACME_KEY"])), "c")
    keys = [one.key.get_secret_value() for one in directory.tenants[0].keys]
    assert keys == ["sk-from-environment", "$ACME_KEY"]


def test_neither_keys_nor_pepper_show_in_a_repr() -> None:
    directory = parse(Directory, _directory(_tenant()), "user_config")
    settings = parse(AppSettings, {"engine": {"model": "m"}, "pepper": "hot" * 16}, "args")
    for shown in (repr(directory), str(directory), repr(settings), settings.model_dump_json()):
        assert KEY not in shown
        assert "hothot" not in shown


def test_a_pepper_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pepper.VARIABLE, "a pepper of at least 32 characters")
    settings = parse(AppSettings, {"engine": {"model": "m"}}, "args")
    assert settings.pepper.get_secret_value() == "a pepper of at least 32 characters"


def test_a_pepper_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "p").write_text("kept in a file\n")
    monkeypatch.delenv(pepper.VARIABLE, raising=False)
    monkeypatch.setenv(pepper.FILE_VARIABLE, str(tmp_path / "p"))
    assert pepper.given() == "kept in a file"
    monkeypatch.setenv(pepper.FILE_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="cannot be read"):
        parse(AppSettings, {"engine": {"model": "m"}}, "args")


def test_a_pepper_nobody_gives_is_made_once_and_kept(tmp_path: Path) -> None:
    first = pepper.kept_in(tmp_path / "data")
    assert len(first) >= 32
    assert pepper.kept_in(tmp_path / "data") == first
    assert (tmp_path / "data" / "pepper").stat().st_mode & 0o777 == 0o600
    assert pepper.kept_in(tmp_path / "other") != first


def test_the_base_is_known_by_its_model_unless_it_has_a_name() -> None:
    assert EngineSettings(model="org/model").base_name == "org/model"
    assert EngineSettings(model="org/model", served_model_name="demo").base_name == "demo"


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GatewaySettings().max_tokens = 1


ARGS = "args: {engine: {model: m}}"
FILES_REFUSED: dict[str, str] = {
    "nothing": "",
    "a list": "[]",
    "no applications": "http_options: {}",
    "an application that is a word": "applications: [serve_app]",
    "applications by name": "applications: {name: serve_app}",
    "deployments by name": f"applications: [{{{ARGS}, deployments: {{gateway: 1}}}}]",
    "no control": f"applications: [{{{ARGS}}}]",
    "a tab": "applications:\n\t- x",
    "a key that is never closed": f"applications: [{{keys: ['{KEY}]}}]",
}


@pytest.mark.parametrize("text", FILES_REFUSED.values(), ids=FILES_REFUSED)
def test_a_file_is_refused_by_its_name_for(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(str(path))) as refused:
        load(path)
    assert KEY not in str(refused.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        load(tmp_path / "missing.yaml")


def test_a_problem_in_a_file_is_named_by_its_place_in_it(tmp_path: Path) -> None:
    control = {"name": "control", "user_config": _directory(_tenant(id="A"))}
    application = {
        "args": {"engine": {"model": "m"}},
        "deployments": [{"name": "engine"}, control],
    }
    with pytest.raises(ConfigError, match=r"applications\.0\.deployments\.1\.user_config\.tenants"):
        load(_file(tmp_path, application))
