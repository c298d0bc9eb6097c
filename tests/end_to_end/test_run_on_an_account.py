"""A run on a paper account: its own pace, the account's positions, and a state that is kept between starts.

The account is one at the exchange simulator, which stands where Alpaca would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr

from local_stack.exchange.server import ExchangeSimulator
from local_stack.run.keys import LocalKeys
from local_stack.run.service import RunPlan, RunSettings, open_run, plan_run
from local_stack.run.snapshot import Snapshot
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import Stop
from tests.end_to_end.running import Silent
from tests.fakes.venue import AAPL, CLOSE, MINUTE, NOON, TSLA, Weekdays, bar, small_exchange


class PassingTime:
    """The pace of a world that is always as late as it should be."""

    def __init__(self, clock: SimulatedClock, happens: Callable[[datetime], None]) -> None:
        self._clock = clock
        self._happens = happens

    def now(self) -> datetime:
        return self._clock.now()

    def set(self, now: datetime) -> None:
        pass

    def wait_until(self, at: datetime, stopped: Event, look: Callable[[], None]) -> bool:
        if stopped.is_set():
            return False
        self._happens(at)
        self._clock.set(at + timedelta(seconds=2))
        return True


@pytest.fixture
def account() -> Iterator[tuple[ExchangeSimulator, SimulatedClock]]:
    clock = SimulatedClock(NOON - timedelta(seconds=30))
    with ExchangeSimulator(small_exchange(), clock) as simulator:
        simulator.feed(bar("100", at=NOON - 2 * MINUTE), bar("200", at=NOON - 2 * MINUTE, symbol=AAPL))
        yield simulator, clock


def settings(simulator: ExchangeSimulator, folder: Path) -> RunSettings:
    return RunSettings(
        folder=folder,
        symbols=[AAPL],
        keys=LocalKeys(alpaca_key_id=simulator.key_id, alpaca_secret=SecretStr(simulator.secret)),
        market=None,
        about="the paper account",
        speed=None,
        speed_words="real time",
        alpaca_url=simulator.url,
    )


def watch(plan: RunPlan, account: tuple[ExchangeSimulator, SimulatedClock], closes: list[str]) -> list[Snapshot]:
    """Watch for as many minutes as there are closes of TSLA, then stop and save."""
    simulator, clock = account
    prices = iter(closes)

    def happens(at: datetime) -> None:
        close = next(prices)
        simulator.feed(bar(close, at=at - MINUTE), bar("200", at=at - MINUTE, symbol=AAPL))

    stopped = Event()
    screen = Silent(stopped, len(closes))
    with open_run(plan, Weekdays(), pace=PassingTime(clock, happens)) as run:
        assert not run.play(stopped, screen)
        run.save(finished=False)
        with pytest.raises(Stop, match="no end to report on"):
            run.result()
    return screen.snapshots


def test_the_accounts_positions_are_watched_and_sold_at_their_stop(
    account: tuple[ExchangeSimulator, SimulatedClock], tmp_path: Path
) -> None:
    plan = plan_run(settings(account[0], tmp_path))

    shown = watch(plan, account, ["100", "100", "71", "71", "71", "71"])

    assert [part.name for part in shown[0].parts if part.is_real] == ["exchange"]
    assert (shown[0].session, shown[0].speed) == ("open until 16:00", "real time")
    assert [(str(held.symbol), held.quantity, held.stop) for held in shown[1].positions] == [
        ("TSLA", Decimal(10), Decimal("72.00"))
    ]
    assert [(order.symbol, order.side, order.state) for order in shown[-1].orders] == [(TSLA, "sell", "FILLED")]
    assert shown[-1].cash == Decimal(100_000) + 10 * Decimal(71)
    assert shown[-1].positions == []
    assert any("the stop at 72.00 resting at the broker was reached" in alert.text for alert in shown[-1].alerts)


def test_the_next_start_goes_on_with_what_was_kept(
    account: tuple[ExchangeSimulator, SimulatedClock], tmp_path: Path
) -> None:
    wanted = settings(account[0], tmp_path)
    watch(plan_run(wanted), account, ["100", "100"])
    account[1].set(CLOSE - timedelta(hours=1, seconds=30))

    plan = plan_run(wanted)
    shown = watch(plan, account, ["100", "100"])

    assert "Going on after" in plan.notice
    assert shown[0].ticks == 3
    assert [held.symbol for held in shown[0].positions] == [TSLA]


def test_without_bars_and_without_keys_there_is_nothing_to_run(tmp_path: Path) -> None:
    nothing = RunSettings(
        folder=tmp_path,
        symbols=[AAPL],
        keys=LocalKeys(),
        market=None,
        about="nothing",
        speed=None,
        speed_words="real time",
    )
    with pytest.raises(Stop, match="neither bars to play nor keys"), open_run(plan_run(nothing), Weekdays()):
        raise AssertionError("it started")
