"""``serve-app simulate``: what it prints and writes, and what it refuses."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli.exits import CONFIG_REFUSED
from serve_app.cli.main import app
from serve_app.simulator import machine_file
from serve_app.simulator.machine import GPU

TINY = ("--rate", "10", "--duration-s", "6", "--adapters", "5", "--jobs", "1")

TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2024-05-10 00:00:{second:02d}.5,100,20\n" for second in range(30)
)


def _simulate(out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *TINY, "--out", str(out), *options])


def test_what_repeats_makes_a_table_of_every_combination(tmp_path: Path) -> None:
    repeated = ("--replicas", "1", "--replicas", "2", "--max-loras", "2", "--max-loras", "4")
    result = _simulate(tmp_path, *repeated, "--policy", "serve_app", "--policy", "Round Robin")
    assert result.exit_code == 0, result.output
    with (tmp_path / "simulate.csv").open() as file:
        rows = list(csv.DictReader(file))
    fleets = {(row["policy"], row["replicas"], row["max_loras"]) for row in rows}
    assert len(rows) == len(fleets) == 8
    assert (tmp_path / "simulate.png").stat().st_size > 10_000
    assert result.stdout.count("round robin") == 4
    assert "5 adapters" in result.stdout
    assert "first token <= 1 s, 50 ms a token" in result.stdout


def test_how_many_gpus_is_answered_in_words(tmp_path: Path) -> None:
    result = _simulate(tmp_path, "--goal", "0.9", "--most", "8")
    assert result.exit_code == 0, result.output
    assert "serve_app, max_loras 8 at max_lora_rank 16: 1 GPU serves" in result.stdout


def test_programs_get_json_and_nothing_else(tmp_path: Path) -> None:
    result = _simulate(tmp_path, "--rank", "16", "--rank", "64", "--output", "json")
    told = json.loads(result.stdout)
    assert [row["max_lora_rank"] for row in told["results"]] == [16, 64]
    assert told["results"][0]["kv_tokens"] > told["results"][1]["kv_tokens"]
    assert 0 <= told["results"][0]["within"] <= 1


def test_a_trace_without_adapters_says_that_they_were_dealt(tmp_path: Path) -> None:
    path = tmp_path / "azure.csv"
    path.write_text(TRACE)
    result = _simulate(tmp_path, "--trace", str(path), "--speed", "2")
    assert result.exit_code == 0, result.output
    assert "30 requests in 14 s at 2 x its speed" in result.stdout
    assert "5 adapters dealt by Zipf 1, for it names none" in " ".join(result.stdout.split())


def test_a_measured_machine_takes_the_place_of_the_estimate(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    machine_file.write(path, GPU, {})
    result = _simulate(tmp_path, "--machine", str(path), "--output", "json")
    (row,) = json.loads(result.stdout)["results"]
    assert (row["max_loras"], row["max_lora_rank"]) == (GPU.max_loras, None)


def test_a_combination_that_cannot_be_is_left_out_and_named(tmp_path: Path) -> None:
    slots = ("--gpu", "l4", "--rank", "128", "--max-loras", "2", "--max-loras", "8")
    result = _simulate(tmp_path, *slots)
    assert result.exit_code == 0, result.output
    assert "left out: max_loras 8 at max_lora_rank 128 does not fit" in result.stderr


REFUSED = {
    "a trace that is not there": (("--trace", "/gone.csv"), "/gone.csv: No such file"),
    "a machine that is not there": (("--machine", "/gone.json"), "/gone.json: No such file"),
    "an unknown policy": (("--policy", "luck"), "there are all, serve_app, round robin"),
    "an unknown workload": (("--workload", "quiet"), "there are steady, bursty"),
    "an unknown GPU": (("--gpu", "abacus"), "there are h100"),
    "a rank below the adapters'": (("--rank", "8"), "do not fit max_lora_rank 8"),
    "no fleet that can be": (("--gpu", "l4", "--max-loras", "64"), "does not fit this GPU"),
    "a count that is asked for": (("--goal", "0.9", "--replicas", "2"), "leave --replicas out"),
    "two machines": (("--machine", "/x", "--gpu", "h100"), "leave --gpu and --rank out"),
    "no requests": (("--rate", "0.001"), "raise --rate"),
    "a share above all": (("--goal", "2"), "Invalid value for '--goal'"),
    "no place to write": (("--out", "/dev/null/here"), "/dev/null/here: Not a directory"),
}


@pytest.mark.parametrize(("options", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_and_the_exit_code_tells(
    options: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    result = _simulate(tmp_path, *options)
    assert result.exit_code == CONFIG_REFUSED
    assert says in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""
