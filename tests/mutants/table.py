"""The mutants: each removes or turns one guard of money or safety."""

from __future__ import annotations

from typing import Final

from tests.mutants.broker_stops import BROKER_STOPS
from tests.mutants.budget import BUDGET, BUDGET_REQUIRED
from tests.mutants.mutant import Edit, Mutant
from tests.mutants.past_the_book import PAST_THE_BOOK

_CHECK = "shared/use_cases/check_risk.py"
_JUDGE = "shared/use_cases/judge_quotes.py"
_LOOK = "shared/use_cases/second_look.py"
_PLACE = "shared/use_cases/place_orders.py"
_POLL = "shared/use_cases/poll_prices.py"
_PREPARE = "shared/use_cases/prepare_entry.py"
_RECONCILE = "shared/use_cases/reconcile_orders.py"
_ROUTE = "shared/use_cases/route_alerts.py"
_WEIGH = "shared/use_cases/weigh_entry.py"
_SWITCH = "shared/use_cases/set_kill_switch.py"
_MODES = "tests/use_cases/test_switch_modes.py"
_FACT = "shared/use_cases/record_fact.py"
_ALERTS = "shared/domain/alerts.py"
_GATE = "shared/domain/gate.py"
_JOURNAL = "shared/domain/journal.py"
_LEDGER = "shared/domain/ledger.py"
_LOSSES = "shared/domain/losses.py"
_JUDGE_LOSSES = "shared/use_cases/judge_losses.py"
_INTENTS = "shared/domain/intents.py"
_ORDERS = "shared/domain/orders.py"
_POSITIONS = "shared/domain/positions.py"
_QUOTES = "shared/domain/quotes.py"
_RECONCILIATION = "shared/domain/reconciliation.py"
_SESSION = "shared/domain/session.py"
_STOPS = "shared/domain/stops.py"
_STATE = "shared/domain/trading_state.py"
_BOOK = "shared/adapters/memory/book.py"

_NEWEST_LEDGER: Final = Edit(
    _PREPARE,
    "                self.ledgers.save(ledger.with_prepared(intent))\n",
    "                newest = self.ledgers.load(self.account)\n"
    "                if _slot_refusal(newest, purpose) is None:\n"
    "                    self.ledgers.save(newest.with_prepared(intent))\n",
)
"""Save on a ledger that the gate has not judged."""

_NOT_WEIGHED_AGAIN: Final = (
    Edit(
        _PLACE,
        "        if not verdict.passes:\n            self._abandon(intent,",
        "        if verdict is None:\n            self._abandon(intent,",
    ),
    Edit(_PLACE, "gated = replace(intent, quantity=verdict.quantity,", "gated = replace(intent,"),
)
"""Send what was prepared, whatever the gate says now."""

REQUIRED: Final = (
    *BUDGET_REQUIRED,
    Mutant(
        name="order recorded after sending",
        breaks="the ledger knows of an order before it leaves",
        edits=(
            Edit(
                _PLACE,
                "        if not self._claim(claim, judged):\n            return\n        if claim.is_entry and",
                "        if claim.is_entry and",
            ),
            Edit(
                _PLACE,
                "        self._submit(claim)\n\n    def _record_send",
                "        self._submit(claim)\n        self._claim(claim, judged)\n\n    def _record_send",
            ),
        ),
    ),
    Mutant(
        name="alert marked sent before sending",
        breaks="a crash in between tells twice, never not at all",
        edits=(
            Edit(
                _ROUTE,
                "claim = replace(delivery, claimed_until=self.clock.now() + _CLAIM_FOR)",
                "claim = replace(delivery, state=DeliveryState.SENT, sent_at=self.clock.now())",
            ),
        ),
    ),
    Mutant(
        name="new order id for each attempt",
        breaks="a repeat is refused by the broker instead of filled twice",
        edits=(
            Edit(
                _ORDERS,
                "client_order_id=intent.id,",
                'client_order_id=intent.id if intent.sends == 1 else f"{intent.id}-{intent.sends}",',
            ),
        ),
    ),
    Mutant(
        name="limit checked then added",
        breaks="the gate judges the very ledger that the write is conditional on, and again before the send",
        edits=(_NEWEST_LEDGER, *_NOT_WEIGHED_AGAIN, Edit(_PLACE, "self._send(gated, ledger)", "self._send(gated)")),
    ),
    Mutant(
        name="kill switch not read before the send",
        breaks="no entry leaves after the switch is set",
        edits=(Edit(_PLACE, "if claim.is_entry and read_kill_switch(self.x.controls).engaged:", "if False:"),),
    ),
    Mutant(
        name="ledger written without its version",
        breaks="of two writers at once one loses and reads again",
        edits=(
            Edit(
                _BOOK,
                "if self.load(ledger.account).version != ledger.version:",
                "if False:",
            ),
        ),
    ),
    Mutant(
        name="intent settled while its request is under way",
        breaks="silence of the broker means nothing before the send deadline",
        edits=(
            Edit(
                _RECONCILE,
                "patience = self.rules.lease if intent.state is _S.SENT else self.rules.send_deadline",
                "patience = timedelta(0)",
            ),
        ),
        seeds=1000,
    ),
)
"""The bugs that the list of faults names, as far as they concern orders, alerts, limits and the kill switch."""

