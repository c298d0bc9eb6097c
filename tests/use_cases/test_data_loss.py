"""Data loss: entries stop at once, nothing is sold blind, unless the owner set that it is (PRC-02, fault 13)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.bootstrap.wiring import Rules
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.errors import InvalidValue, Unavailable
from shared.domain.intents import Intent, IntentState, OrderType, Reason, Side
from shared.domain.positions import Position
from shared.settings import DataLossSettings, SettingsError
from shared.use_cases.check_risk import RiskRules
from tests.fakes.desk import NVDA, Desk, held
from tests.fakes.venue import AAPL, OPEN, TSLA

SECOND = timedelta(seconds=1)
CLOSES = Rules(risk=RiskRules(close_blind_after=timedelta(seconds=300)))
PROTECTED = held(TSLA, "10", "100")


def desk_with(*positions: Position, rules: Rules | None = None) -> Desk:
    """A desk whose rules name the data loss, and everything else is by default."""
    return Desk(*(positions or (PROTECTED,)), rules=rules)


def tick(desk: Desk) -> list[Alert]:
    """Let a minute pass with all its work, and give what was told."""
    desk.wait()
    desk.poll()
    desk.check()
    return desk.heard()


def exits(desk: Desk) -> list[Intent]:
    ledger = desk.ledger
    return [i for i in (*ledger.open.values(), *ledger.finished.values()) if i.side is Side.SELL and not i.rests]


def close_of(desk: Desk, *, within: int = 30) -> tuple[int, Intent]:
    """Tick on until a close is prepared; give the minutes that took, and the close."""
    for minutes in range(1, within + 1):
        tick(desk)
        if exits(desk):
            return minutes, exits(desk)[0]
    raise AssertionError(f"nothing was closed within {within} minutes")


# entries


@pytest.mark.parametrize(("seconds", "enters"), [(89, True), (90, True), (91, False)])
def test_a_price_opens_positions_until_it_is_ninety_seconds_old(seconds: int, enters: bool) -> None:
    desk = desk_with()
    desk.primary.freeze()
    desk.wait(seconds * SECOND)
    desk.poll()
    desk.check()
    assert (desk.enter(AAPL, "1").intent is not None) is enters


def test_a_frozen_feed_stops_entries_at_its_first_tick_past_ninety_seconds_alerts_once_and_sells_nothing() -> None:
    desk = desk_with()
    desk.primary.freeze()
    told = tick(desk)
    assert desk.enter(NVDA, "1", "at 60 s").intent is not None
    for number in range(20):
        told += tick(desk)
        assert desk.enter(AAPL, "1", f"at {number + 2} minutes").reasons == ("no usable quote",)
        desk.reconcile()
    assert exits(desk) == []
    stale = [alert for alert in told if "stale_data" in alert.text]
    assert len(stale) == 1


def test_one_frozen_symbol_stops_its_own_entries_and_no_others() -> None:
    desk = desk_with(held(AAPL, "10", "100"))
    frozen = desk.primary.quotes([TSLA])[TSLA]
    desk.primary.set_quote(frozen)
    tick(desk)
    tick(desk)
    assert desk.enter(TSLA, "1", "one").intent is None
    assert desk.enter(AAPL, "1", "two").intent is not None


# closing


def test_nothing_is_sold_blind_unless_that_is_set() -> None:
    desk = desk_with()
    desk.primary.down = Unavailable("down")
    for _ in range(120):
        tick(desk)
    assert exits(desk) == []


def test_with_the_setting_a_position_is_closed_on_the_first_tick_past_its_limit() -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    minutes, close = close_of(desk)
    assert minutes == 7
    assert (close.purpose.reason, close.quantity, close.order_type) == (
        Reason.DATA_LOSS, Decimal(10), OrderType.MARKET)  # fmt: skip
    assert close.evidence.price is None


def test_the_close_says_that_it_is_blind_and_whose_will_it_is() -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    told: list[Alert] = []
    for _ in range(7):
        told += tick(desk)
    alert = next(a for a in told if a.kind == AlertKind.STOP_TRIGGERED)
    assert alert.severity is Severity.CRITICAL
    assert "longer than 300 s: selling blind, as the owner's setting says" in alert.text


def test_there_is_one_close_for_each_position_however_long_the_loss_lasts() -> None:
    desk = desk_with(PROTECTED, held(AAPL, "3.5", "100"), rules=CLOSES)
    desk.primary.down = Unavailable("down")
    told: list[Alert] = []
    for _ in range(30):
        told += tick(desk)
        desk.check()
    assert sorted((i.symbol, i.generation) for i in exits(desk)) == [(AAPL, 0), (TSLA, 0)]
    assert [a.kind for a in told].count(AlertKind.STOP_TRIGGERED) == 2


def test_a_close_is_carried_through_and_ends_with_nothing_held() -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    close_of(desk)
    for _ in range(6):
        desk.place()
        desk.trade(TSLA, "97")
        desk.reconcile()
        tick(desk)
    assert desk.position(TSLA) is None
    assert desk.filled(TSLA, Side.SELL) == Decimal(10)


def test_a_price_within_the_limit_ends_the_count() -> None:
    desk = desk_with(rules=CLOSES)
    for minutes in (5, 5, 5):
        desk.primary.down = Unavailable("down")
        for _ in range(minutes):
            tick(desk)
        desk.primary.down = None
        tick(desk)
    assert exits(desk) == []


def test_the_night_counts_for_nothing() -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    tick(desk)
    desk.wait(OPEN + timedelta(days=1) - desk.clock.now())
    for minute in range(7):
        desk.poll()
        desk.check()
        assert exits(desk) == [] or minute > 5
        desk.wait()
    assert len(exits(desk)) == 1


def test_a_price_that_is_only_degraded_is_no_loss() -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    desk.backup.set(TSLA, "99")
    for _ in range(20):
        tick(desk)
    assert exits(desk) == []


@pytest.mark.parametrize(
    "trouble",
    [
        lambda desk: desk.faults.fail("prices.latest", Unavailable("down")),
        lambda desk: desk.faults.fail("calendar.days", Unavailable("down")),
    ],
    ids=["no memory of prices", "no calendar"],
)
def test_what_keeps_us_from_knowing_how_long_it_lasts_closes_nothing(trouble: Callable[[Desk], None]) -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    for _ in range(5):
        tick(desk)
    trouble(desk)
    for _ in range(10):
        desk.wait()
        desk.check()
    assert exits(desk) == []


def test_a_close_the_broker_refused_is_tried_again_under_the_next_generation() -> None:
    desk = desk_with(rules=CLOSES)
    desk.primary.down = Unavailable("down")
    _, close = close_of(desk)
    gone = close.moved_to(IntentState.ABANDONED, closed_at=desk.clock.now())
    desk.world.ledgers.save(desk.ledger.with_changed(gone))
    tick(desk)
    assert [i.generation for i in desk.ledger.open.values() if not i.rests] == [1]


# the setting


@pytest.mark.parametrize("seconds", [-1, 0, 29])
def test_no_rule_closes_sooner_than_thirty_seconds(seconds: int) -> None:
    with pytest.raises(InvalidValue, match="close_blind_after"):
        RiskRules(close_blind_after=timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({}, None),
        ({"HEARTHWATCH_DATA_LOSS_AFTER": "60"}, None),
        ({"HEARTHWATCH_CLOSE_ON_DATA_LOSS": "false"}, None),
        ({"HEARTHWATCH_CLOSE_ON_DATA_LOSS": "true"}, 300),
        ({"HEARTHWATCH_CLOSE_ON_DATA_LOSS": "true", "HEARTHWATCH_DATA_LOSS_AFTER": "30"}, 30),
    ],
)
def test_closing_is_off_unless_set_and_then_after_five_minutes(given: dict[str, str], limit: int | None) -> None:
    told = DataLossSettings.read(given).close_blind_after
    assert told == (None if limit is None else limit * SECOND)


@pytest.mark.parametrize("text", ["29", "0", "-300", "soon", "1e9"])
def test_a_limit_below_thirty_seconds_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="HEARTHWATCH_DATA_LOSS_AFTER"):
        DataLossSettings.read({"HEARTHWATCH_CLOSE_ON_DATA_LOSS": "true", "HEARTHWATCH_DATA_LOSS_AFTER": text})
