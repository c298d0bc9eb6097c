"""Kill, freeze, flatten and clear: what leaves, what stays, and what a person must type (BRK-04, faults 43 and 44)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.bootstrap.offline import OFFLINE_ACCOUNT
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.alerts import AlertKind, Severity
from shared.domain.errors import Conflict, InvalidValue, Throttled, Unavailable
from shared.domain.intents import Intent, IntentState, OrderType, Reason, Side
from shared.domain.ledger import Ledger
from shared.domain.orders import Order
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, KillSwitch, SwitchMode, words_to_switch
from tests.fakes.desk import Desk, held
from tests.fakes.faults import Crash
from tests.fakes.venue import AAPL, CLOSE, MINUTE, OPEN, TSLA

S = IntentState
DOWN = Unavailable("down")
KILL, FREEZE, FLATTEN, OFF = SwitchMode.KILL, SwitchMode.FREEZE, SwitchMode.FLATTEN, SwitchMode.OFF
ENGAGED = (KILL, FREEZE, FLATTEN)


def switch(desk: Desk, mode: SwitchMode, why: str = "a test") -> KillSwitch:
    """Set the switch as somebody does who types what is asked for."""
    words = desk.use.set_kill_switch.words_needed(mode, desk.world.controls.kill_switch())
    return desk.use.set_kill_switch(mode, by="ann", why=why, typed=words)


def at_claim(desk: Desk, wanted: Callable[[Intent], bool], act: Callable[[], object]) -> None:
    """Do something once, right after an intent was claimed and before it is sent."""
    done: list[bool] = []

    def look(ledger: Ledger) -> bool:
        if not done and any(wanted(i) and i.state is S.SENT for i in ledger.open.values()):
            done.append(True)
            act()
        return False

    desk.faults.fail("ledgers.save", DOWN, when=look)


def sales(desk: Desk) -> list[Order]:
    """List the sales at market that reached the broker."""
    return [o for o in desk.orders() if o.side is Side.SELL and o.order_type is OrderType.MARKET]


# what leaves


@pytest.mark.parametrize("mode", ENGAGED)
def test_set_between_gate_and_send_no_entry_goes_out(mode: SwitchMode) -> None:
    desk = Desk()
    entry = desk.entry(TSLA)
    at_claim(desk, lambda i: i.is_entry, lambda: switch(desk, mode))
    assert desk.place().sent == []
    assert desk.state(entry) is S.ABANDONED
    assert desk.orders(TSLA) == []


@pytest.mark.parametrize("mode", ENGAGED)
def test_every_mode_cancels_resting_entries_and_refuses_new_ones(mode: SwitchMode) -> None:
    desk = Desk()
    entry = desk.entry(TSLA)
    desk.place()
    assert desk.live() == [entry.id]
    switch(desk, mode)
    desk.minute()
    assert desk.live() == []
    assert desk.enter(AAPL, cycle="another").intent is None


@pytest.mark.parametrize("mode", [KILL, FLATTEN])
def test_a_breached_stop_still_sells(mode: SwitchMode) -> None:
    desk = Desk(held(AAPL, "10", "100"))
    switch(desk, mode)
    desk.set_price(AAPL, "94")
    desk.minute()
    assert [(o.symbol, o.quantity) for o in sales(desk)] == [(AAPL, Decimal(10))]


def test_a_freeze_keeps_a_breached_stop_from_selling_and_clear_lets_it_go_before_entries() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    switch(desk, FREEZE)
    exit_ = desk.breach(AAPL, "94")
    desk.place()
    desk.minute()
    assert sales(desk) == []
    assert desk.state(exit_) is S.PREPARED
    switch(desk, OFF)
    desk.check()
    entry = desk.entry(TSLA)
    sent = [id_ for id_ in desk.place().sent if id_ in (exit_.id, entry.id)]
    assert sent == [exit_.id, entry.id]


def test_a_freeze_between_claim_and_send_hands_the_exit_back_unsent() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    exit_ = desk.breach(AAPL, "94")
    at_claim(desk, lambda i: i.id == exit_.id, lambda: switch(desk, FREEZE))
    assert desk.place().waiting == [exit_.id]
    assert sales(desk) == []
    stored = desk.intent(exit_)
    assert (stored.state, stored.sends) == (S.PREPARED, 0)
    switch(desk, OFF)
    assert desk.place().sent == [exit_.id]


def test_the_switch_is_the_last_thing_read_before_an_exit_leaves() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    desk.breach(AAPL, "94")
    desk.faults.calls.clear()
    desk.place()
    before = desk.faults.calls[: desk.faults.calls.index("broker.submit")]
    assert before[-1] == "controls.kill_switch"


def test_a_frozen_exit_is_told_critically_once_a_minute_with_who_and_why() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    switch(desk, FREEZE, "the account was broken into")
    desk.breach(AAPL, "94")
    desk.heard()
    desk.place()
    desk.place()
    told = [a for a in desk.heard() if a.kind == AlertKind.EXIT_BLOCKED]
    assert {(a.severity, a.subject) for a in told} == {(Severity.CRITICAL, AAPL)}
    assert len({a.id for a in told}) == 1
    assert "set by ann" in told[0].text
    assert "the account was broken into" in told[0].text
    desk.wait()
    desk.place()
    assert len({a.id for a in desk.heard() if a.kind == AlertKind.EXIT_BLOCKED} | {told[0].id}) == 2


def resting(desk: Desk) -> list[Order]:
    return [o for o in desk.world.exchange.live_orders() if o.order_type is OrderType.STOP]


def test_a_freeze_leaves_the_stop_alone_that_rests_at_the_broker() -> None:
    desk = Desk(held(AAPL, "10", "100"), stops=True)
    desk.minute()
    before = resting(desk)
    assert [o.quantity for o in before] == [Decimal(10)]
    switch(desk, FREEZE)
    desk.breach(AAPL, "94")
    for _ in range(3):
        desk.place()
        desk.minute()
    assert resting(desk) == before
    assert sales(desk) == []
    switch(desk, OFF)
    desk.minute()
    desk.minute()
    assert resting(desk) == []
    assert [o.quantity for o in sales(desk)] == [Decimal(10)]


def test_a_stop_that_is_to_move_stays_where_it_rests_under_a_freeze() -> None:
    desk = Desk(held(AAPL, "10", "100", trailing="0.05"), stops=True)
    desk.minute()
    before = resting(desk)
    switch(desk, FREEZE)
    desk.set_price(AAPL, "120")
    for _ in range(3):
        desk.minute()
    assert resting(desk) == before
    switch(desk, OFF)
    for _ in range(3):
        desk.minute()
    assert [o.stop_price for o in resting(desk)] == [Decimal(114)]


def test_a_new_stop_is_not_sent_under_a_freeze() -> None:
    desk = Desk(held(AAPL, "10", "100"), stops=True)
    switch(desk, FREEZE)
    desk.minute()
    assert desk.orders() == []
    switch(desk, OFF)
    desk.minute()
    assert [o.quantity for o in resting(desk)] == [Decimal(10)]


@pytest.mark.parametrize("error", [DOWN, Throttled("slow down", timedelta(seconds=1))], ids=["down", "throttled"])
@pytest.mark.parametrize("stored", [OFF, *ENGAGED])
def test_an_unreadable_switch_stops_entries_and_neither_freezes_nor_flattens(
    stored: SwitchMode, error: Exception
) -> None:
    desk = Desk(held(AAPL, "10", "100"), held(TSLA, "5", "100"))
    desk.world.controls.set_kill_switch(KillSwitch(mode=stored, by="ann"))
    desk.faults.fail("controls.kill_switch", error)
    assert desk.enter(TSLA).intent is None
    exit_ = desk.breach(AAPL, "94")
    assert desk.ledger.trade_in(TSLA) is None
    desk.place()
    assert [o.client_order_id for o in sales(desk)] == [exit_.id]


@pytest.mark.parametrize("mode", ENGAGED)
def test_nothing_but_clear_ends_it_neither_time_nor_a_restart(mode: SwitchMode) -> None:
    desk = Desk()
    stands = switch(desk, mode)
    for _ in range(30):
        desk.minute()
    desk.use = UseCases(desk.ports, OFFLINE_ACCOUNT, Rules())
    desk.minute()
    assert desk.world.controls.kill_switch() == stands
    assert desk.enter().intent is None
    switch(desk, OFF)
    desk.minute()
    assert desk.enter().intent is not None


# flatten


def flattening(*, stops: bool = False) -> Desk:
    """Two positions far above their stops, which may rest at the broker, and a flatten."""
    desk = Desk(held(AAPL, "10", "100"), held(TSLA, "4.5", "100"), stops=stops)
    if stops:
        desk.minute()
        assert len(resting(desk)) == 2
    switch(desk, FLATTEN, "leaving for good")
    return desk


def trade_on(desk: Desk) -> None:
    """Let both symbols trade for a minute and run everything."""
    desk.trade(AAPL, "101")
    desk.trade(TSLA, "101")
    desk.minute()


def sold(desk: Desk) -> dict[str, Decimal]:
    return {symbol: desk.filled(symbol, Side.SELL) for symbol in (AAPL, TSLA)}


def test_flatten_sells_every_position_whatever_its_price_and_says_who_ordered_it() -> None:
    desk = flattening()
    desk.minute()
    assert {(o.symbol, o.quantity) for o in sales(desk)} == {(AAPL, Decimal(10)), (TSLA, Decimal("4.5"))}
    exit_ = desk.ledger.open_for(AAPL, Side.SELL)
    assert exit_ is not None
    assert exit_.purpose.reason is Reason.FLATTEN
    assert exit_.evidence.text.startswith("AAPL: flatten, set by ann at ")
    assert exit_.evidence.text.endswith("leaving for good")


def test_flatten_sells_each_position_once_however_often_it_is_checked_and_sent() -> None:
    desk = flattening()
    for minute in range(4):
        desk.minute()
        desk.check()
        desk.place()
        desk.place(f"executor-{minute}")
        trade_on(desk)
    assert desk.facts("intent_prepared") == 2
    assert AlertKind.EXIT_BLOCKED not in desk.kinds()
    assert sorted(o.symbol for o in sales(desk)) == [AAPL, TSLA]
    assert sold(desk) == {AAPL: Decimal(10), TSLA: Decimal("4.5")}
    assert desk.world.positions.all() == []


@pytest.mark.parametrize("stops", [False, True], ids=["software stops", "stops at the broker"])
def test_flatten_sells_each_position_once_wherever_a_run_ends(stops: bool) -> None:
    for crash_at in range(calls_of_a_flatten(stops)):
        desk = flattening(stops=stops)
        desk.faults.calls.clear()
        desk.faults.crash_before = crash_at
        with pytest.raises(Crash):
            desk.minute()
        desk.faults.crash_before = None
        for _ in range(4):
            desk.wait(MINUTE)
            trade_on(desk)
        assert sold(desk) == {AAPL: Decimal(10), TSLA: Decimal("4.5")}, crash_at
        assert desk.world.positions.all() == [], crash_at
        assert resting(desk) == [], crash_at


def calls_of_a_flatten(stops: bool) -> int:
    desk = flattening(stops=stops)
    desk.faults.calls.clear()
    desk.minute()
    return len(desk.faults.calls)


def test_flatten_sells_blind_and_is_priced_at_the_entry() -> None:
    desk = Desk(held(AAPL, "10", "88"), blank=True)
    desk.primary.forget(AAPL)
    switch(desk, FLATTEN)
    desk.minute()
    assert [o.quantity for o in sales(desk)] == [Decimal(10)]
    exit_ = desk.ledger.open_for(AAPL, Side.SELL)
    assert exit_ is not None
    assert (exit_.evidence.price, exit_.worst_price) == (None, Decimal(88))


def test_flatten_stays_when_all_is_sold_and_sells_what_comes_later() -> None:
    desk = flattening()
    desk.minute()
    trade_on(desk)
    desk.minute()
    assert desk.world.positions.all() == []
    assert desk.world.controls.kill_switch().flattens
    desk.world.positions.put(held(AAPL, "3", "100"))
    desk.world.exchange.seed_position(AAPL, Decimal(3), Decimal(100))
    desk.minute()
    assert [o.quantity for o in sales(desk) if o.symbol == AAPL] == [Decimal(10), Decimal(3)]


def test_a_flatten_ordered_after_the_close_sells_at_the_next_open() -> None:
    desk = Desk(held(AAPL, "10", "100"), start=CLOSE + timedelta(hours=2))
    switch(desk, FLATTEN)
    desk.minute()
    assert sales(desk) == []
    desk.clock.set(OPEN + timedelta(days=1, minutes=1))
    desk.set_price(AAPL, "100")
    desk.minute()
    assert [o.quantity for o in sales(desk)] == [Decimal(10)]


def test_a_freeze_stops_a_flatten_and_flatten_goes_on_after_it() -> None:
    desk = flattening()
    switch(desk, FREEZE)
    desk.minute()
    assert sales(desk) == []
    switch(desk, FLATTEN)
    desk.minute()
    assert sorted(o.symbol for o in sales(desk)) == [AAPL, TSLA]


# what is typed


@pytest.mark.parametrize(
    ("stands", "mode", "words"),
    [
        (OFF, FREEZE, f"freeze exits of {OFFLINE_ACCOUNT}"),
        (OFF, FLATTEN, f"flatten 2 positions of {OFFLINE_ACCOUNT}"),
        (KILL, OFF, "clear"),
        (FREEZE, OFF, "clear"),
        (FREEZE, KILL, "kill instead of freeze"),
        (FLATTEN, KILL, "kill instead of flatten"),
        (FREEZE, FLATTEN, f"flatten 2 positions of {OFFLINE_ACCOUNT}"),
    ],
)
def test_other_words_than_those_asked_for_change_nothing(stands: SwitchMode, mode: SwitchMode, words: str) -> None:
    desk = Desk(held(AAPL, "10", "100"), held(TSLA, "5", "100"))
    before = KillSwitch(mode=stands, by="ben", why="before")
    desk.world.controls.set_kill_switch(before)
    for typed in ("", "yes", words.upper(), f"{words} "):
        with pytest.raises(InvalidValue, match=f"exactly: {words}"):
            desk.use.set_kill_switch(mode, by="ann", why="x", typed=typed)
    assert desk.world.controls.kill_switch() == before
    assert desk.facts("kill_switch") == 0
    assert desk.use.set_kill_switch(mode, by="ann", why="x", typed=words).mode is mode


@pytest.mark.parametrize("stands", [OFF, KILL])
def test_a_kill_needs_no_words(stands: SwitchMode) -> None:
    assert words_to_switch(KILL, KillSwitch(mode=stands), "paper", 3) == ""


def test_an_unreadable_switch_is_killed_without_words() -> None:
    assert words_to_switch(KILL, UNREADABLE_KILL_SWITCH, "paper", 0) == ""


def test_one_position_is_one_position() -> None:
    assert words_to_switch(FLATTEN, KillSwitch(mode=OFF), "paper", 1) == "flatten 1 position of paper"


def test_a_switch_that_changed_since_it_was_shown_is_not_changed() -> None:
    desk = Desk()
    seen = switch(desk, KILL)
    frozen = switch(desk, FREEZE)
    with pytest.raises(Conflict, match="it is now freeze, set by ann"):
        desk.use.set_kill_switch(OFF, by="ben", why="x", typed="clear", seen=seen)
    assert desk.world.controls.kill_switch() == frozen


def test_a_reason_is_one_line_and_not_too_long() -> None:
    desk = Desk()
    assert desk.use.set_kill_switch(KILL, by="ann", why=" two\n lines ").why == "two lines"
    with pytest.raises(InvalidValue, match="at most 300 characters"):
        desk.use.set_kill_switch(KILL, by="ann", why="x" * 301)


def test_a_freeze_after_a_kill_is_told_on_its_own_and_ends_the_kills_trouble() -> None:
    desk = Desk()
    switch(desk, KILL)
    desk.heard()
    desk.wait()
    switch(desk, FREEZE)
    told = [(a.subject, a.severity, a.recovers) for a in desk.heard() if a.kind == AlertKind.BREAKER]
    assert told == [("kill switch", Severity.INFO, True), ("freeze", Severity.CRITICAL, False)]
    switch(desk, OFF)
    told = [(a.subject, a.severity, a.recovers) for a in desk.heard() if a.kind == AlertKind.BREAKER]
    assert told == [("freeze", Severity.INFO, True)]