SENDING: Final = (
    Mutant(
        name="claim that lost taken for won",
        breaks="only the run that claimed an intent sends it",
        edits=(
            Edit(
                _PLACE,
                "                if judged is not None:\n                    raise\n                continue\n",
                "                return True\n",
            ),
        ),
    ),
    Mutant(
        name="claim without the state before",
        breaks="an intent that is SENT already is not sent again by a second run",
        edits=(
            Edit(
                _PLACE,
                "if stored is None or stored.state is not _S.PREPARED:\n                return False",
                "if stored is None:\n                return False",
            ),
        ),
        test="tests/use_cases/test_place_orders.py"
        "::test_what_an_executor_claimed_that_died_is_not_sent_by_one_that_overlapped",
    ),
    Mutant(
        name="lease taken without its owner",
        breaks="only one executor runs at a time",
        edits=(
            Edit(
                _BOOK,
                "if held is not None and held[0] != owner and held[1] > now:",
                "if False:",
            ),
        ),
    ),
    Mutant(
        name="lease released without its owner",
        breaks="a run that lost its lease cannot free the next one's",
        edits=(
            Edit(
                _BOOK,
                "if held is not None and held[0] == owner:",
                "if held is not None:",
            ),
        ),
        test="tests/simulation/test_guards.py::test_only_its_owner_can_give_a_lease_back",
    ),
    Mutant(
        name="request sent long after its claim",
        breaks="a request has landed before anybody draws a conclusion from silence",
        edits=(Edit(_PLACE, "if self.x.clock.now() - now > self.x.rules.start_within:", "if False:"),),
        test="tests/use_cases/test_place_orders.py"
        "::test_a_claim_older_than_ten_seconds_is_not_sent_and_sent_later_under_the_same_id",
    ),
    Mutant(
        name="entry sent without the journal",
        breaks="an entry's send is in the journal before it leaves",
        edits=(
            Edit(
                _PLACE,
                "            if intent.is_entry:\n                raise\n            return False",
                "            return False",
            ),
        ),
    ),
    Mutant(
        name="exit waits for the journal",
        breaks="an exit goes out while the journal is down",
        edits=(
            Edit(
                _PLACE,
                "            if intent.is_entry:\n                raise\n            return False",
                "            raise",
            ),
        ),
        test="tests/use_cases/test_place_orders.py::test_with_the_journal_down_an_exit_leaves_and_is_journaled_later",
    ),
    Mutant(
        name="exit's send never caught up in the journal",
        breaks="every order is in the journal, at the latest when it is finished",
        edits=(
            Edit(
                _PLACE,
                "                raise\n            return False",
                "                raise\n            return True",
            ),
        ),
    ),
    Mutant(
        name="unknown outcome taken for a refusal",
        breaks="a lost answer blocks the symbol until the broker was asked",
        edits=(
            Edit(
                _PLACE,
                "            self._look_up(claim, str(error))\n        except TryAgain",
                '            self._reject(claim, str(error), "")\n        except TryAgain',
            ),
        ),
    ),
    Mutant(
        name="used id taken for a refusal",
        breaks="a used id means that the broker has the order",
        edits=(
            Edit(
                _PLACE,
                'self._look_up(claim, "the broker has seen this id")',
                'self._reject(claim, str(refusal), "")',
            ),
        ),
        test="tests/use_cases/test_place_orders.py::test_a_used_id_is_looked_up_and_adopted",
    ),
    Mutant(
        name="429 taken for a refusal",
        breaks="an order that the broker had no time for is sent later",
        edits=(
            Edit(
                _PLACE,
                "            self._change_intent(claim.id, _unsent)\n"
                "            ring_quietly(self.x.doorbell, self.x.rules.look_again)\n            raise error",
                '            self._reject(claim, str(error), "")\n            raise error',
            ),
        ),
        test="tests/use_cases/test_place_orders.py::test_a_throttled_exit_holds_back_everything_and_loses_nothing",
    ),
    Mutant(
        name="429 counted as a send",
        breaks="what the broker did not look at costs none of the two sends",
        edits=(Edit(_PLACE, "state=_S.PREPARED, sends=intent.sends - 1)", "state=_S.PREPARED)"),),
    ),
    Mutant(
        name="wait asked by the broker ignored",
        breaks="after a 429 nothing is sent until the broker takes requests again",
        edits=(Edit(_PLACE, "if self._is_before(ledger.quiet_until):", "if False:"),),
    ),
    Mutant(
        name="entries tried before the broker takes them",
        breaks="an entry waits as long as the broker asks",
        edits=(Edit(_PLACE, "if self._is_before(ledger.entries_quiet_until):", "if False:"),),
        test="tests/use_cases/test_place_orders.py"
        "::test_an_entry_waits_as_long_as_the_broker_asks_though_exits_are_tried_after_a_minute",
    ),
    Mutant(
        name="429 forgotten within the run",
        breaks="after a 429 the same run sends nothing more",
        edits=(Edit(_PLACE, "            if self.held_back:", "            if False:"),),
    ),
    Mutant(
        name="first send not looked for before the second",
        breaks="an order that took its time is adopted, not sent again or given up",
        edits=(
            Edit(
                _PLACE, "order = self.x.broker.order_by_client_id(intent.id) if intent.sends else None", "order = None"
            ),
            Edit(_RECONCILE, "return intent.moved_to(_S.SENT) if intent.sends else intent", "return intent"),
        ),
        test="tests/use_cases/test_place_orders.py"
        "::test_a_late_entry_is_adopted_even_when_the_gate_would_no_longer_let_it_pass",
    ),
    Mutant(
        name="entry sent a third time",
        breaks="an intent is sent at most twice",
        edits=(Edit(_RECONCILE, "if intent.sends < MAX_SENDS:", "if True:"),),
        seeds=1000,
    ),
    Mutant(
        name="order in doubt not looked up",
        breaks="the broker is asked for an order before it counts as never received",
        edits=(
            Edit(
                _RECONCILE,
                "if i.sends or i.state is not _S.PREPARED}",
                "if i.state not in IN_DOUBT | {_S.PREPARED}}",
            ),
        ),
    ),
    Mutant(
        name="entry not weighed again before sending",
        breaks="limits, state and price are judged again just before the send",
        edits=_NOT_WEIGHED_AGAIN,
        test="tests/simulation/test_guards.py::test_an_entry_that_no_longer_fits_is_cut_before_it_is_sent",
    ),
    Mutant(
        name="entry sent however old",
        breaks="an entry not sent within ten minutes is given up",
        edits=(Edit(_PLACE, "if self.x.clock.now() - intent.created_at > self.x.rules.entry_good_for:", "if False:"),),
        test="tests/use_cases/test_place_orders.py::test_an_entry_not_sent_for_ten_minutes_is_abandoned",
    ),
    Mutant(
        name="entries before exits",
        breaks="exits leave first",
        edits=(
            Edit(
                _PLACE,
                "        self._each([i for i in prepared if not i.is_entry and not i.rests], self._place_exit)\n",
                "        self._each([i for i in prepared if i.is_entry], self._place_entry)\n",
            ),
            Edit(
                _PLACE,
                "        self._each([i for i in prepared if i.is_entry], self._place_entry)\n\n    def _is_before",
                "        self._each([i for i in prepared if not i.is_entry and not i.rests], self._place_exit)\n\n"
                "    def _is_before",
            ),
        ),
        test="tests/use_cases/test_place_orders.py::test_exits_leave_before_entries_that_were_prepared_earlier",
    ),
    Mutant(
        name="generation not raised",
        breaks="an exit that ended unfilled is tried again under a new id",
        edits=(Edit(_LEDGER, "Tried(intent.generation + 1,", "Tried(intent.generation,"),),
    ),
    Mutant(
        name="one decision buys twice",
        breaks="a cycle gives at most one order",
        edits=(Edit(_PREPARE, "if ledger.generation(purpose) > ZERO:", "if False:"),),
        test="tests/use_cases/test_prepare_entry.py::test_one_decision_gives_one_order_even_after_it_filled",
    ),
    Mutant(
        name="two open intents in one slot",
        breaks="one open intent for each symbol and side",
        edits=(
            Edit(
                _LEDGER,
                "        if taken is not None:\n            raise InvalidValue",
                "        if False:\n            raise InvalidValue",
            ),
            Edit(_PREPARE, "    if taken is not None:\n        return", "    if False:\n        return"),
        ),
    ),
    Mutant(
        name="terminal intent changes again",
        breaks="what is finished stays as it is",
        edits=(
            Edit(_INTENTS, "if not self.is_open and moved != self:", "if False:"),
            Edit(_INTENTS, "return state is self.state or state in TRANSITIONS[self.state]", "return True"),
        ),
        test="tests/unit/test_intents.py::TestStates::test_a_terminal_intent_takes_no_more_changes",
    ),
)

