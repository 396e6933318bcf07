from serve_app.tenancy.allot import NOTHING, Claim, Share
from serve_app.tenancy.division import Told, dead, together
from serve_app.tenancy.parts import all_but_a_part, alone, at_least, cut_off, quiet, within

LIMITS = (100, None, 5, None)
CLAIM = Claim(LIMITS, (30, 7, 2, 1), (40, 0, 3, 0), (8, 8, 8, 0), frozenset("a"), pressed=True)


def test_gateways_claim_as_one() -> None:
    other = Claim((90, None, 5, None), (1, 2, 3, 0), NOTHING, (1, 0, 0, 0), frozenset("b"))
    claim = together([Told(CLAIM, (50, 0, 0, 0), 1.0), Told(other, NOTHING, 2.0)])
    assert claim is not None
    assert claim.limits == other.limits, "as the one that spoke last knows them"
    assert claim.used == (31, 9, 5, 1)
    assert claim.held == (51, 9, 6, 1), "of each the most that it may have"
    assert claim.wanted == (9, 8, 8, 0)
    assert claim.adapters == frozenset("ab")
    assert claim.pressed
    assert together([]) is None


def test_what_a_dead_gateway_used_counts_and_what_it_ran_does_not() -> None:
    told = dead(Told(CLAIM, (50, 0, 4, 0), 1.0))
    assert told.held == (50, 7, 0, 0)
    assert told.claim.used == (30, 7, 0, 0)
    assert told.claim.adapters == frozenset()


def test_a_quiet_site_keeps_what_it_has() -> None:
    told = quiet(Told(CLAIM, (50, 0, 4, 0), 1.0))
    assert told.held == (50, 7, 4, 1)
    assert told.claim.adapters == frozenset("a")
    assert (told.claim.wanted, told.claim.pressed) == (NOTHING, False)


def test_a_site_that_can_ask_nobody_has_what_its_gateways_hold_or_a_first_part() -> None:
    assert alone(CLAIM).allowance == (40, 0, 3, 0)
    nothing = Claim(LIMITS, NOTHING, NOTHING, NOTHING)
    assert alone(nothing).allowance == (11, 0, 1, 0)
    assert alone(nothing).elsewhere == (89, 0, 4, 0), "and nothing that it could wait for"


def test_a_site_that_is_cut_off_keeps_its_part_and_thinks_the_rest_used() -> None:
    share = Share((60, 0, 5, 0), (10, 4, 0, 0), frozenset("b"), frozenset("b"), (7, 8), False, True)
    assert cut_off(share, LIMITS) == Share((60, 0, 5, 0), (40, 4, 0, 0), spent=(7, 8))


def test_the_only_site_leaves_a_part_free_until_half_is_used() -> None:
    assert all_but_a_part(CLAIM) == (90, 0, 5, 0)
    used = Claim(LIMITS, (51, 0, 0, 0), NOTHING, NOTHING)
    assert all_but_a_part(used) == (100, 0, 5, 0)


def test_the_claim_of_a_new_control_is_at_least_what_the_one_before_told() -> None:
    told = Told(CLAIM, (50, 0, 0, 0), 1.0)
    claim = at_least(Claim(LIMITS, (31, 0, 0, 0), (31, 0, 4, 0), NOTHING), told)
    assert claim.used == (31, 7, 2, 1)
    assert claim.held == (50, 7, 4, 1)


def test_a_gateway_hears_of_its_site_and_of_others() -> None:
    mine = Share((5, 0, 0, 0), (1, 0, 0, 0), frozenset("a"), frozenset("a"), (1, 2))
    site = Share((9, 0, 0, 0), (2, 0, 0, 0), frozenset("b"), frozenset(), (10, 20), False, True)
    assert within(mine, site) == Share(
        (5, 0, 0, 0), (3, 0, 0, 0), frozenset("ab"), frozenset("a"), (11, 22), False, True
    )
