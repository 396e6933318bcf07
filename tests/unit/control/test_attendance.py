"""Which sites are there: each look is a second after the one before, unless it says otherwise."""

import pytest

from serve_app.control.attendance import Attendance, Beat
from serve_app.tenancy.allot import NOTHING, Claim
from serve_app.tenancy.division import Told
from serve_app.tenancy.window import WINDOW_S

WANTS = Claim((9, None, None, None), (1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0), pressed=True)


def looked(*beats: Beat | None, others: list[int] | None = None) -> Attendance:
    """After looks that found these beats under this site's own name ``east``, and of ``west`` the
    beats of these numbers."""
    attendance = Attendance("east", "me", 0.0)
    for second, beat in enumerate(beats):
        found = {} if beat is None else {"east": beat}
        if others is not None:
            found["west"] = Beat("other", others[second])
        attendance.look(found, float(second))
    return attendance


THEIRS = [Beat("twin", number) for number in range(9)]
OWN = [Beat("me", number) for number in range(9)]

NAMES: dict[str, tuple[list[Beat | None], bool, bool]] = {
    "a name nobody has": ([None], True, False),
    "one's own name": ([None, OWN[1], OWN[2]], True, False),
    "a name that another may still have": ([THEIRS[3], THEIRS[3]], False, False),
    "a name whose process has ended": ([THEIRS[3], THEIRS[3], THEIRS[3]], True, False),
    "a name that another has": ([THEIRS[3], THEIRS[4], THEIRS[5]], False, True),
    "a name that another takes over": ([None, OWN[1], THEIRS[1], THEIRS[2]], False, True),
    "a name that another has given up": ([THEIRS[3], THEIRS[4], None], True, False),
    "a name that is won back": ([None, OWN[1], THEIRS[1], OWN[2]], True, False),
}


@pytest.mark.parametrize(("beats", "ours", "rival"), NAMES.values(), ids=NAMES)
def test_a_process_speaks_for_its_site_only_under(
    beats: list[Beat | None], ours: bool, rival: bool
) -> None:
    attendance = looked(*beats)
    assert (attendance.ours, attendance.rival) == (ours, rival)
    assert (attendance.beat is not None) == ours


def test_beats_go_on_from_those_of_the_process_before() -> None:
    attendance = looked(THEIRS[7], THEIRS[7], THEIRS[7])
    assert attendance.beat == Beat("me", 8)


@pytest.mark.parametrize("found", [None, OWN[1]], ids=["all of it", "the last of it"])
def test_that_redis_has_lost_what_was_written_is_noticed(found: Beat | None) -> None:
    attendance = looked(None, OWN[1], OWN[2])
    assert not attendance.lost
    attendance.look({} if found is None else {"east": found}, 3.0)
    assert attendance.lost


def test_a_beat_that_was_written_though_nobody_heard_is_not_lost() -> None:
    attendance = looked(None, None)
    written = 2
    for _ in range(3):
        attendance.look({"east": OWN[written]}, 3.0)
        assert not attendance.lost
        written = attendance.number


def test_a_site_that_goes_on_counts_as_it_told() -> None:
    attendance = looked(None, None, others=[1, 2])
    told = {"west": Told(WANTS, NOTHING, 2.0)}
    assert attendance.others() == ["west"]
    assert attendance.counting(told, 10.0) == {"west": Told(WANTS, NOTHING, 10.0)}
    earlier = attendance.counting({"west": Told(WANTS, NOTHING, 0.0)}, 10.0)
    assert earlier["west"].at == 9.5, "two beats before"


def test_a_silent_site_keeps_what_it_has_for_a_window_and_wants_nothing() -> None:
    attendance = looked(*[None] * 5, others=[1] * 5)
    told = {"west": Told(WANTS, NOTHING, 1.0), "east": Told(WANTS, NOTHING, 1.0)}
    assert attendance.others() == []
    (kept,) = attendance.counting(told, 5.0).values()
    assert kept.held == (2, 0, 0, 0)
    assert (kept.claim.wanted, kept.claim.pressed) == (NOTHING, False)
    for second in range(5, WINDOW_S + 5):
        attendance.look({"west": Beat("other", 1)}, float(second))
    assert attendance.counting(told, 0.0) == {}


def test_while_nobody_could_look_nobody_was_silent() -> None:
    attendance = looked(None, others=[1])
    attendance.look({"west": Beat("other", 1)}, 1000.0)
    assert attendance.others() == ["west"]