KILL_SWITCH: Final = (
    Mutant(
        name="unreadable kill switch taken for clear",
        breaks="a switch that cannot be read counts as set",
        edits=(Edit(_STATE, 'mode=SwitchMode.KILL, by="hearthwatch"', 'mode=SwitchMode.OFF, by="hearthwatch"'),),
    ),
    Mutant(
        name="state published only when told",
        breaks="a change of state counts at once, whether or not it could be told",
        edits=(
            Edit(
                _CHECK,
                "        self.controls.publish_trading_state(state)\n",
                "        if told:\n            self.controls.publish_trading_state(state)\n",
            ),
        ),
        test="tests/use_cases/test_check_risk.py"
        "::test_a_change_that_cannot_be_told_is_published_at_once_and_told_at_the_next_tick",
    ),
    Mutant(
        name="kill switch leaves resting entries",
        breaks="the switch cancels entries in flight within two ticks",
        edits=(Edit(_PLACE, "        if self._entries_must_go():", "        if False:"),),
        test="tests/use_cases/test_set_kill_switch.py"
        "::test_resting_entries_are_canceled_within_two_ticks_and_a_breached_stop_still_sells",
    ),
    Mutant(
        name="kill switch cancels exits",
        breaks="exits go on under the kill switch",
        edits=(
            Edit(
                _PLACE,
                "            self._each(resting_entries, self._cancel)\n",
                "            self._each(ledger.in_state(*AT_BROKER), self._cancel)\n",
            ),
            Edit(
                _PLACE,
                "    return intent.is_entry and intent.state in AT_BROKER\n",
                "    return intent.state in AT_BROKER\n",
            ),
        ),
        test=f"{_MODES}::test_a_freeze_leaves_the_stop_alone_that_rests_at_the_broker",
    ),
    Mutant(
        name="kill switch holds exits",
        breaks="an exit is never refused by the kill switch",
        edits=(
            Edit(
                _PLACE,
                "        if self._cancel_opposite(intent) or not",
                "        if read_kill_switch(self.x.controls).engaged or self._cancel_opposite(intent) or not",
            ),
        ),
        test=f"{_MODES}::test_a_breached_stop_still_sells",
    ),
    Mutant(
        name="kill switch not before the gate",
        breaks="the gate refuses every entry while the switch is set",
        edits=(Edit(_GATE, "    if given.kill_switch.engaged:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="kill switch cleared by the next risk check",
        breaks="nothing but a person's clear ends it",
        edits=(
            Edit(
                _CHECK,
                "        switch = read_kill_switch(self.controls)\n",
                "        switch = read_kill_switch(self.controls)\n"
                "        self.controls.set_kill_switch(replace(switch, mode=type(switch.mode).OFF))\n",
            ),
        ),
        test=f"{_MODES}::test_nothing_but_clear_ends_it_neither_time_nor_a_restart",
    ),
    Mutant(
        name="freeze not read before an exit's send",
        breaks="a freeze set after the claim hands the exit back unsent",
        edits=(Edit(_PLACE, "        if not claim.is_entry and self._is_frozen(claim):", "        if False:"),),
        test=f"{_MODES}::test_a_freeze_between_claim_and_send_hands_the_exit_back_unsent",
    ),
    Mutant(
        name="freeze withdraws a resting stop",
        breaks="what rests at the broker stays while no exit can follow",
        edits=(Edit(_PLACE, "        if read_kill_switch(self.x.controls).freezes:", "        if False:"),),
        test=f"{_MODES}::test_a_stop_that_is_to_move_stays_where_it_rests_under_a_freeze",
    ),
    Mutant(
        name="unreadable kill switch taken for a freeze",
        breaks="what cannot be read never holds an exit",
        edits=(Edit(_STATE, 'mode=SwitchMode.KILL, by="hearthwatch"', 'mode=SwitchMode.FREEZE, by="hearthwatch"'),),
        test=f"{_MODES}::test_an_unreadable_switch_stops_entries_and_neither_freezes_nor_flattens",
    ),
    Mutant(
        name="unreadable kill switch taken for a flatten",
        breaks="what cannot be read never sells",
        edits=(Edit(_STATE, 'mode=SwitchMode.KILL, by="hearthwatch"', 'mode=SwitchMode.FLATTEN, by="hearthwatch"'),),
        test=f"{_MODES}::test_an_unreadable_switch_stops_entries_and_neither_freezes_nor_flattens",
    ),
    Mutant(
        name="flatten repeated",
        breaks="a flatten prepares one exit for each position",
        edits=(
            Edit(_CHECK, "            if open_exit is not None:\n", "            if False:\n"),
            Edit(
                _CHECK, "reason=verdict.reason, origin=seen.lot\n", "reason=verdict.reason, origin=seen.lot + str(_)\n"
            ),
            Edit(
                _LEDGER,
                "        if taken is not None:\n            raise InvalidValue(",
                "        if False:\n            raise InvalidValue(",
            ),
        ),
        test=f"{_MODES}::test_flatten_sells_each_position_once_however_often_it_is_checked_and_sent",
    ),
    Mutant(
        name="cleared, frozen or flattened without words",
        breaks="what loosens protection or moves everything is typed",
        edits=(Edit(_SWITCH, "        if words and typed != words:", "        if False:"),),
        test=f"{_MODES}::test_other_words_than_those_asked_for_change_nothing",
    ),
    Mutant(
        name="kill lets go of a freeze",
        breaks="a kill never loosens what a stronger mode holds",
        edits=(
            Edit(
                _STATE,
                ' if standing.freezes or standing.flattens else ""',
                ' if False else ""',
            ),
        ),
        test=f"{_MODES}::test_other_words_than_those_asked_for_change_nothing",
    ),
    Mutant(
        name="switch changed that nobody saw",
        breaks="what somebody else set meanwhile is not cleared unseen",
        edits=(Edit(_SWITCH, "        if seen is not None and standing != seen:", "        if False:"),),
        test=f"{_MODES}::test_a_switch_that_changed_since_it_was_shown_is_not_changed",
    ),
    Mutant(
        name="halted state allows entries",
        breaks="no entry while any reason to halt is active",
        edits=(Edit(_GATE, "    if not given.state.entries_allowed:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
    ),
)

LIMITS: Final = (
    Mutant(
        name="entry stored on a ledger not judged",
        breaks="entries prepared at the same moment cannot pass a limit together",
        edits=(_NEWEST_LEDGER,),
    ),
    Mutant(
        name="limit per symbol dropped",
        breaks="a symbol takes at most its share of equity",
        edits=(Edit(_GATE, "return _within(limits.per_symbol, given.equity", "return _within(ONE, given.equity"),),
    ),
    Mutant(
        name="total limit dropped",
        breaks="all positions take at most their share of equity",
        edits=(Edit(_GATE, "return _within(limits.total, given.equity", "return _within(ONE, given.equity"),),
    ),
    Mutant(
        name="limit per symbol ignores open entries",
        breaks="open entries count towards the symbol's limit",
        edits=(Edit(_GATE, "    others, name = entry.others.in_symbol,", "    others, name = ZERO,"),),
        test="tests/unit/test_gate.py::TestShrinking::test_open_entries_count",
    ),
    Mutant(
        name="total limit ignores open entries",
        breaks="open entries count towards the total limit",
        edits=(Edit(_GATE, "    others, name = entry.others.in_total,", "    others, name = ZERO,"),),
    ),
    Mutant(
        name="unreadable positions taken for none",
        breaks="an exposure that is unknown lets no entry pass",
        edits=(
            Edit(
                _WEIGH,
                "UNKNOWN_EXPOSURE if held is None else exposure_of(symbol, held, quotes)",
                "exposure_of(symbol, held or {}, quotes)",
            ),
        ),
        test="tests/use_cases/test_prepare_entry.py::test_the_gate_refuses_and_says_why",
    ),
    Mutant(
        name="unpriced position taken for worthless",
        breaks="a held symbol without a price lets no entry pass",
        edits=(
            Edit(
                _LOSSES,
                "        if quote is None or quote.price is None:\n            return None",
                "        if quote is None or quote.price is None:\n            continue",
            ),
        ),
        test="tests/unit/test_gate.py::TestExposure::test_one_price_that_is_missing_leaves_all_of_it_unknown",
    ),
    Mutant(
        name="runaway guard removed",
        breaks="at most two entries an hour in a symbol",
        edits=(Edit(_GATE, "        PACE: _pace,\n", ""),),
    ),
    Mutant(
        name="locked symbol takes entries",
        breaks="a symbol that had too many entries is locked until the next session",
        edits=(Edit(_GATE, "    if locked_until is not None and given.now < locked_until:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="sent entries not counted",
        breaks="each entry that leaves counts for the runaway guard",
        edits=(Edit(_PLACE, "            if claim.is_entry and claim.sent_at is not None:", "            if False:"),),
    ),
    Mutant(
        name="collar removed",
        breaks="an entry costs at most 2 % more than the judged price",
        edits=(Edit(_GATE, "    if abs(entry.worst_price - price) > limits.collar * price:", "    if False:"),),
        test="tests/unit/test_gate.py::TestCollar::test_a_price_further_away_is_refused",
    ),
    Mutant(
        name="entries while the exchange is closed",
        breaks="entries leave only while calendar and clock say open",
        edits=(Edit(_GATE, "    if not given.session.is_open:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="entries on a quote in doubt",
        breaks="an entry needs a quote without any doubt",
        edits=(Edit(_GATE, "    if not given.quote.opens_positions:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_quote_in_any_doubt_is_refused",
    ),
    Mutant(
        name="entries in a frozen symbol",
        breaks="no entry in a symbol whose quantity is unexplained",
        edits=(Edit(_GATE, "    if given.frozen:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="entries beside an order in doubt",
        breaks="no entry in a symbol whose order may or may not be at the broker",
        edits=(Edit(_GATE, "    if given.ledger.is_in_doubt(entry.symbol):", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="quantity rounded up",
        breaks="a limit is never passed by rounding",
        edits=(
            Edit(
                "shared/domain/money.py", "QUANTITY_STEP, rounding=ROUND_DOWN", "QUANTITY_STEP, rounding=ROUND_CEILING"
            ),
        ),
        test="tests/unit/test_money.py::test_cutting_a_quantity_never_adds_and_loses_less_than_a_step",
    ),
)

EXITS: Final = (
    Mutant(
        name="exit needs a quote without doubt",
        breaks="an exit acts on a degraded price",
        edits=(
            Edit(
                _CHECK,
                "            if quote is None or price is None:",
                "            if quote is None or price is None or quote.doubts:",
            ),
        ),
        test="tests/use_cases/test_check_risk.py::test_with_the_primary_dead_the_backup_sells_and_the_alert_says_so",
    ),
    Mutant(
        name="NaN compared with the stop",
        breaks="what is not a number never meets a stop",
        edits=(
            Edit(
                _QUOTES,
                "    if quote is None or quote.last is None or not can_be_a_price(quote.last):\n",
                "    if quote is None or quote.last is None:\n",
            ),
        ),
        seeds=1000,
    ),
    Mutant(
        name="absurd number taken for a price",
        breaks="a number that no share costs is no price",
        edits=(Edit(_QUOTES, "HIGHEST_PRICE: Final = Decimal(10_000_000)", 'HIGHEST_PRICE: Final = Decimal("1E+99")'),),
        test="tests/faults/test_numbers_from_outside.py::"
        "test_a_number_that_no_share_costs_is_no_price_however_often_it_comes",
    ),
    Mutant(
        name="wild print sells at once",
        breaks="a jump over 20 % needs a second source or the next tick",
        edits=(
            Edit(
                _QUOTES,
                "return last_good is not None and abs(price - last_good) > limits.wild_move * last_good",
                "return False",
            ),
        ),
        test="tests/unit/test_quotes.py::TestWildPrints::test_a_larger_jump_waits_down_and_up",
    ),
    Mutant(
        name="last good price never moves on",
        breaks="the jump is measured from the newest good price",
        edits=(
            Edit(
                _QUOTES,
                "quote.feed, NO_DOUBTS, last, at, None, None)",
                "quote.feed, NO_DOUBTS, (previous and previous.last_good) or last, at, None, None)",
            ),
        ),
        test="tests/unit/test_quotes.py::TestWildPrints::test_one_wild_print_and_back_keeps_the_last_good_price",
    ),
    Mutant(
        name="stale price serves an exit",
        breaks="a stop is not judged on an old price",
        edits=(
            Edit(
                _QUOTES,
                "return not doubts & {Doubt.STALE, Doubt.FROM_THE_FUTURE, Doubt.UNDATED}",
                "return True",
            ),
        ),
        seeds=1000,
    ),
    Mutant(
        name="opposite order not canceled",
        breaks="an exit cancels our own resting buy first",
        edits=(Edit(_PLACE, "        if self._cancel_opposite(intent) or not self", "        if not self"),),
        seeds=1000,
    ),
    Mutant(
        name="entry beside an open exit",
        breaks="no entry while an exit in the symbol is open",
        edits=(
            Edit(
                _PREPARE, "    if ledger.open_for(purpose.symbol, purpose.side.opposite) is not None:", "    if False:"
            ),
        ),
        test="tests/use_cases/test_prepare_entry.py::test_no_entry_while_an_exit_in_the_symbol_is_open",
    ),
    Mutant(
        name="exit of more than is held",
        breaks="an exit sells at most what the broker holds free",
        edits=(Edit(_PLACE, "quantity=min(wanted, held.available)", "quantity=wanted"),),
        test="tests/use_cases/test_place_orders.py"
        "::test_shares_reserved_by_a_stranger_block_the_exit_with_an_alert_and_free_ones_go",
    ),
    Mutant(
        name="second exit beside the first",
        breaks="one open exit for each position",
        edits=(
            Edit(
                _CHECK,
                "            if open_exit is not None:\n                self._tell_late",
                "            if False:\n                self._tell_late",
            ),
            Edit(
                _LEDGER,
                "        if taken is not None:\n            raise InvalidValue",
                "        if False:\n            raise InvalidValue",
            ),
        ),
    ),
    Mutant(
        name="one blind symbol stops all exits",
        breaks="one position's failure keeps no other from being judged",
        edits=(
            Edit(
                _CHECK,
                "prepared += self._close_blind(position, quote, day)\n                    continue",
                "prepared += self._close_blind(position, quote, day)\n                    break",
            ),
        ),
        test="tests/simulation/test_guards.py::test_a_blind_symbol_does_not_keep_another_from_being_sold",
    ),
    Mutant(
        name="stop compared without the equal price",
        breaks="at the stop is sold",
        edits=(
            Edit(_STOPS, "    if price <= position.stop_price:\n", "    if price < position.stop_price:\n"),
            Edit(_STOPS, "    if price <= stop:\n", "    if price < stop:\n"),
        ),
        test="tests/unit/test_stops.py::TestStopLoss::test_price_against_stop",
    ),
    Mutant(
        name="trailing stop moves down",
        breaks="the high since entry never falls",
        edits=(Edit(_POSITIONS, "if high is not None and price <= high:", "if high is not None and price == high:"),),
        test="tests/unit/test_stops.py::test_a_trailing_stop_never_moves_down",
    ),
    Mutant(
        name="stop rounded down",
        breaks="stops are rounded half up to a cent",
        edits=(
            Edit(
                "shared/domain/money.py",
                "return price.quantize(CENT if price >= ONE else PRICE_TICK, rounding=ROUND_HALF_UP)",
                "return price.quantize(CENT if price >= ONE else PRICE_TICK, rounding=ROUND_DOWN)",
            ),
        ),
        test="tests/unit/test_positions.py::TestLevels::test_the_stop_lies_a_fifth_under_entry_rounded_half_up",
    ),
    Mutant(
        name="exit refused for good on shares reserved",
        breaks="an exit that the broker cannot take now waits for the next run",
        edits=(Edit(_PLACE, "elif not claim.is_entry and refusal.kind in _EXIT_WAITS:", "elif False:"),),
        test="tests/use_cases/test_place_orders.py::test_a_strangers_resting_buy_blocks_the_exit_until_it_is_gone",
    ),
    Mutant(
        name="split not applied before the stop",
        breaks="known corporate actions re-base the stop first",
        edits=(Edit(_CHECK, "held = self._adjusted(stored.positions, day)", "held = list(stored.positions)"),),
        test="tests/use_cases/test_late_actions.py"
        "::test_a_split_that_the_plan_knows_is_no_jump_though_its_source_is_down",
    ),
    Mutant(
        name="unsure session taken for open",
        breaks="nothing is sent while calendar and clock disagree",
        edits=(
            Edit(_SESSION, "return self.state is SessionState.OPEN", "return self.state is not SessionState.CLOSED"),
        ),
        test="tests/unit/test_session.py::test_session_is_open_only_when_calendar_and_clock_agree",
    ),
)

RECONCILIATION: Final = (
    Mutant(
        name="ledger lets go before positions are written",
        breaks="exposure is counted twice for a moment, never not at all",
        edits=(
            Edit(
                _RECONCILE,
                "            self._take_positions(ours, picture, _moved(before, facts, late), late)\n"
                "            ledger = self._take_orders(picture)\n",
                "            ledger = self._take_orders(picture)\n"
                "            self._take_positions(ours, picture, _moved(before, facts, late), late)\n",
            ),
        ),
    ),
    Mutant(
        name="broker facts written last",
        breaks="fills are explained before the ledger forgets them",
        edits=(
            Edit(_RECONCILE, "            self.records.put(facts)\n            self._take", "            self._take"),
            Edit(
                _RECONCILE,
                "        finished = self._finish(ledger, picture)\n",
                "        finished = self._finish(ledger, picture)\n        self.records.put(facts)\n",
            ),
        ),
    ),
    Mutant(
        name="facts of another pass overlooked",
        breaks="a pass that was overtaken while it read raises no false alarm",
        edits=(Edit(_RECONCILE, "if _version(self.records.last()) != _version(before):", "if False:"),),
    ),
    Mutant(
        name="fills before the first pass taken for trades by hand",
        breaks="the first pass knows the fills of our own orders",
        edits=(
            Edit(_RECONCILE, "return low <= difference.expected <= high", "return difference.expected == low == high"),
        ),
        test="tests/simulation/test_guards.py::test_an_exit_filled_before_the_first_pass_is_no_trade_by_hand",
    ),
    Mutant(
        name="broker read only once",
        breaks="a picture of a broker that trades meanwhile is read again",
        edits=(
            Edit(_RECONCILE, "if same_ledger and _fills(self._orders_of(ledger, live)) == _fills(orders):", "if True:"),
        ),
        test="tests/use_cases/test_reconcile_orders.py::test_a_fill_while_the_broker_is_read_is_read_again_and_settled_in_the_same_pass",
    ),
    Mutant(
        name="finished intent forgotten untold",
        breaks="an intent leaves the ledger only after it was told, journaled and archived",
        edits=(
            Edit(
                _RECONCILE,
                "            else:\n                done.append(intent)\n",
                "            done.append(intent)\n",
            ),
        ),
    ),
    Mutant(
        name="finished intent not archived",
        breaks="every order has its intent in the book",
        edits=(Edit(_RECONCILE, "        self.ledgers.archive(intent)\n", ""),),
    ),
    Mutant(
        name="finished intent not told",
        breaks="a person hears how every order ended",
        edits=(
            Edit(
                _RECONCILE,
                "            self.alerts.send(alert)\n        self.ledgers",
                "            pass\n        self.ledgers",
            ),
        ),
    ),
    Mutant(
        name="finished intent not journaled",
        breaks="every order's outcome is in the journal",
        edits=(
            Edit(
                _RECONCILE,
                '        self.record("intent_closed", intent.closed_at or now, **intent.fields())\n',
                "",
            ),
        ),
    ),
    Mutant(
        name="older news of an order taken",
        breaks="what the broker said later is not undone by what it said before",
        edits=(
            Edit(
                _ORDERS,
                "if not intent.is_open or order.filled_quantity < intent.filled_quantity:",
                "if not intent.is_open:",
            ),
        ),
        test="tests/unit/test_orders.py::TestWhatTheBrokerSays::test_older_news_with_fewer_fills_changes_nothing",
    ),
    Mutant(
        name="difference told only once tried",
        breaks="a difference that could not be told is told by the next pass",
        edits=(
            Edit(
                _RECONCILE,
                "tuple(d for d in untold if not self._told(d))",
                "tuple(d for d in untold if self._told(d) is None)",
            ),
        ),
        seeds=1000,
    ),
    Mutant(
        name="difference does not freeze",
        breaks="an unexplained quantity freezes the symbol's entries",
        edits=(
            Edit(
                _RECONCILE,
                "replace(facts, frozen=frozen, clean=",
                "replace(facts, clean=",
            ),
        ),
        test="tests/simulation/test_guards.py::test_a_trade_by_hand_freezes_its_symbol_from_the_pass_that_finds_it",
    ),
)

TELLING: Final = (
    Mutant(
        name="exit not told",
        breaks="the alert of an exit is queued before the exit is stored",
        edits=(Edit(_CHECK, "told=tell_quietly(self.alerts, stop_alert(intent))", "told=True"),),
    ),
    Mutant(
        name="exit told after it is stored",
        breaks="a crash after the exit is stored cannot lose its alert",
        edits=(
            Edit(
                _CHECK,
                "            intent = replace(intent, told=tell_quietly(self.alerts, stop_alert(intent)))\n",
                "            intent = replace(intent, told=True)\n",
            ),
            Edit(
                _CHECK,
                "            ring_quietly(self.doorbell)\n            self._record_quietly(intent)\n",
                "            ring_quietly(self.doorbell)\n            tell_quietly(self.alerts, stop_alert(intent))\n"
                "            self._record_quietly(intent)\n",
            ),
        ),
    ),
    Mutant(
        name="late telling of an exit dropped",
        breaks="an exit whose alert could not be queued is told by the next tick",
        edits=(Edit(_CHECK, "                self._tell_late(ledger, open_exit)\n", ""),),
        test="tests/use_cases/test_check_risk.py::test_a_dead_alert_queue_does_not_stop_the_exit_which_is_told_later",
    ),
    Mutant(
        name="repeat counted twice on redelivery",
        breaks="the same alert again changes nothing",
        edits=(Edit(_ALERTS, "        if self._knows(alert):\n            return self\n", ""),),
        test="tests/unit/test_alerts.py::TestRedelivery::test_a_repeat_delivered_again_is_counted_once",
    ),
    Mutant(
        name="late recovery ends a newer incident",
        breaks="a recovery ends nothing that began after it",
        edits=(
            Edit(
                _ALERTS,
                "if self.recovery is not None else alert.at >= self.opened_at",
                "if self.recovery is not None else True",
            ),
        ),
        seeds=1000,
    ),
    Mutant(
        name="alert swallowed by a lost race",
        breaks="an alert that lost the write is stored on top of what won",
        edits=(
            Edit(
                _ROUTE,
                "                return self.outbox.put(merged)\n            except Conflict:\n"
                "                continue\n",
                "                return self.outbox.put(merged)\n            except Conflict:\n"
                "                return None\n",
            ),
        ),
        seeds=1000,
    ),
    Mutant(
        name="throttled alert given up",
        breaks="a channel that asks to wait is tried again",
        edits=(
            Edit(
                _ROUTE,
                "        return replace(tried, not_before=until, problem=problem)",
                "        return self._dead(alert, channel, tried, problem)",
            ),
        ),
        test="tests/use_cases/test_route_alerts.py::test_a_throttled_channel_is_waited_for_and_email_is_told_meanwhile",
    ),
    Mutant(
        name="dead alert not kept",
        breaks="what cannot be delivered is in the dead letters",
        edits=(Edit(_ROUTE, '        self.dead_letters.keep(f"{channel}: {alert.id}: {alert.text}", problem)\n', ""),),
        test="tests/use_cases/test_route_alerts.py::test_with_both_channels_dead_everything_is_dead_lettered",
    ),
    Mutant(
        name="critical alert never escalates",
        breaks="a critical alert nobody saw goes to e-mail",
        edits=(
            Edit(
                _ALERTS,
                "return self.alert.severity is Severity.CRITICAL and now - self.opened_at >= rules.escalate_after",
                "return False",
            ),
        ),
        test="tests/use_cases/test_route_alerts.py"
        "::test_a_critical_alert_nobody_acknowledged_goes_by_email_after_ten_minutes",
    ),
    Mutant(
        name="move reported without its cooldown",
        breaks="a move is reported once in its quiet time",
        edits=(
            Edit(
                _POLL,
                "        if not self.cooldowns.start(key, now, now + CLAIM_FOR):",
                "        if not self.cooldowns.start(key, now, now + CLAIM_FOR) and False:",
            ),
        ),
        test="tests/use_cases/test_poll_prices.py::test_fifty_runs_that_find_one_move_at_once_give_one_event",
    ),
    Mutant(
        name="duplicate tick not refused",
        breaks="the same tick again changes nothing",
        edits=(
            Edit(_POLL, "if previous is not None and previous.at >= tick.scheduled:", "if False:"),
            Edit(
                _POLL,
                "if not self.prices.put_minute(tick, quotes):",
                "if self.prices.put_minute(tick, quotes) is None:",
            ),
        ),
        test="tests/use_cases/test_poll_prices.py::test_two_runs_of_one_tick_at_once_store_one_minute",
    ),
    Mutant(
        name="late tick stores prices of now",
        breaks="a minute that newer ones overtook stays empty",
        edits=(
            Edit(
                _POLL,
                "if previous is not None and previous.at >= tick.scheduled:",
                "if previous is not None and previous.at == tick.scheduled:",
            ),
        ),
        test="tests/use_cases/test_poll_prices.py"
        "::test_an_older_tick_delivered_late_stores_no_price_of_now_under_its_minute",
    ),
    Mutant(
        name="lost race in the journal taken for stored",
        breaks="a fact that lost its place is stored at the next one",
        edits=(
            Edit(
                _FACT,
                "            if self.journal.put(link):\n                return link\n",
                "            self.journal.put(link)\n            return link\n",
            ),
        ),
    ),
    Mutant(
        name="journal entry without the one before",
        breaks="each entry's hash covers the one before it",
        edits=(
            Edit(_JOURNAL, '{day.isoformat()}|{sequence}|{previous}|{body}"', '{day.isoformat()}|{sequence}|{body}"'),
        ),
        test="tests/unit/test_journal.py::TestLinking::test_the_hash_covers_day_number_predecessor_and_body",
    ),
    Mutant(
        name="journal entries not chained",
        breaks="each entry names the one before it",
        edits=(Edit(_JOURNAL, "previous = head.hash if head else genesis(fact.day)", "previous = genesis(fact.day)"),),
    ),
)

_LATE = "tests/use_cases/test_late_actions.py"
_LOSS = "tests/use_cases/test_data_loss.py"

PRICES: Final = (
    Mutant(
        name="no second look before a stop",
        breaks="an action known late is applied before the stop fires on a gap",
        edits=(Edit(_LOOK, "if not decides_from_afar(position, quote.price):", "if True:"),),
        test=f"{_LATE}::test_it_is_applied_once_however_often_the_day_is_checked",
    ),
    Mutant(
        name="no second look at a jump",
        breaks="an action known late is no jump and no move",
        edits=(Edit(_JUDGE, "        if late:\n", "        if False:\n"),),
        test=f"{_LATE}::test_the_jump_of_a_late_split_is_no_move_and_no_doubt",
    ),
    Mutant(
        name="late action applied at every look",
        breaks="each action is applied once",
        edits=(
            Edit(
                _POSITIONS,
                "return self.adjusted_for is None or action.key in self.adjusted_for",
                "return self.adjusted_for is None",
            ),
        ),
        test=f"{_LATE}::test_a_price_that_still_breaches_the_scaled_stop_sells_once_it_is_confirmed",
    ),
    Mutant(
        name="late action lost after the day's look",
        breaks="a look that found nothing does not end the day",
        edits=(
            Edit(_POSITIONS, "if action.ex_date == self.adjusted_through:", "if False:"),
            Edit(
                _POSITIONS,
                "return action.ex_date < self.adjusted_through",
                "return action.ex_date <= self.adjusted_through",
            ),
        ),
        test="tests/unit/test_positions.py"
        "::TestCatchingUp::test_an_action_that_became_known_after_the_days_look_is_applied",
    ),
    Mutant(
        name="exit waits for a look that fails",
        breaks="a failed look-up counts as no action, and the confirmed price sells",
        edits=(Edit(_LOOK, "            return None\n", "            raise\n"),),
        test=f"{_LATE}::test_a_look_that_fails_counts_as_no_action_and_the_confirmed_price_sells_once",
    ),
    Mutant(
        name="high raised while nobody answers",
        breaks="a trailing stop does not rise on a far price that no source explains",
        edits=(
            Edit(
                _LOOK,
                "return position if quote.price > position.stood_at else self._raised(position, quote)",
                "return self._raised(position, quote)",
            ),
        ),
        test=f"{_LATE}::test_while_nobody_answers_the_high_does_not_rise_to_a_far_price",
    ),
    Mutant(
        name="price memory not carried over",
        breaks="known actions re-base the last good price first",
        edits=(
            Edit(
                _JUDGE,
                "memory[symbol] = rebase(memory[symbol], adjustment(known, symbol, since, today), self.clock.now())",
                "memory[symbol] = rebase(memory[symbol], NO_ADJUSTMENT, self.clock.now())",
            ),
        ),
        test=f"{_LATE}::test_a_split_that_the_plan_knows_is_no_jump_though_its_source_is_down",
    ),
    Mutant(
        name="shares of the ex-date split again",
        breaks="what was taken from the broker on the ex-date holds everything of that date",
        edits=(
            Edit(_RECONCILE, "applied = None if bought else carried.adjusted_for", "applied = carried.adjusted_for"),
        ),
        test=f"{_LATE}::test_shares_added_on_the_ex_date_are_not_split_by_an_action_known_later",
    ),
    Mutant(
        name="suspected split left alone",
        breaks="stop and high go over a split that nobody told of",
        edits=(Edit(_RECONCILE, "return mine.adjusted(Adjustment(ratio, ZERO), today)", "return mine"),),
        test=f"{_LATE}::test_a_split_nobody_told_of_freezes_entries_and_is_named",
    ),
    Mutant(
        name="action booked late taken for a trade",
        breaks="until the broker books a known action its shares are as they were",
        edits=(
            Edit(
                _RECONCILE,
                "unbooked = changed - _changed(unexplained(before, facts, {}, early))",
                "unbooked = frozenset[Symbol]()",
            ),
        ),
        test=f"{_LATE}::test_a_split_that_the_broker_books_hours_after_its_day_began_is_no_difference_before_nor_then",
    ),
    Mutant(
        name="action known late taken for a trade",
        breaks="shares that a late action explains are no difference",
        edits=(
            Edit(
                _RECONCILE,
                "steps.update({symbol: late[symbol] for symbol in explained})",
                "explained = frozenset[Symbol]()",
            ),
        ),
        test=f"{_LATE}::test_shares_that_a_late_split_explains_are_no_difference_whoever_sees_it_first",
    ),
    Mutant(
        name="closed blind without the opt-in",
        breaks="nothing is sold without a price unless the owner set so",
        edits=(
            Edit(
                _CHECK,
                "limit = self.rules.close_blind_after\n",
                "limit = self.rules.close_blind_after or timedelta(seconds=300)\n",
            ),
        ),
        test=f"{_LOSS}::test_nothing_is_sold_blind_unless_that_is_set",
    ),
    Mutant(
        name="closed blind again and again",
        breaks="a data loss makes one close for each position",
        edits=(
            Edit(
                _CHECK,
                "            if open_exit is not None:\n                self._tell_late",
                '            if open_exit is not None and open_exit.purpose.reason != "data_loss":\n'
                "                self._tell_late",
            ),
            Edit(
                _LEDGER,
                "        if taken is not None:\n            raise InvalidValue",
                "        if False:\n            raise InvalidValue",
            ),
            Edit(
                _LEDGER,
                "        if intent.generation != self.generation(intent.purpose):",
                "        if False:",
            ),
        ),
        test=f"{_LOSS}::test_there_is_one_close_for_each_position_however_long_the_loss_lasts",
    ),
    Mutant(
        name="blindness counted over the night",
        breaks="a data loss counts from the open at the earliest",
        edits=(Edit(_CHECK, "since = max(quote.blind_since, day.opens)", "since = quote.blind_since"),),
        test=f"{_LOSS}::test_the_night_counts_for_nothing",
    ),
)
"""Prices, corporate actions and data loss."""

_GATED: Final = "tests/unit/test_gate.py"
_LOST: Final = "tests/unit/test_losses.py"
_DAYS: Final = "tests/use_cases/test_loss_limits.py"

COMPLIANCE: Final = (
    Mutant(
        name="word of a check taken that lets more pass",
        breaks="of all checks the smallest word counts",
        edits=(Edit(_GATE, "            quantity = min(quantity, most)", "            quantity = most"),),
        test=f"{_GATED}::TestFramework::test_the_smallest_word_counts_and_none_makes_it_grow",
    ),
    Mutant(
        name="objection without a number taken for none",
        breaks="an objection that is no number lets nothing pass",
        edits=(
            Edit(
                _GATE,
                "most = objection.most if objection.most.is_finite() and objection.most > ZERO else ZERO",
                "most = objection.most if objection.most.is_finite() and objection.most > ZERO else wanted",
            ),
        ),
        test=f"{_GATED}::TestFramework::test_an_objection_without_a_number_lets_nothing_pass",
    ),
    Mutant(
        name="short sale opened",
        breaks="only buys open positions",
        edits=(Edit(_GATE, "    if entry.side is not Side.BUY:", "    if False:"),),
        test=f"{_GATED}::TestCompliance::test_a_sale_that_would_open_a_short_position_is_refused",
    ),
    Mutant(
        name="entry of nothing",
        breaks="an entry is of so many shares",
        edits=(Edit(_GATE, "    if entry.quantity <= ZERO or not usable_price", "    if not usable_price"),),
        test=f"{_GATED}::TestCompliance::test_what_is_no_quantity_is_refused",
    ),
    Mutant(
        name="unknown quote taken for a good one",
        breaks="an entry needs a quote with a price",
        edits=(
            Edit(
                _GATE,
                '        return Objection("no usable quote")\n',
                "        return None\n",
            ),
        ),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="unknown account taken for a free one",
        breaks="without the broker's word on the account nothing is opened",
        edits=(
            Edit(
                _GATE,
                '        return Objection("unknown: the broker does not say how the account stands")',
                "        return None",
            ),
        ),
        test="tests/use_cases/test_prepare_entry.py::test_the_gate_refuses_and_says_why",
    ),
    Mutant(
        name="blocked account opens positions",
        breaks="an account that the broker blocks opens nothing",
        edits=(Edit(_GATE, "    if given.account.blocks:", "    if False:"),),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="block of an account not read",
        breaks="each of the broker's blocks keeps the account from opening positions",
        edits=(
            Edit(
                "shared/adapters/alpaca/translation.py",
                '("account_blocked", "trading_blocked", "trade_suspended_by_user")',
                '("account_blocked", "trading_blocked")',
            ),
        ),
        test="tests/adapters/test_alpaca_faults.py::test_an_account_that_may_not_trade_opens_nothing",
    ),
    Mutant(
        name="one day trade too many",
        breaks="an account under the day trader's equity makes at most three day trades",
        edits=(Edit(_GATE, "account.day_trades >= DAY_TRADES:", "account.day_trades > DAY_TRADES:"),),
        test=f"{_GATED}::TestCompliance::test_day_trade_limits_as_far_as_the_broker_reports_them",
    ),
    Mutant(
        name="flag of a day trader ignored",
        breaks="an account that the broker flagged opens nothing whose stop could be refused",
        edits=(Edit(_GATE, "    if account.pattern_day_trader:", "    if False:"),),
        test=f"{_GATED}::TestCompliance::test_day_trade_limits_as_far_as_the_broker_reports_them",
    ),
    Mutant(
        name="retired day-trade fields refuse entries",
        breaks="fields that the broker no longer reports refuse nothing",
        edits=(
            Edit(
                _GATE,
                "    if account.day_trades is not None and account.day_trades >=",
                "    if (9 if account.day_trades is None else account.day_trades) >=",
            ),
        ),
        test=f"{_GATED}::TestCompliance::test_day_trade_limits_as_far_as_the_broker_reports_them",
    ),
    Mutant(
        name="unknown asset traded",
        breaks="without the broker's word on the symbol nothing is opened",
        edits=(
            Edit(
                _GATE,
                '        return Objection(f"unknown: the broker does not say whether {entry.symbol} trades")',
                "        return None",
            ),
        ),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="inactive asset traded",
        breaks="a symbol that left the exchange is not bought",
        edits=(Edit(_GATE, "    if not asset.active:", "    if False:"),),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="halted asset traded",
        breaks="a symbol that is halted or not tradable is not bought",
        edits=(Edit(_GATE, "    if not asset.tradable:", "    if False:"),),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="part of a whole share",
        breaks="where only whole shares trade no part of one is ordered",
        edits=(Edit(_GATE, "    if not asset.fractionable and not is_whole(entry.quantity):", "    if False:"),),
        test=f"{_GATED}::TestCompliance::test_a_part_of_a_share_is_refused_where_only_whole_ones_trade",
    ),
    Mutant(
        name="buying power ignored",
        breaks="an entry asks for no more than the broker lends",
        edits=(Edit(_GATE, '        "buying power": _buying_power,\n', ""),),
        test=f"{_GATED}::TestCompliance::test_the_broker_s_buying_power_cuts_an_entry",
    ),
    Mutant(
        name="buying power spent twice",
        breaks="money for entries that the broker does not know of yet is kept for them",
        edits=(Edit(_GATE, "given.account.buying_power - entry.others.unsent", "given.account.buying_power"),),
        test=f"{_GATED}::TestCompliance::test_an_entry_the_broker_does_not_know_of_yet_has_its_money_reserved_here",
    ),
    Mutant(
        name="broker's wish for quiet refuses an entry",
        breaks="a 429 delays an entry and loses none",
        edits=(Edit(_WEIGH, "    except Throttled:\n        raise\n", ""),),
        test="tests/use_cases/test_request_budget.py"
        "::test_an_entry_waits_when_the_broker_wants_quiet_while_it_is_weighed",
    ),
    Mutant(
        name="last requests spent on entries",
        breaks="the last requests of the broker's window are kept for exits",
        edits=(Edit(_PLACE, "        if self._must_spare_requests():", "        if False:"),),
        test="tests/use_cases/test_request_budget.py::test_the_last_requests_of_the_window_are_kept_for_exits",
    ),
    Mutant(
        name="unknown loss taken for none",
        breaks="without today's start and the present worth nothing is opened",
        edits=(
            Edit(
                _GATE,
                '        return Objection("unknown: today\'s start or the present worth of the account is not known")',
                "        return None",
            ),
        ),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="yesterday's start taken for today's",
        breaks="a loss counts from the start of this trading day",
        edits=(
            Edit(
                _GATE,
                "    if worth is None or losses is None or losses.day.began != exchange_date(given.now):",
                "    if worth is None or losses is None:",
            ),
        ),
        test=f"{_DAYS}::test_a_new_day_is_unknown_to_the_gate_until_its_first_risk_check",
    ),
    Mutant(
        name="tripped limit lets entries pass after a recovery",
        breaks="a loss limit that was met stands until the period ends",
        edits=(Edit(_GATE, "        if period.tripped_at is not None or period.met(", "        if period.met("),),
        test=f"{_GATED}::TestRefusals::test_a_refusal_says_why",
    ),
    Mutant(
        name="loss seen at ticks only",
        breaks="the gate judges the loss of its own moment",
        edits=(
            Edit(
                _GATE,
                "        if period.tripped_at is not None or period.met(worth, limit)",
                "        if period.tripped_at is not None",
            ),
        ),
        test=f"{_DAYS}::test_between_two_ticks_the_gate_itself_sees_the_loss",
    ),
    Mutant(
        name="loss limit met but not counted",
        breaks="a loss of exactly the limit stops entries",
        edits=(Edit(_LOSSES, "return self.lost(worth) >= limit", "return self.lost(worth) > limit"),),
        test=f"{_LOST}::TestTripping::test_what_was_lost_since_the_start",
    ),
    Mutant(
        name="deposit hides a loss",
        breaks="deposits and withdrawals are no result",
        edits=(Edit(_LOSSES, "self.equity + worth.paid_in(self.since) - worth", "self.equity - worth"),),
        test=f"{_DAYS}::test_a_deposit_does_not_hide_a_loss",
    ),
    Mutant(
        name="trip forgotten after a recovery",
        breaks="a day that met its limit stays stopped",
        edits=(
            Edit(
                _LOSSES,
                "return replace(self, tripped_at=now) if self.tripped_at is None and self.met(worth, limit) else self",
                "return replace(self, tripped_at=now if self.met(worth, limit) else None)",
            ),
        ),
        test=f"{_DAYS}::test_a_recovery_within_the_day_lifts_nothing",
    ),
    Mutant(
        name="week lifted with the day",
        breaks="a week that met its limit stays stopped over its days",
        edits=(Edit(_LOSSES, "week=known.week if same_week else week", "week=week"),),
        test=f"{_DAYS}::test_the_week_s_limit_survives_the_daily_lift_and_ends_with_the_week",
    ),
    Mutant(
        name="start of the day moved within the day",
        breaks="a loss counts from the day's first equity",
        edits=(
            Edit(_LOSSES, "    if known.day.began >= day.began:\n        return known\n", ""),
            Edit(_JUDGE_LOSSES, "if stored is None or stored.day.began < today:", "if True:"),
        ),
        test=f"{_DAYS}::test_the_start_stays_what_it_was_once_known",
    ),
    Mutant(
        name="worth taken from a book that differs",
        breaks="a split or fill under way is no loss",
        edits=(Edit(_LOSSES, " and held == facts.quantities and not facts.doubted", ""),),
        test=f"{_LOST}::TestWorth::test_a_book_that_differs_leaves_the_broker_s_own_equity",
    ),
    Mutant(
        name="losses written over another's trip",
        breaks="of two ticks at once none loses the other's trip",
        edits=(Edit(_BOOK, "if (self._losses.version if self._losses else 0) != losses.version:", "if False:"),),
        test=f"{_DAYS}::test_a_trip_that_another_tick_stored_first_is_not_overwritten",
    ),
    Mutant(
        name="lost write of losses taken for done",
        breaks="a tick that lost the write looks at what the other tripped",
        edits=(
            Edit(
                _JUDGE_LOSSES,
                "        except Conflict:\n            return False\n",
                "        except Conflict:\n            return True\n",
            ),
        ),
        test=f"{_DAYS}::test_a_trip_that_another_tick_stored_first_is_not_overwritten",
    ),
    Mutant(
        name="tripped limits not in the trading state",
        breaks="a limit that was met stops entries by the trading state",
        edits=(Edit(_CHECK, "        return {**reasons, **lost}", "        return reasons"),),
        test=f"{_DAYS}::test_an_entry_passes_a_cent_before_three_percent_and_is_refused_at_it",
    ),
    Mutant(
        name="unreadable losses lift a trip",
        breaks="what cannot be read is not lifted",
        edits=(
            Edit(
                _CHECK,
                'lost = dict.fromkeys(LOSS_REASONS & before.reasons if before is not None else (), "")',
                "lost = {}",
            ),
        ),
        test=f"{_DAYS}::test_an_unreadable_limit_refuses_entries_keeps_what_tripped_and_holds_no_exit",
    ),
    Mutant(
        name="repeated mismatch goes unnoticed",
        breaks="three differences in a day stop entries",
        edits=(Edit(_CHECK, "        if facts is not None and facts.mismatched_often:", "        if False:"),),
        test=f"{_DAYS}::test_three_mismatches_in_a_day_stop_entries_until_the_next",
    ),
    Mutant(
        name="mismatches forgotten by each pass",
        breaks="differences in quantity add up over a day",
        edits=(Edit(_RECONCILIATION, "            mismatches += before.mismatches\n", "            pass\n"),),
        test=f"{_DAYS}::test_three_mismatches_in_a_day_stop_entries_until_the_next",
    ),
    Mutant(
        name="purchase by hand taken for a withdrawal",
        breaks="a trade by hand moves no money in or out",
        edits=(Edit(_RECONCILIATION, "return ZERO if shares * money < ZERO else money", "return money"),),
        test=f"{_DAYS}::test_a_purchase_by_hand_is_no_withdrawal",
    ),
)
"""What the account or the market forbids, the loss limits, and the broker's rate window."""

MUTANTS: Final = (
    *PRICES,
    *REQUIRED,
    *SENDING,
    *KILL_SWITCH,
    *LIMITS,
    *COMPLIANCE,
    *EXITS,
    *BROKER_STOPS,
    *RECONCILIATION,
    *PAST_THE_BOOK,
    *TELLING,
    *BUDGET,
)
