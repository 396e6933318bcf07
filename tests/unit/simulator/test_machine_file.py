from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.simulator import machine_file
from serve_app.simulator.machine import GPU, SlotRule

MACHINE = replace(GPU, max_loras=3, step_s=0.0123, slot_rule=SlotRule.PLAIN, adapter_s=0.0)

WRONG = {
    "no JSON": ("{", "Invalid JSON"),
    "no object": ("[]", "should be an object"),
    "nothing": ("{}", "machine: Field required"),
    "an unknown key": ('{"machine": {"max_lora": 3}}', "machine.max_lora"),
    "a step without time": ('{"machine": {"step_s": 0}}', "step_s must be above 0"),
    "a time before now": ('{"machine": {"swap_s": -1}}', "swap_s must be above 0"),
    "more slots than memory": ('{"machine": {"max_loras": 99}}', "at least max_loras"),
    "half a slot": ('{"machine": {"max_loras": 1.5}}', "machine.max_loras"),
    "no number": ('{"machine": {"step_s": "fast"}}', "machine.step_s"),
    "an endless step": ('{"machine": {"step_s": 1e999}}', "finite"),
    "an unknown rule": ('{"machine": {"slot_rule": "luck"}}', "'turns' or 'plain'"),
}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    machine_file.write(path, MACHINE, {"measured": "today", "error": {"p50": 0.1}})
    assert machine_file.read(path) == MACHINE
    assert '"measured": "today"' in path.read_text()


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    path.write_text('{"machine": {"max_loras": 2}}')
    assert machine_file.read(path) == replace(GPU, max_loras=2)


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_a_file_that_is_no_machine_is_refused_by_what_is_wrong(
    text: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "machine.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is no machine") as refused:
        machine_file.read(path)
    assert says in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.json: No such file"):
        machine_file.read(tmp_path / "gone.json")
