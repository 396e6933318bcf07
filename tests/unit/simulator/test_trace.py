import json
from collections import Counter
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.simulator import trace
from serve_app.simulator.trace import Reading
from serve_app.simulator.workload import Traffic

TRAFFIC = Traffic(adapters=10, zipf=1.0, base_share=0.1)
READING = Reading(TRAFFIC)

AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:49.2224670,879,55
"""
BURST = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
110.5,GPT-4,417,505,922,API log
"""

WRONG = {
    "nothing": ("", "begins with ''"),
    "other columns": ("time,tokens\n1,2\n", "TIMESTAMP,ContextTokens,GeneratedTokens"),
    "a header alone": (AZURE.splitlines()[0], "no request that can be served"),
    "a time that is none": (AZURE + "soon,1,2\n", "line 5 is wrong: 'soon,1,2'"),
    "a line cut short": (BURST + "120,ChatGPT,4\n", "line 5 is wrong"),
    "a log of nothing served": ("{}\n", "taken for an access log, has no request"),
    "a log's broken line": ('{"access": {"status": 200}\n', "Invalid JSON"),
}


def _read(tmp_path: Path, text: str, reading: Reading = READING) -> trace.Trace:
    path = tmp_path / "trace"
    path.write_text(text)
    return trace.read(path, reading)


def _line(
    ended_s: float, adapter: str | None, status: int = 200, output: int = 5, prompt: int = 7
) -> str:
    """As a gateway's log has it; the request took half a second."""
    access = {
        "request_id": "id",
        "path": "/v1/completions",
        "status": status,
        "tenant": "acme",
        "adapter": adapter,
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "duration_s": 0.5,
    }
    return json.dumps({"message": "access", "access": access, "timestamp_ns": int(ended_s * 1e9)})


def test_an_azure_trace_starts_at_zero_in_the_order_of_time(tmp_path: Path) -> None:
    read = _read(tmp_path, AZURE)
    assert [one.at_s for one in read.arrivals] == pytest.approx([0.0, 2.541877, 4.314579])
    assert [(one.prompt, one.output) for one in read.arrivals] == [(374, 44), (879, 55), (396, 109)]
    assert (read.kind, read.named, read.skipped) == ("an Azure trace", False, 0)


def test_azure_times_may_name_their_zone(tmp_path: Path) -> None:
    header, first, *_ = AZURE.splitlines()
    read = _read(tmp_path, f"{header}\n{first}\n2023-11-16 19:15:47.680590+01:00,1,2\n")
    assert [one.at_s for one in read.arrivals] == pytest.approx([0.0, 1.0], abs=1e-5)


def test_failures_of_a_burst_gpt_trace_are_skipped(tmp_path: Path) -> None:
    read = _read(tmp_path, BURST)
    assert [(one.at_s, one.prompt, one.output) for one in read.arrivals] == [
        (0.0, 472, 18),
        (105.5, 417, 505),
    ]
    assert (read.kind, read.skipped) == ("a BurstGPT trace", 1)


def test_columns_may_come_in_any_order_and_be_more(tmp_path: Path) -> None:
    text = "Session ID,Response tokens,Request tokens,Timestamp\na,3,2,1\n"
    (one,) = _read(tmp_path, text).arrivals
    assert (one.prompt, one.output) == (2, 3)


def test_our_own_log_gives_adapters_and_when_requests_came(tmp_path: Path) -> None:
    lines = ['{"message": "Started.", "timestamp_ns": 1}', "no JSON at all"]
    lines += [_line(100.0, "a@1"), _line(100.2, None), _line(101.0, "b@1"), _line(103.0, "a@1")]
    lines += [_line(104.0, "a@1", status=500), _line(105.0, "a@1", output=0)]
    read = _read(tmp_path, "\n".join(lines))
    assert [one.at_s for one in read.arrivals] == pytest.approx([0.0, 0.2, 1.0, 3.0])
    assert [one.adapter for one in read.arrivals] == [0, None, 1, 0]
    assert (read.kind, read.named, read.skipped) == ("an access log", True, 2)


def test_requests_that_were_refused_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    refused = _line(100.1, None, status=503, output=0, prompt=0)
    page = _line(100.2, None, output=0, prompt=0)
    read = _read(tmp_path, "\n".join([_line(100.0, "a@1"), refused, page]))
    assert (len(read.arrivals), read.skipped) == (1, 1)


def test_adapters_that_a_trace_lacks_are_dealt_by_a_seed(tmp_path: Path) -> None:
    text = AZURE + "".join(f"2023-11-16 18:16:00.{n:03d},10,10\n" for n in range(999))
    first, again = _read(tmp_path, text), _read(tmp_path, text)
    other = _read(tmp_path, text, Reading(TRAFFIC, seed=1))
    assert first == again != other
    asked = Counter(one.adapter for one in first.arrivals)
    assert set(asked) == {None, *range(10)}
    assert 50 < asked[None] < 150
    assert max(asked.values()) > 3 * min(asked.values()), "some are more popular"


def test_a_trace_can_be_played_faster_and_in_part(tmp_path: Path) -> None:
    read = _read(tmp_path, BURST, Reading(TRAFFIC, speed=10.0))
    assert read.arrivals[-1].at_s == pytest.approx(10.55)
    assert len(_read(tmp_path, AZURE, Reading(TRAFFIC, limit=2)).arrivals) == 2


def test_requests_that_no_kv_cache_holds_are_skipped(tmp_path: Path) -> None:
    read = _read(tmp_path, AZURE, Reading(TRAFFIC, most_tokens=900))
    assert (len(read.arrivals), read.skipped) == (2, 1)


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_trace_is_refused_by_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        _read(tmp_path, text)
    assert str(tmp_path) in str(refused.value)
    assert says in str(refused.value)


def test_bytes_and_folders_are_no_traces(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="is no text"):
        trace.read(path, READING)
    with pytest.raises(ConfigError, match="directory"):
        trace.read(tmp_path, READING)
