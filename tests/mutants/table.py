"""The mutants: each removes or turns one guard of money or safety."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Edit, Mutant

_CHECK = "shared/use_cases/check_risk.py"
_PLACE = "shared/use_cases/place_orders.py"
_POLL = "shared/use_cases/poll_prices.py"
_PREPARE = "shared/use_cases/prepare_entry.py"
_RECONCILE = "shared/use_cases/reconcile_orders.py"
_ROUTE = "shared/use_cases/route_alerts.py"
_WEIGH = "shared/use_cases/weigh_entry.py"
_SWITCH = "shared/use_cases/set_kill_switch.py"
_FACT = "shared/use_cases/record_fact.py"
_ALERTS = "shared/domain/alerts.py"
_GATE = "shared/domain/gate.py"
_JOURNAL = "shared/domain/journal.py"
_LEDGER = "shared/domain/ledger.py"
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
        "::test_two_executors_that_both_believe_to_hold_the_lease_send_one_order",
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
        edits=(Edit(_PLACE, "if self._is_quiet(ledger):", "if False:"),),
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
                "        self._each([i for i in prepared if not i.is_entry], self._place_exit)\n"
                "        if self._entries_must_go():",
                "        self._each([i for i in prepared if i.is_entry], self._place_entry)\n"
                "        if self._entries_must_go():",
            ),
            Edit(
                _PLACE,
                "        self._each([i for i in prepared if i.is_entry], self._place_entry)\n\n    def _is_quiet",
                "        self._each([i for i in prepared if not i.is_entry], self._place_exit)\n\n    def _is_quiet",
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
        edits=(Edit(_CHECK, "        return UNREADABLE_KILL_SWITCH\n", "        return KillSwitch(engaged=False)\n"),),
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
    ),
    Mutant(
        name="kill switch cancels exits",
        breaks="exits go on under the kill switch",
        edits=(
            Edit(
                _PLACE,
                "self._each([i for i in ledger.in_state(*AT_BROKER) if i.is_entry], self._cancel)",
                "self._each(ledger.in_state(*AT_BROKER), self._cancel)",
            ),
            Edit(_PLACE, "or (i.is_entry and i.state in AT_BROKER)", "or i.state in AT_BROKER"),
        ),
    ),
    Mutant(
        name="kill switch holds exits",
        breaks="an exit is never refused by the kill switch",
        edits=(
            Edit(
                _PLACE,
                "        if self._cancel_opposite(intent):",
                "        if read_kill_switch(self.x.controls).engaged or self._cancel_opposite(intent):",
            ),
        ),
    ),
    Mutant(
        name="kill switch not before the gate",
        breaks="the gate refuses every entry while the switch is set",
        edits=(Edit(_GATE, "    if given.kill_switch.engaged:", "    if False:"),),
        test="tests/unit/test_gate.py::TestRefusals::test_a_refusal_says_why",
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
        edits=(Edit(_GATE, "limits.per_symbol * equity\n        - of_symbol", "equity\n        - of_symbol"),),
    ),
    Mutant(
        name="total limit dropped",
        breaks="all positions take at most their share of equity",
        edits=(Edit(_GATE, "limits.total * equity\n        - total", "equity\n        - total"),),
    ),
    Mutant(
        name="limit per symbol ignores open entries",
        breaks="open entries count towards the symbol's limit",
        edits=(Edit(_GATE, "\n        - given.ledger.committed(symbol, besides=besides)", ""),),
        test="tests/unit/test_gate.py::TestShrinking::test_open_entries_count",
    ),
    Mutant(
        name="total limit ignores open entries",
        breaks="open entries count towards the total limit",
        edits=(Edit(_GATE, "\n        - given.ledger.committed(besides=besides)", ""),),
    ),
    Mutant(
        name="unreadable positions taken for none",
        breaks="an exposure that is unknown lets no entry pass",
        edits=(
            Edit(
                _WEIGH,
                "        if held is None:\n            return Exposure(of_symbol=None, total=None)",
                "        held = held or ()",
            ),
        ),
    ),
    Mutant(
        name="unpriced position taken for worthless",
        breaks="a held symbol without a price lets no entry pass",
        edits=(
            Edit(
                _WEIGH,
                "            if price is None:\n                return Exposure(of_symbol=None, total=None)",
                "            if price is None:\n                continue",
            ),
        ),
    ),
    Mutant(
        name="runaway guard removed",
        breaks="at most two entries an hour in a symbol",
        edits=(
            Edit(
                _GATE,
                "*_quote_refusals(worst_price, given, limits), *too_fast]",
                "*_quote_refusals(worst_price, given, limits)]",
            ),
        ),
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
        edits=(Edit(_GATE, "if abs(worst_price - quote.price) > limits.collar * quote.price:", "if False:"),),
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
        edits=(Edit(_GATE, "    if quote.doubts:", "    if False:"),),
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
        edits=(Edit(_GATE, "    if given.ledger.is_in_doubt(symbol):", "    if False:"),),
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
                "    if quote is None or quote.last is None or not quote.last.is_finite() or quote.last <= ZERO:\n",
                "    if quote is None or quote.last is None:\n",
            ),
        ),
        seeds=1000,
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
        edits=(Edit(_PLACE, "        if self._cancel_opposite(intent):", "        if False:"),),
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
        edits=(Edit(_PLACE, "quantity=min(intent.quantity, held.available)", "quantity=intent.quantity"),),
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
                "            if quote is None or price is None:\n                continue",
                "            if quote is None or price is None:\n                break",
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
                "return amount.quantize(CENT, rounding=ROUND_HALF_UP)",
                "return amount.quantize(CENT, rounding=ROUND_DOWN)",
            ),
        ),
        test="tests/unit/test_money.py::test_a_cent_is_rounded_half_up",
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
        test="tests/use_cases/test_check_risk.py::test_a_known_split_is_applied_before_the_stop_is_judged",
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
                "            self._take_positions(ours, picture)\n            ledger = self._take_orders(picture)\n",
                "            ledger = self._take_orders(picture)\n            self._take_positions(ours, picture)\n",
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
        edits=(Edit(_RECONCILE, "if same_ledger and _fills(self._orders_of(ledger)) == _fills(orders):", "if True:"),),
        seeds=1000,
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
        edits=(Edit(_RECONCILE, "        self.alerts.send(_closing_alert(intent, now))\n", ""),),
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

MUTANTS: Final = (*REQUIRED, *SENDING, *KILL_SWITCH, *LIMITS, *EXITS, *RECONCILIATION, *TELLING)
