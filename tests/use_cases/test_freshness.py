"""Which prices and hours open positions: half days, a clock that disagrees, dates of New York, and the feed that is
named to the end (BEY-10; faults 15 to 17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from shared.bootstrap.offline import OFFLINE_ACCOUNT
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.alerts import AlertKind
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.intents import Side
from shared.domain.session import MarketClock, TradingDay
from shared.ports.broker import ExchangeCalendar
from shared.settings import SettingsError, SourceSettings
from tests.fakes.desk import Desk, held
from tests.fakes.venue import AAPL, CLOSE, MINUTE, NIGHT, OPEN, TSLA

EARLY = datetime(2026, 2, 4, 18, 0, tzinfo=UTC)
"""One in the afternoon in New York."""


class HalfDays:
    """Every weekday ends at one o'clock."""

    def __init__(self, calendar: ExchangeCalendar) -> None:
        self._calendar = calendar

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        days = self._calendar.days(first, last)
        return [replace(day, closes=datetime.combine(day.date, EARLY.timetz())) for day in days]


def on_a_half_day(at: datetime, *, agreed: bool = True) -> Desk:
    """Ten TSLA held at 100 on a half day; unless `agreed` the broker's clock goes by the full one."""
    desk = Desk(held(TSLA, "10", "100"))
    desk.ports = replace(desk.ports, calendar=HalfDays(desk.world.calendar))
    if agreed:
        desk.ports = replace(desk.ports, broker=_ClockOf(desk.ports.broker, desk))
    desk.use = UseCases(desk.ports, OFFLINE_ACCOUNT, Rules())
    desk.wait(at - desk.clock.now())
    desk.reconcile()
    desk.heard()
    return desk


class _ClockOf:
    """A broker whose clock knows of the half day."""

    def __init__(self, broker: object, desk: Desk) -> None:
        self._broker = broker
        self._desk = desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def clock(self) -> MarketClock:
        now = self._desk.clock.now()
        next_open = OPEN + timedelta(days=1)
        return MarketClock(at=now, is_open=OPEN <= now < EARLY, next_open=next_open, next_close=EARLY)


def sells(desk: Desk, price: str) -> list[Decimal]:
    desk.set_price(TSLA, price)
    desk.poll()
    desk.check()
    return [i.quantity for i in desk.ledger.open.values() if i.side is Side.SELL and not i.rests]


# hours


@pytest.mark.parametrize(
    ("at", "enters", "judges"),
    [
        (EARLY - MINUTE, True, True),
        (EARLY, False, True),
        (EARLY + MINUTE, False, False),
        (EARLY + timedelta(hours=2), False, False),
    ],
    ids=["a minute before", "at the close", "a minute after", "in the afternoon"],
)
def test_a_half_day_ends_at_its_own_close(at: datetime, enters: bool, judges: bool) -> None:
    desk = on_a_half_day(at)
    assert bool(sells(desk, "94")) is judges
    assert (desk.enter(AAPL, "1").intent is not None) is enters


@pytest.mark.parametrize("at", [EARLY + MINUTE, EARLY + timedelta(hours=2)])
def test_a_clock_that_disagrees_with_the_calendar_opens_nothing(at: datetime) -> None:
    desk = on_a_half_day(at, agreed=False)
    desk.primary.requests.clear()
    desk.poll()
    assert desk.primary.requests == []
    outcome = desk.enter(AAPL, "1")
    assert outcome.intent is None


def test_an_exit_under_a_clock_that_disagrees_waits_and_is_told() -> None:
    desk = on_a_half_day(EARLY, agreed=False)
    assert sells(desk, "94") == [Decimal(10)]
    desk.wait()
    desk.place()
    assert AlertKind.SESSION_UNSURE in desk.kinds()
    assert desk.filled(TSLA, Side.SELL) == 0


# dates


TOMORROW = CorporateAction(
    symbol=TSLA, ex_date=OPEN.date() + timedelta(days=1), kind=ActionKind.SPLIT, ratio=Decimal(4)
)


