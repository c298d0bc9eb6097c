"""A signal that fires again after each stop-out is stopped: two entries an hour, five a day (ORD-08, fault 46)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from shared.domain.alerts import AlertKind
from shared.domain.intents import Side
from tests.fakes.desk import Desk
from tests.fakes.venue import AAPL, MINUTE, OPEN, TSLA

SHARES = Decimal(1)


def bought_and_stopped_out(desk: Desk, cycle: str) -> tuple[str, ...]:
    """Let the signal fire, and the price fall through the stop of what it bought; give the reasons of a refusal."""
    desk.trade(TSLA, "100")
    desk.reconcile()
    desk.poll()
    desk.check()
    outcome = desk.enter(TSLA, str(SHARES), cycle)
    if outcome.intent is None:
        return outcome.reasons
    desk.place()
    for price in ("100", "90", "80", "80", "90"):
        desk.trade(TSLA, price)
        desk.reconcile()
        desk.poll()
        desk.check()
        desk.place()
    assert desk.position(TSLA) is None
    return ()


def cycles_of(desk: Desk, first: int, count: int) -> list[tuple[str, ...]]:
    return [bought_and_stopped_out(desk, f"cycle-{number}") for number in range(first, first + count)]


def test_the_third_within_the_hour_is_refused_and_locks_the_symbol_until_the_next_session_with_one_alert() -> None:
    desk = Desk()
    assert cycles_of(desk, 0, 2) == [(), ()]
    refused = cycles_of(desk, 2, 3)

    assert "entries within the hour" in refused[0][0]
    assert all("is locked until 2026-02-05T14:30:00Z" in reasons[0] for reasons in refused[1:])
    assert desk.filled(TSLA, Side.BUY) == desk.filled(TSLA, Side.SELL) == 2 * SHARES
    told = [alert for alert in desk.heard() if alert.kind == AlertKind.RUNAWAY_LOCKED]
    assert [alert.subject for alert in told] == [TSLA]
    desk.wait(timedelta(hours=2))
    assert "is locked" in bought_and_stopped_out(desk, "later")[0]
    desk.set_price(AAPL, "100")
    desk.poll()
    desk.check()
    assert desk.enter(AAPL, "1", "another").intent is not None


def test_the_lock_ends_with_the_next_open() -> None:
    desk = Desk()
    cycles_of(desk, 0, 3)
    desk.wait(OPEN + timedelta(days=1, hours=1) - desk.clock.now())
    assert bought_and_stopped_out(desk, "tomorrow") == ()


def test_the_sixth_of_a_day_is_refused_however_far_they_lie_apart() -> None:
    desk = Desk(start=OPEN + MINUTE)
    outcomes = []
    for number in range(6):
        outcomes += cycles_of(desk, number, 1)
        desk.wait(timedelta(minutes=50))
    assert outcomes[:5] == [()] * 5
    assert "had 5 entries within the day" in outcomes[5][0]
    assert AlertKind.RUNAWAY_LOCKED in desk.kinds()
