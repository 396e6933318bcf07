from collections import Counter

from serve_app.bench.plan import QUICK, Load, Plan, Side


def test_the_sides_take_turns_and_who_goes_first_alternates() -> None:
    turns = [(number, side) for number, load, side in Plan(rounds=3).turns() if load.streams == 64]
    bare, ours = Side.BARE, Side.OURS
    assert turns == [
        *((0, side) for side in (bare, ours)),
        *((1, side) for side in (ours, bare)),
        *((2, side) for side in (bare, ours)),
        *((3, side) for side in (ours, bare)),
    ]


def test_every_load_is_put_on_both_sides_equally_often() -> None:
    turns = Counter((load, side) for _number, load, side in QUICK.turns())
    assert set(turns.values()) == {QUICK.rounds + 1}
    assert turns.total() == len(QUICK)


def test_a_plan_has_its_streams_and_one_load_of_single_tokens() -> None:
    loads = Plan(tokens=9, streams=(1, 64), unary_streams=4, unary_requests=40).loads()
    assert loads == [Load(1, 4, 9), Load(64, 1, 9), Load(4, 10, 1, streamed=False)]
    assert [load.requests for load in loads] == [4, 64, 40]
    assert [load.name for load in loads] == ["1 stream", "64 streams", "one token"]
