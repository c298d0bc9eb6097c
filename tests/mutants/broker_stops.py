"""Mutants of the stops that rest at the broker, of the one-side-at-a-time protocol, and of coverage."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Edit, Mutant

_PLACE = "shared/use_cases/place_orders.py"
_PROTECT = "shared/use_cases/protect_positions.py"
_RECONCILE = "shared/use_cases/reconcile_orders.py"
_COVER = "shared/use_cases/publish_coverage.py"
_CHECK = "shared/use_cases/check_risk.py"
_PROTECTION = "shared/domain/protection.py"
_COVERAGE = "shared/domain/coverage.py"
_LEDGER = "shared/domain/ledger.py"
_ORDERS = "shared/domain/orders.py"

_STORIES = "tests/use_cases/test_broker_stops.py"
_TABLE = "tests/unit/test_protection.py"

BROKER_STOPS: Final = (
    Mutant(
        name="stops never planned by the risk check",
        breaks="a stop that is missing comes back within a tick",
        edits=(Edit(_CHECK, "        prepared += self._protect_quietly()\n", ""),),
        test=f"{_STORIES}::test_a_trailing_stop_is_moved_up_at_the_broker_by_the_risk_check_alone",
    ),
    Mutant(
        name="stops not planned after a fill",
        breaks="what was bought is protected right after the fill",
        edits=(Edit(_RECONCILE, "        self._protect_quietly()\n        if finished", "        if finished"),),
        test=f"{_STORIES}::test_an_entry_on_a_protected_position_ends_bought_and_protected",
    ),
    Mutant(
        name="exit sent beside a resting stop",
        breaks="the broker acts on one side at a time: the stop goes first",
        edits=(
            Edit(
                _PLACE,
                "if self._cancel_opposite(intent) or not self._stops_are_gone(intent.symbol, EXIT_FIRST):",
                "if self._cancel_opposite(intent):",
            ),
        ),
        test=f"{_STORIES}::test_the_software_stop_withdraws_the_resting_one_and_sells_in_one_run",
    ),
    Mutant(
        name="stop on its way taken for absent",
        breaks="a stop that lands after the sale sells what is no longer held",
        edits=(
            Edit(
                _PLACE,
                "            return stop.sent_at is not None and self.x.clock.now()",
                "            return True or self.x.clock.now()",
            ),
        ),
        test=f"{_STORIES}::test_an_exit_waits_for_a_stop_that_may_still_be_on_its_way",
    ),
    Mutant(
        name="cancel taken for done",
        breaks="only the broker's word says that a stop is gone",
        edits=(
            Edit(_PLACE, "        if order is None or order.is_live:\n            return False\n", ""),
            Edit(
                _PLACE,
                "    def _is_gone(self, stop: Intent, why: str) -> bool:\n",
                "    def _is_gone(self, stop: Intent, why: str) -> bool:\n        return True\n",
            ),
        ),
        test=f"{_STORIES}::test_no_exit_is_sent_while_the_cancel_of_the_stop_is_not_confirmed",
    ),
    Mutant(
        name="shares sold twice while the positions lag",
        breaks="what a stop sold since the last pass is not sold again",
        edits=(Edit(_PLACE, "        if since > ZERO:\n", "        if False:\n"),),
        test=f"{_STORIES}::test_what_the_stop_sold_is_not_sold_again_while_the_positions_lag",
    ),
    Mutant(
        name="entry sent beside a resting stop",
        breaks="an entry on a protected position waits until its stop is gone",
        edits=(
            Edit(
                _PLACE,
                "        if ledger.stops_of(intent.symbol):\n            if not",
                "        if False:\n            if not",
            ),
        ),
        test=f"{_STORIES}::test_an_entry_on_a_protected_position_ends_bought_and_protected",
    ),
    Mutant(
        name="stop withdrawn for an entry that does not pass",
        breaks="a refused entry takes no protection away",
        edits=(
            Edit(
                _PLACE,
                "        verdict = self._weighed(intent, ledger)\n        if not verdict.passes:\n"
                '            self._abandon(intent, "; ".join(verdict.reasons))\n            return\n'
                "        if ledger.stops_of",
                "        self._stops_are_gone(intent.symbol, EXIT_FIRST)\n"
                "        verdict = self._weighed(intent, ledger)\n        if not verdict.passes:\n"
                '            self._abandon(intent, "; ".join(verdict.reasons))\n            return\n'
                "        if ledger.stops_of",
            ),
        ),
        test=f"{_STORIES}::test_an_entry_that_the_gate_refuses_takes_no_stop_away",
    ),
    Mutant(
        name="entry may rest for ever in front of a stop",
        breaks="an entry that rests makes room for the stop",
        edits=(Edit(_PLACE, "if entry.sent_at is None or self.x.clock.now()", "if True or self.x.clock.now()"),),
        test=f"{_STORIES}::test_an_entry_that_rests_too_long_makes_room_for_the_stop",
    ),
    Mutant(
        name="stop for more than is held",
        breaks="no stop is sent for shares that are gone",
        edits=(
            Edit(_PLACE, "if held is None or held.quantity < intent.quantity:", "if held is None:"),
            Edit(
                _PLACE,
                "        if held.available < intent.quantity:\n            self._stop_waits",
                "        if False:\n            self._stop_waits",
            ),
        ),
        test=f"{_STORIES}::test_a_stop_planned_for_shares_that_are_gone_is_not_sent",
    ),
    Mutant(
        name="stop placed above the price",
        breaks="a fall is confirmed before anything is sold on it",
        edits=(Edit(_PLACE, "is_open or self._is_reached(intent):", "is_open:"),),
        test=f"{_STORIES}::test_a_stop_at_or_above_the_price_is_left_to_the_software_stop",
    ),
    Mutant(
        name="stop of the night before sent",
        breaks="a stop planned before a split is not placed after it",
        edits=(Edit(_PLACE, "self.x.clock.now() - intent.created_at > self.x.rules.stop_good_for:", "False:"),),
        test=f"{_STORIES}::test_a_stop_planned_before_the_close_is_planned_anew_at_the_open",
    ),
    Mutant(
        name="stop placed while a trade is open",
        breaks="one side at a time, whatever was planned",
        edits=(
            Edit(
                _PLACE,
                '        if ledger.trade_in(intent.symbol) is not None:\n            self._abandon(intent, "a trade',
                '        if False:\n            self._abandon(intent, "a trade',
            ),
            Edit(
                _PLACE,
                "if claim.rests and (stored.withdrawn or ledger.trade_in(claim.symbol) is not None):",
                "if False:",
            ),
        ),
        test=f"{_STORIES}::test_a_stop_planned_before_an_entry_makes_way_for_it",
    ),
    Mutant(
        name="stop left resting without a position",
        breaks="a stop for a position that is gone would sell short",
        edits=(Edit(_PROTECT, "stops.items() if complete else ():", "():"),),
        test=f"{_STORIES}::test_a_stop_for_a_position_that_is_gone_never_stays",
    ),
    Mutant(
        name="unreadable position taken for none",
        breaks="the stop of a position that cannot be read stays",
        edits=(Edit(_PROTECT, "complete=not stored.problems)", "complete=True)"),),
        test=f"{_STORIES}::test_one_unreadable_position_keeps_its_stop",
    ),
    Mutant(
        name="refused stop shrugged off",
        breaks="a rejected stop becomes a market exit",
        edits=(
            Edit(
                _PROTECTION,
                "(Standing.REFUSED, Traffic.NONE): Step.SELL,",
                "(Standing.REFUSED, Traffic.NONE): Step.WAIT,",
            ),
        ),
        test=f"{_STORIES}::test_a_stop_that_the_broker_refuses_becomes_a_sale_at_market",
    ),
    Mutant(
        name="refusal forgotten",
        breaks="the ledger remembers that the broker refused a purpose",
        edits=(Edit(_LEDGER, "refused = intent.state is IntentState.REJECTED", "refused = False"),),
        test=f"{_STORIES}::test_a_stop_that_the_broker_refuses_becomes_a_sale_at_market",
    ),
    Mutant(
        name="stuck stop trusted",
        breaks="a stop the broker does not work within two ticks becomes a market exit",
        edits=(Edit(_PROTECTION, "    return now - stop.sent_at > rules.patience", "    return False"),),
        test=f"{_STORIES}::test_a_stop_rejected_after_it_was_taken_or_never_worked_becomes_a_sale_at_market",
    ),
    Mutant(
        name="pending stop taken for working",
        breaks="only a stop that the broker works protects",
        edits=(
            Edit(
                _ORDERS, "confirmed = intent.confirmed or order.status is not OrderStatus.PENDING", "confirmed = True"
            ),
        ),
        test=f"{_STORIES}::test_a_stop_that_is_only_pending_covers_nothing_yet",
    ),
    Mutant(
        name="stop never renewed",
        breaks="a stop is renewed before the broker ends it at 90 days",
        edits=(
            Edit(
                _PROTECTION,
                "TimeInForce.GTC and now - stop.created_at >= rules.renew_after:",
                "TimeInForce.GTC and False:",
            ),
            Edit(_PROTECTION, "        and now - stop.created_at < rules.renew_after\n", ""),
        ),
        test=f"{_STORIES}::test_a_stop_is_renewed_before_ninety_days_are_over",
    ),
    Mutant(
        name="stop stays where the entry was",
        breaks="the stop follows the average entry after each fill",
        edits=(Edit(_PROTECTION, "    return rests_at != wanted.price", "    return False"),),
        test=f"{_TABLE}::test_the_next_step_for_a_symbol",
    ),
    Mutant(
        name="stop keeps its size",
        breaks="the stop covers the whole shares that are held",
        edits=(Edit(_PROTECTION, "    if stop.remaining != want.quantity:", "    if False:"),),
        test=f"{_TABLE}::test_the_next_step_for_a_symbol",
    ),
    Mutant(
        name="whole stop covers the fraction too",
        breaks="a stop until canceled is for whole shares",
        edits=(
            Edit(_PROTECTION, "whole = position.quantity.to_integral_value(ROUND_DOWN)", "whole = position.quantity"),
        ),
        test=f"{_TABLE}::test_whole_shares_get_one_stop_until_canceled_and_the_rest_is_software",
    ),
    Mutant(
        name="stop canceled behind our back goes unnoticed",
        breaks="a stop that is gone shows within one tick",
        edits=(
            Edit(_RECONCILE, "        return bool(resting) and not self._still_rest(resting)", "        return False"),
        ),
        test=f"{_STORIES}::test_a_stop_canceled_by_hand_shows_as_software_within_a_tick_is_told_and_comes_back",
    ),
    Mutant(
        name="stop taken away is not told",
        breaks="a missing stop is raised",
        edits=(
            Edit(_RECONCILE, "if intent.state is _S.CANCELED and not intent.withdrawn and not split:", "if False:"),
        ),
        test=f"{_STORIES}::test_a_stop_canceled_by_hand_shows_as_software_within_a_tick_is_told_and_comes_back",
    ),
    Mutant(
        name="filled stop is not told",
        breaks="a sale by the broker's stop is told as what it is",
        edits=(
            Edit(
                _RECONCILE,
                "        return [_stop_filled_alert(intent, now), _closing_alert(intent, now)]",
                "        return [_closing_alert(intent, now)]",
            ),
        ),
        test=f"{_STORIES}::test_a_stop_reached_at_the_broker_is_told_once_and_nothing_is_sold_twice",
    ),
    Mutant(
        name="unconfirmed stop counts as cover",
        breaks="coverage counts working stops alone",
        edits=(
            Edit(
                _PROTECTION,
                "        if stop.confirmed and stop.state in AT_BROKER and stop.purpose.reason",
                "        if stop.purpose.reason",
            ),
        ),
        test=f"{_TABLE}::test_only_a_stop_that_works_covers_shares",
    ),
    Mutant(
        name="nobody is paged",
        breaks="shares bare for more than a minute page a person",
        edits=(Edit(_COVER, "if pages and now - since > BARE_FOR}", "if False}"),),
        test=f"{_STORIES}::test_a_page_follows_when_shares_are_bare_for_more_than_a_minute_and_ends_with_a_price",
    ),
    Mutant(
        name="bare shares begin anew each tick",
        breaks="the time without protection adds up over ticks",
        edits=(Edit(_COVERAGE, "known.get(symbol, now) for symbol in bare", "now for symbol in bare"),),
        test="tests/unit/test_coverage.py::test_bare_shares_keep_the_time_since_which_they_are",
    ),
    Mutant(
        name="unreadable position counts as covered",
        breaks="what cannot be read is bare",
        edits=(Edit(_COVER, "        if not complete:\n", "        if False:\n"),),
        test=f"{_STORIES}::test_coverage_counts_what_cannot_be_read_as_bare",
    ),
)