@pytest.mark.parametrize("at", [CLOSE + timedelta(hours=2), NIGHT, datetime(2026, 2, 5, 4, 59, tzinfo=UTC)])
def test_an_action_of_tomorrow_waits_for_midnight_in_new_york(at: datetime) -> None:
    desk = Desk(held(TSLA, "10", "100"), actions=[TOMORROW])
    desk.wait(at - desk.clock.now())
    desk.reconcile()
    position = desk.position(TSLA)
    assert position is not None
    assert (position.quantity, position.stop_price) == (Decimal(10), Decimal("95.00"))


def test_after_midnight_in_new_york_the_action_is_applied() -> None:
    desk = Desk(held(TSLA, "10", "100"), actions=[TOMORROW])
    desk.wait(datetime(2026, 2, 5, 5, 1, tzinfo=UTC) - desk.clock.now())
    desk.reconcile()
    position = desk.position(TSLA)
    assert position is not None
    assert position.stop_price == Decimal("23.75")


def test_a_lot_found_in_the_evening_is_of_new_yorks_day() -> None:
    desk = Desk(actions=[TOMORROW])
    desk.wait(NIGHT - desk.clock.now())
    desk.world.exchange.seed_position(TSLA, Decimal(10), Decimal(100))
    desk.reconcile()
    position = desk.position(TSLA)
    assert position is not None
    assert position.adjusted_through == OPEN.date()


def test_prices_kept_over_utc_midnight_are_carried_over_on_the_ex_date() -> None:
    desk = Desk(held(TSLA, "10", "100"), actions=[TOMORROW])
    desk.wait(OPEN + timedelta(days=1, minutes=1) - desk.clock.now())
    desk.set_price(TSLA, "25")
    desk.poll()
    minute = desk.world.prices.latest()
    assert minute is not None
    assert minute.quotes[TSLA].opens_positions


# the feed


def test_the_feed_is_named_from_the_quote_to_the_order_and_the_message() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    desk.primary.feed = "alpaca-iex"
    intent = desk.breach(TSLA, "94")
    assert (intent.evidence.feed, intent.fields()["feed"]) == ("alpaca-iex", "alpaca-iex")
    alert = next(a for a in desk.heard() if a.kind == AlertKind.STOP_TRIGGERED)
    assert alert.fields["Feed"] == "alpaca-iex"


def test_a_degraded_price_is_named_with_its_doubts_in_the_order_and_the_message() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    desk.primary.forget(TSLA)
    desk.backup.set(TSLA, "94")
    desk.wait()
    desk.poll()
    desk.check()
    [intent] = [i for i in desk.ledger.open.values() if not i.rests]
    assert (intent.evidence.feed, intent.evidence.doubts) == ("backup", ("backup_price", "missing"))
    alert = next(a for a in desk.heard() if a.kind == AlertKind.STOP_TRIGGERED)
    assert "backup_price (the second source's, the first has none to use)" in alert.text
    assert alert.fields["Feed"] == "backup, in doubt: backup_price, missing"


def test_an_entry_names_the_feed_it_was_based_on() -> None:
    desk = Desk()
    assert desk.entry(AAPL, "1").evidence.feed == "primary"


@pytest.mark.parametrize("feed", ["delayed_sip", "otc", "IEX"])
def test_no_delayed_feed_can_be_set_in_the_place_of_a_real_time_one(feed: str) -> None:
    with pytest.raises(SettingsError, match="HEARTHWATCH_PRICE_FEED"):
        SourceSettings.read({"HEARTHWATCH_PRICE_FEED": feed})


def test_a_feed_delayed_by_a_quarter_of_an_hour_is_too_old_for_anything() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    late = desk.primary.quotes([TSLA])[TSLA]
    delay = timedelta(minutes=15)
    desk.wait()
    desk.primary.set_quote(late._replace(quoted_at=desk.clock.now() - delay, traded_at=desk.clock.now() - delay))
    desk.poll()
    minute = desk.world.prices.latest()
    assert minute is not None
    assert minute.quotes[TSLA].is_blind
