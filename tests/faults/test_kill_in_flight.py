"""The kill switch is set while an entry is on its way to the broker (faults 43 and 44)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.errors import Throttled, Unavailable
from shared.domain.intents import Intent, IntentState, Side
from shared.domain.trading_state import KillSwitch, SwitchMode
from tests.fakes.desk import Desk, held
from tests.fakes.faults import Crash
from tests.fakes.venue import AAPL, TSLA, order

S = IntentState
KILLED = KillSwitch(mode=SwitchMode.KILL, by="ann", why="enough")
SECOND = timedelta(seconds=1)


def died_while_sending(*positions: object, accepted: bool) -> tuple[Desk, Intent]:
    """An entry's process ends in the middle of its request, and then the kill switch is set."""
    desk = Desk(*positions)  # type: ignore[arg-type]
    entry = desk.entry(TSLA)
    desk.faults.fail("broker.submit", Crash(), answer_lost=accepted)
    with pytest.raises(Crash):
        desk.place()
    desk.faults.mend()
    desk.world.controls.set_kill_switch(KILLED)
    return desk, entry


def test_an_entry_that_the_broker_has_is_adopted_and_canceled_by_the_next_runs() -> None:
    desk, entry = died_while_sending(accepted=True)
    desk.minute()
    desk.minute()
    assert desk.live() == []
    assert desk.state(entry) is S.CANCELED
    assert desk.filled(TSLA, Side.BUY) == 0


@pytest.mark.parametrize("lands_after", [10, 40, 59])
def test_an_entry_whose_request_lands_late_is_canceled_once_it_is_in_the_brokers_list(lands_after: int) -> None:
    """While the submit lease runs nothing is decided about it; two ticks after it landed nothing of it is left."""
    desk, entry = died_while_sending(accepted=False)
    desk.wait(lands_after * SECOND)
    desk.reconcile()
    desk.place("executor-2")
    assert desk.state(entry) is S.SENT
    limit = desk.intent(entry).limit_price
    desk.world.exchange.submit(order(entry.id, "buy", "10", "limit", str(limit)), desk.clock.now())
    for _ in range(2):
        desk.wait()
        desk.reconcile()
        desk.place("executor-2")
    assert desk.live() == []
    desk.reconcile()
    assert desk.state(entry) is S.CANCELED
    assert desk.faults.count("broker.submit") == 1


def test_an_entry_whose_request_never_landed_is_not_sent_again_and_ends_after_its_lease() -> None:
    desk, entry = died_while_sending(accepted=False)
    for _ in range(3):
        desk.minute()
    assert desk.orders() == []
    assert desk.state(entry) is S.ABANDONED
    assert desk.faults.count("broker.submit") == 1


def test_an_exit_goes_out_beside_the_entry_in_flight() -> None:
    desk, _ = died_while_sending(held(AAPL, "10", "100"), accepted=False)
    exit_ = desk.breach(AAPL, "94")
    assert desk.place().sent == [exit_.id]


@pytest.mark.parametrize(
    "failure", [Throttled("429", timedelta(seconds=1)), Unavailable("timeout")], ids=["throttled", "no answer"]
)
@pytest.mark.parametrize("stops", [False, True])
def test_a_switch_that_cannot_be_read_at_the_last_moment_holds_the_entry_and_not_the_exit(
    failure: Exception, stops: bool
) -> None:
    """Fault 44: the gate read it, the read before the socket write fails; the entry stays, the exit leaves."""
    desk = Desk(held(AAPL, "10", "100"), stops=stops)
    entry = desk.entry(TSLA)
    exit_ = desk.breach(AAPL, "94")
    desk.faults.before("ledgers.save", lambda: desk.faults.fail("controls.kill_switch", failure))
    assert desk.place().sent[-1] == exit_.id
    assert [o.symbol for o in desk.orders() if o.side is Side.BUY] == []
    desk.faults.mend()
    desk.trade(AAPL, "94")
    desk.reconcile()
    assert desk.filled(AAPL, Side.SELL) == Decimal(10)
    assert desk.state(entry) is not S.ACKED
