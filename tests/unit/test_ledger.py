"""The ledger: one open intent per symbol and side, generations that never go back, limits under contention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.domain.assets import Symbol
from shared.domain.errors import Conflict, InvalidValue
from shared.domain.gate import GateInput, Limits, judge_entry
from shared.domain.intents import (
    TERMINAL,
    TRANSITIONS,
    AccountId,
    CycleId,
    Intent,
    IntentId,
    IntentState,
    Reason,
    Side,
)
from shared.domain.ledger import Ledger
from tests.unit.builders import (
    AAPL,
    ACCOUNT,
    CYCLE,
    LOT,
    MINUTE,
    NOW,
    NVDA,
    TSLA,
    calm_gate,
    intent,
    ledger_with,
    purpose,
    tradable,
)

S = IntentState
EMPTY = ledger_with()
BUY, STOP = intent(), intent(reason=Reason.STOP_LOSS, origin=LOT)


def closed(wanted: Intent, state: IntentState = S.ABANDONED, at: datetime = NOW) -> Intent:
    return replace(wanted, state=state, closed_at=at)


def tried(times: int, *, at: datetime = NOW, origin: CycleId = CYCLE) -> Ledger:
    """A ledger in which one purpose was prepared and given up so many times."""
    ledger = EMPTY
    for generation in range(times):
        each = intent(origin=origin, generation=generation)
        ledger = ledger.with_prepared(each).with_changed(closed(each, at=at))
    return ledger


class TestPreparing:
    def test_a_prepared_intent_is_open(self) -> None:
        assert EMPTY.with_prepared(BUY).open_for(TSLA, Side.BUY) == BUY

    @pytest.mark.parametrize(
        "second",
        [
            BUY,
            intent(origin=CycleId("the next cycle")),
            intent(reason=Reason.DIP_BUY),
            intent("1", "50"),
        ],
        ids=["the same", "another cycle", "another reason", "another size"],
    )
    def test_a_second_open_intent_of_symbol_and_side_is_refused(self, second: Intent) -> None:
        with pytest.raises(InvalidValue, match="no open buy intent in TSLA"):
            EMPTY.with_prepared(BUY).with_prepared(second)

    @pytest.mark.parametrize("second", [STOP, intent(symbol=AAPL)], ids=["the other side", "another symbol"])
    def test_side_and_symbol_have_slots_of_their_own(self, second: Intent) -> None:
        assert len(EMPTY.with_prepared(BUY).with_prepared(second).open) == 2

    @pytest.mark.parametrize("generation", [0, 1, 3])
    def test_any_generation_but_the_next_is_refused(self, generation: int) -> None:
        with pytest.raises(InvalidValue, match="generation"):
            tried(2).with_prepared(intent(generation=generation))

    @pytest.mark.parametrize("state", [state for state in S if state is not S.PREPARED])
    def test_only_a_prepared_intent_is_added(self, state: IntentState) -> None:
        with pytest.raises(InvalidValue, match="PREPARED"):
            EMPTY.with_prepared(intent(state=state))

    def test_an_intent_of_another_account_is_refused(self) -> None:
        stranger = replace(BUY, purpose=purpose(account=AccountId("PA3BETA")))
        with pytest.raises(InvalidValue, match=ACCOUNT):
            EMPTY.with_prepared(stranger)

    def test_the_ledger_before_stays_as_it_was(self) -> None:
        EMPTY.with_prepared(BUY)
        assert not EMPTY.open


class TestChanging:
    def test_an_open_change_replaces_the_intent(self) -> None:
        sent = BUY.moved_to(S.SENT, owner="run-7")
        assert EMPTY.with_prepared(BUY).with_changed(sent).open[BUY.id].owner == "run-7"

    @pytest.mark.parametrize("state", sorted(TERMINAL))
    def test_a_closed_intent_leaves_the_open_ones(self, state: IntentState) -> None:
        at_broker = ledger_with(intent(state=S.UNKNOWN))
        assert not at_broker.with_changed(closed(BUY, state)).open

    def test_a_closed_intent_waits_among_the_finished(self) -> None:
        assert list(tried(1).finished) == [BUY.id]

    def test_an_archived_intent_is_no_longer_among_the_finished(self) -> None:
        assert not tried(1).without_finished([BUY.id]).finished

    def test_archiving_one_keeps_the_others(self) -> None:
        assert list(tried(2).without_finished([BUY.id]).finished) == [intent(generation=1).id]

    def test_an_archived_intent_s_generation_is_remembered(self) -> None:
        assert tried(1).without_finished([BUY.id]).generation(BUY.purpose) == 1

    def test_a_closed_intent_frees_its_slot(self) -> None:
        assert tried(1).open_for(TSLA, Side.BUY) is None

    def test_a_step_the_table_does_not_list_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="PREPARED -> FILLED"):
            EMPTY.with_prepared(BUY).with_changed(closed(BUY, S.FILLED))

    def test_an_intent_that_is_not_open_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="an open intent"):
            tried(1).with_changed(BUY)

    @pytest.mark.parametrize("times", [0, 1, 5])
    def test_every_finished_try_raises_the_generation(self, times: int) -> None:
        assert tried(times).generation(BUY.purpose) == times

    def test_another_purpose_keeps_its_own_count(self) -> None:
        assert tried(3).generation(STOP.purpose) == 0


class TestExposure:
    BUSY = ledger_with(intent("10", "100"), intent("3", "200", symbol=AAPL), STOP)

    def test_open_entries_commit_their_worst_cost(self) -> None:
        assert self.BUSY.committed() == 1600

    def test_one_symbol_by_itself(self) -> None:
        assert self.BUSY.committed(AAPL) == 600

    def test_an_entry_can_be_left_out(self) -> None:
        assert self.BUSY.committed(besides=intent("10", "100").id) == 600

    def test_an_empty_ledger_commits_nothing(self) -> None:
        assert EMPTY.committed() == 0

    @pytest.mark.parametrize("state", [S.PREPARED, S.SENT, S.UNKNOWN, S.ACKED, S.PARTIALLY_FILLED])
    def test_an_entry_commits_as_long_as_it_is_open(self, state: IntentState) -> None:
        assert ledger_with(intent("10", "100", state=state)).committed() == 1000


class TestOrderOfWork:
    def test_exits_come_before_entries_and_older_before_newer(self) -> None:
        first = intent(symbol=NVDA, created_at=NOW - MINUTE)
        last_exit = intent(symbol=AAPL, reason=Reason.TAKE_PROFIT, created_at=NOW + MINUTE)
        assert ledger_with(BUY, first, last_exit, STOP).in_state(S.PREPARED) == [STOP, last_exit, first, BUY]

    def test_only_the_asked_states_are_listed(self) -> None:
        unknown = intent(symbol=AAPL, state=S.UNKNOWN)
        assert ledger_with(BUY, unknown).in_state(S.SENT, S.UNKNOWN) == [unknown]

    @pytest.mark.parametrize("state", [state for state in S if state not in TERMINAL])
    def test_a_symbol_is_in_doubt_exactly_while_an_order_in_it_is_unknown(self, state: IntentState) -> None:
        assert ledger_with(intent(state=state)).is_in_doubt(TSLA) == (state is S.UNKNOWN)

    def test_doubt_stays_with_its_symbol(self) -> None:
        assert not ledger_with(intent(state=S.UNKNOWN)).is_in_doubt(AAPL)

    def test_the_broker_s_wish_for_quiet_is_kept(self) -> None:
        assert EMPTY.quieted(NOW + MINUTE).quiet_until == NOW + MINUTE


class TestPace:
    LATER = intent(origin=CycleId("later"))
    ELSEWHERE = intent(symbol=AAPL)

    def test_entries_are_counted_from_an_instant_on(self) -> None:
        ledger = EMPTY.with_entry_sent(BUY, NOW).with_entry_sent(self.LATER, NOW + MINUTE)
        assert [ledger.entries_since(TSLA, NOW + n * MINUTE) for n in range(3)] == [2, 1, 0]

    def test_an_entry_sent_twice_counts_once_from_its_last_send(self) -> None:
        ledger = EMPTY.with_entry_sent(BUY, NOW).with_entry_sent(BUY, NOW + MINUTE)
        assert [ledger.entries_since(TSLA, NOW + n * MINUTE) for n in range(3)] == [1, 1, 0]

    def test_an_entry_can_be_left_out_of_the_count(self) -> None:
        ledger = EMPTY.with_entry_sent(BUY, NOW).with_entry_sent(self.LATER, NOW)
        assert ledger.entries_since(TSLA, NOW, besides=BUY.id) == 1

    def test_symbols_are_counted_apart(self) -> None:
        assert EMPTY.with_entry_sent(BUY, NOW).entries_since(AAPL, NOW) == 0

    def test_entries_older_than_a_day_are_forgotten(self) -> None:
        ledger = EMPTY.with_entry_sent(self.ELSEWHERE, NOW).with_entry_sent(BUY, NOW + timedelta(days=1, seconds=1))
        assert AAPL not in ledger.entries_sent

    def test_an_entry_exactly_a_day_old_still_counts(self) -> None:
        ledger = EMPTY.with_entry_sent(BUY, NOW).with_entry_sent(self.LATER, NOW + timedelta(days=1))
        assert ledger.entries_since(TSLA, NOW) == 2

    def test_a_lock_that_is_over_is_forgotten_with_the_next(self) -> None:
        ledger = EMPTY.with_lock(AAPL, NOW, NOW + MINUTE).with_lock(TSLA, NOW + MINUTE, NOW + 2 * MINUTE)
        assert dict(ledger.locked) == {TSLA: NOW + 2 * MINUTE}

    def test_a_lock_that_still_holds_is_kept_beside_the_next(self) -> None:
        ledger = EMPTY.with_lock(AAPL, NOW, NOW + 2 * MINUTE).with_lock(TSLA, NOW + MINUTE, NOW + 3 * MINUTE)
        assert set(ledger.locked) == {AAPL, TSLA}


class TestPruning:
    WEEK = timedelta(days=7)

    @pytest.mark.parametrize(
        ("age", "live", "known"),
        [
            (WEEK - MINUTE, [], True),
            (WEEK, [], False),
            (52 * WEEK, [CYCLE], True),
            (52 * WEEK, ["another lot"], False),
        ],
        ids=["tried within the week", "tried a week ago", "its lot is still held", "its lot is gone"],
    )
    def test_a_purpose_is_forgotten_when_it_can_never_be_tried_again(
        self, age: timedelta, live: list[str], known: bool
    ) -> None:
        assert tried(1).pruned(live, NOW + age).generation(BUY.purpose) == (1 if known else 0)

    def test_an_origin_that_holds_the_separator_is_recognised(self) -> None:
        origin = CycleId("manual|desk 4")
        kept = tried(1, origin=origin).pruned([origin], NOW + 52 * self.WEEK)
        assert kept.generation(purpose(origin=origin)) == 1

    def test_the_week_counts_from_the_closing_of_the_try(self) -> None:
        late = tried(1, at=NOW + self.WEEK)
        assert late.pruned([], NOW + self.WEEK + MINUTE).generation(BUY.purpose) == 1

    def test_nothing_to_forget_gives_the_same_ledger(self) -> None:
        ledger = tried(1)
        assert ledger.pruned([], NOW) is ledger


SYMBOLS = (TSLA, AAPL, NVDA)
EQUITY = Decimal(10_000)
LIMITS = Limits(per_symbol=Decimal("0.05"), total=Decimal("0.08"), entries_per_hour=1_000, entries_per_day=1_000)
PRICE = Decimal(100)


EXECUTORS = ("run-1", "run-2", "run-3")
executors = st.sampled_from(EXECUTORS)


class Store:
    """A stored ledger under compare-and-set, as the Book keeps it."""

    def __init__(self) -> None:
        self.stored = Ledger(account=ACCOUNT)

    def save(self, changed: Ledger) -> None:
        if changed.version != self.stored.version:
            raise Conflict(f"version {self.stored.version} is stored, {changed.version} was read")
        self.stored = replace(changed, version=changed.version + 1)


class Executors(RuleBasedStateMachine):
    """Three executors that read, think for a while, and write under the version they read.

    An executor that lost reads again, as the use cases do; until then what it acts on may be old.
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.sees = dict.fromkeys(EXECUTORS, self.store.stored)
        self.prepared: list[tuple[str, int]] = []
        self.ids: set[IntentId] = set()
        self.archive: dict[IntentId, Intent] = {}

    @rule(who=executors)
    def read(self, who: str) -> None:
        self.sees[who] = self.store.stored

    @rule(
        who=executors,
        symbol=st.sampled_from(SYMBOLS),
        reason=st.sampled_from([Reason.ENTRY, Reason.DIP_BUY]),
        origin=st.sampled_from(["cycle-1", "cycle-2"]),
        wanted=st.integers(min_value=1, max_value=9),
    )
    def prepare_entry(self, who: str, symbol: Symbol, reason: Reason, origin: str, wanted: int) -> None:
        verdict = judge_entry(symbol, Decimal(wanted), PRICE, gate_input(symbol, self.sees[who]), LIMITS)
        if verdict.passes:
            self._prepare(who, str(verdict.quantity), symbol, reason, CycleId(origin))

    @rule(
        who=executors,
        symbol=st.sampled_from(SYMBOLS),
        reason=st.sampled_from([Reason.STOP_LOSS, Reason.TAKE_PROFIT]),
    )
    def prepare_exit(self, who: str, symbol: Symbol, reason: Reason) -> None:
        self._prepare(who, "5", symbol, reason, CycleId(f"lot of {symbol}"))

    def _prepare(self, who: str, quantity: str, symbol: Symbol, reason: Reason, origin: CycleId) -> None:
        generation = self.sees[who].generation(purpose(symbol, reason, origin))
        made = intent(quantity, str(PRICE), symbol=symbol, reason=reason, origin=origin, generation=generation)
        if self._save(who, lambda ledger: ledger.with_prepared(made)):
            self.prepared.append((made.purpose.key, generation))
            self.ids.add(made.id)

    @rule(who=executors, pick=st.integers(0, 5), step=st.integers(0, 7), share=st.integers(0, 5))
    def advance(self, who: str, pick: int, step: int, share: int) -> None:
        """Move one of the open intents one step along the table."""
        open_ones = sorted(self.sees[who].open.values(), key=lambda each: each.id)
        if not open_ones:
            return
        held = open_ones[pick % len(open_ones)]
        steps = sorted(TRANSITIONS[held.state])
        state = steps[step % len(steps)]
        filled = max(held.filled_quantity, min(Decimal(share), held.quantity))
        after = held.moved_to(state, filled_quantity=filled, closed_at=NOW if state in TERMINAL else None)
        if self._save(who, lambda ledger: ledger.with_changed(after)) and state in TERMINAL:
            self.archive[after.id] = after

    @rule(who=executors, state=st.sampled_from(S))
    def meddle_with_closed_intents(self, who: str, state: IntentState) -> None:
        for done in self.archive.values():
            if done.id not in self.sees[who].open:
                with pytest.raises(InvalidValue):
                    self.sees[who].with_changed(replace(done, state=state))

    @rule(who=executors)
    def forget_what_is_archived(self, who: str) -> None:
        self._save(who, lambda ledger: ledger.without_finished(list(ledger.finished)))

    @rule(who=executors, days=st.integers(min_value=0, max_value=6))
    def prune(self, who: str, days: int) -> None:
        self._save(who, lambda ledger: ledger.pruned([], NOW + timedelta(days=days)))

    def _save(self, who: str, change: Callable[[Ledger], Ledger]) -> bool:
        """Change what the executor sees and write it; whoever loses reads again."""
        try:
            self.store.save(change(self.sees[who]))
        except (Conflict, InvalidValue):
            return False
        finally:
            self.sees[who] = self.store.stored
        return True

    @invariant()
    def one_open_intent_per_symbol_and_side(self) -> None:
        slots = [(each.symbol, each.side) for each in self.store.stored.open.values()]
        assert len(slots) == len(set(slots))

    @invariant()
    def open_entries_stay_within_the_limits(self) -> None:
        committed = self.store.stored.committed
        assert committed() <= LIMITS.total * EQUITY
        assert max(committed(symbol) for symbol in SYMBOLS) <= LIMITS.per_symbol * EQUITY

    @invariant()
    def no_generation_is_used_twice(self) -> None:
        assert len(self.prepared) == len(set(self.prepared))

    @invariant()
    def every_try_has_an_id_of_its_own(self) -> None:
        assert len(self.ids) == len(self.prepared)

    @invariant()
    def closed_intents_stay_as_they_closed(self) -> None:
        stored = self.store.stored
        assert not self.archive.keys() & stored.open.keys()
        assert all(self.archive[key] == done for key, done in stored.finished.items())

    @invariant()
    def generations_count_every_closed_try(self) -> None:
        counted = {key: known.times for key, known in self.store.stored.generations.items()}
        closed_tries: dict[str, int] = {}
        for done in self.archive.values():
            closed_tries[done.purpose.key] = closed_tries.get(done.purpose.key, 0) + 1
        assert counted == closed_tries


def gate_input(symbol: Symbol, ledger: Ledger) -> GateInput:
    return replace(calm_gate(EQUITY, str(PRICE)), asset=tradable(symbol), ledger=ledger)


TestExecutors = Executors.TestCase
TestExecutors.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
