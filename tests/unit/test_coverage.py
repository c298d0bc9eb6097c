"""Coverage: every open share is under a broker stop, a software stop only, or nothing (RSK-06)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.assets import Symbol
from shared.domain.coverage import Coverage, Held, PublishedCoverage, bare_since, coverage
from tests.unit.builders import AAPL, MINUTE, NOW, SECOND, TSLA


def held(quantity: str, resting: str = "0", *, judged: bool = True, symbol: Symbol = TSLA) -> Held:
    return Held(symbol, Decimal(quantity), Decimal(resting), judged)


def shares(broker: str, software: str, none: str) -> Coverage:
    return Coverage(Decimal(broker), Decimal(software), Decimal(none))


@pytest.mark.parametrize(
    ("positions", "published"),
    [
        ([], shares("0", "0", "0")),
        ([held("10", "10")], shares("100", "0", "0")),
        ([held("10.4", "10")], shares("96.15", "3.85", "0")),
        ([held("10.4", "10", judged=False)], shares("96.15", "0", "3.85")),
        ([held("10")], shares("0", "100", "0")),
        ([held("10", judged=False)], shares("0", "0", "100")),
        ([held("3", "3"), held("3"), held("3", judged=False)], shares("33.33", "33.34", "33.33")),
    ],
    ids=[
        "nothing held",
        "all resting",
        "fraction",
        "fraction unseen",
        "stop canceled",
        "blind as well",
        "a third each",
    ],
)
def test_coverage_table(positions: list[Held], published: Coverage) -> None:
    assert coverage(positions) == published


def test_a_broker_stop_larger_than_the_position_covers_only_the_position() -> None:
    assert coverage([held("5", "10"), held("5")]) == shares("50", "50", "0")


amounts = st.decimals(min_value="0.000000001", max_value=10**6, places=9)
resting = st.just(Decimal(0)) | amounts
positions = st.builds(Held, st.sampled_from([TSLA, AAPL]), amounts, resting, st.booleans())


@given(st.lists(positions, min_size=1, max_size=6))
def test_the_shares_sum_to_a_hundred_while_anything_is_held(positions: list[Held]) -> None:
    assert sum(coverage(positions)) == 100


@given(st.lists(positions, min_size=1, max_size=6))
def test_no_share_is_negative(positions: list[Held]) -> None:
    assert min(coverage(positions)) >= 0


@given(st.lists(positions, min_size=1, max_size=6))
def test_with_every_price_judged_nothing_is_bare(positions: list[Held]) -> None:
    assert coverage([each._replace(price_judged=True) for each in positions]).none_pct == 0


GAP = 3 * MINUTE


def before(*bare: tuple[Symbol, int], age: int = 60) -> PublishedCoverage:
    """The look `age` seconds ago, with symbols bare since so many seconds before now."""
    since = {symbol: NOW - seconds * SECOND for symbol, seconds in bare}
    return PublishedCoverage(at=NOW - age * SECOND, coverage=shares("0", "0", "100"), bare=since)


@pytest.mark.parametrize(
    ("found", "known", "since"),
    [
        ([held("10", "10", judged=False)], None, {}),
        ([held("10", judged=True)], None, {}),
        ([held("10.4", "10", judged=False)], None, {TSLA: 0}),
        ([held("10", judged=False)], before((TSLA, 60)), {TSLA: 60}),
        ([held("10", judged=False)], before((AAPL, 60)), {TSLA: 0}),
        ([held("10")], before((TSLA, 60)), {}),
        ([], before((TSLA, 60)), {}),
        ([held("10", judged=False)], before((TSLA, 400), age=181), {TSLA: 0}),
        ([held("10", judged=False)], before((TSLA, 400), age=180), {TSLA: 400}),
    ],
    ids=[
        "under a broker stop",
        "under the software stop",
        "a fraction without a price",
        "still bare",
        "another was bare",
        "covered again",
        "sold",
        "after a night",
        "at the longest gap",
    ],
)
def test_bare_shares_keep_the_time_since_which_they_are(
    found: list[Held], known: PublishedCoverage | None, since: dict[Symbol, int]
) -> None:
    assert bare_since(found, known, NOW, GAP) == {symbol: NOW - s * SECOND for symbol, s in since.items()}
