"""Mutants of what tells a trade by hand, a split and an answer of the broker that is late from each other."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Edit, Mutant

_RECONCILE = "shared/use_cases/reconcile_orders.py"
_RECONCILIATION = "shared/domain/reconciliation.py"
_LATE = "tests/use_cases/test_late_answers.py"

PAST_THE_BOOK: Final = (
    Mutant(
        name="late answer taken for a trade by hand",
        breaks="the broker's answers may be behind each other for some seconds",
        edits=(
            Edit(
                _RECONCILE,
                "        if not doubtful:\n            return False\n",
                "        if doubtful or not doubtful:\n            return False\n",
            ),
        ),
    ),
    Mutant(
        name="symbol in doubt takes entries",
        breaks="what is doubted is frozen until a pass is sure",
        edits=(
            Edit(
                _RECONCILE,
                "self.records.put(replace(before, doubted=doubts(before, differences), frozen=frozen))",
                "self.records.put(replace(before, doubted=doubts(before, differences), frozen=before.frozen))",
            ),
        ),
        test=f"{_LATE}::test_a_symbol_in_doubt_takes_no_entries_until_a_pass_is_sure_of_it",
    ),
    Mutant(
        name="trade by hand doubted for ever",
        breaks="a difference that stays is believed once the answers had their time",
        edits=(
            Edit(
                _RECONCILE,
                "d.kind is not DifferenceKind.FOREIGN_ORDER and d.subject in fresh",
                "d.kind is not DifferenceKind.FOREIGN_ORDER",
            ),
        ),
        test=f"{_LATE}::test_a_trade_by_hand_beside_an_open_order_is_told_by_the_second_pass",
    ),
    Mutant(
        name="doubt without an end",
        breaks="after five minutes every difference counts",
        edits=(
            Edit(
                _RECONCILE,
                "any(self.rules.is_over(doubted, now) for doubted in noted.values())",
                "any(doubted.first > now for doubted in noted.values())",
            ),
        ),
        test=f"{_LATE}::test_numbers_that_never_stand_still_are_believed_after_five_minutes",
    ),
    Mutant(
        name="new difference believed with an old one",
        breaks="a late answer is looked at once more though another difference has been doubted for long enough",
        edits=(
            Edit(
                _RECONCILE,
                "if now - (d.first if over else d.since) < self.rules.settles_in}",
                "if not over and now - d.since < self.rules.settles_in}",
            ),
        ),
        test=f"{_LATE}::test_a_fill_that_shows_late_is_no_trade_by_hand_though_another_difference_is_believed_by_now",
    ),
    Mutant(
        name="moving difference held up for ever",
        breaks="a difference holds up another only in its first seconds",
        edits=(Edit(_RECONCILE, "(d.first if over else d.since)", "d.since"),),
        test=f"{_LATE}::test_a_new_difference_holds_up_an_old_one_for_one_pass_however_it_moves",
    ),
    Mutant(
        name="cash late by equal fills believed",
        breaks="cash that two passes may both have read one fill too early is no money moved by hand",
        edits=(Edit(_RECONCILIATION, " and not may_be_late", ""),),
        test=f"{_LATE}::test_cash_that_is_late_by_one_of_several_equal_fills_in_pass_after_pass_tells_nothing",
    ),
    Mutant(
        name="doubt of the evening counts in the morning",
        breaks="a difference is believed after passes, not after a night",
        edits=(Edit(_RECONCILE, " and doubted.passes >= self.most_doubts", ""),),
        test=f"{_LATE}::test_a_doubt_grows_old_by_passes_and_not_by_a_night",
    ),
    Mutant(
        name="entry weighed on the broker's word of the day before",
        breaks="facts older than a few passes are unknown to the gate",
        edits=(
            Edit(
                "shared/use_cases/weigh_entry.py",
                "        if facts is None or self.clock.now() - facts.at > self.rules.unsure_after:\n",
                "        if facts is None:\n",
            ),
        ),
        test="tests/use_cases/test_prepare_entry.py::test_the_broker_s_word_of_an_earlier_pass_opens_nothing_once_it_is_old",
    ),
    Mutant(
        name="first pass knows no split",
        breaks="a book is carried over known actions before it is compared with the first facts",
        edits=(Edit(_RECONCILE, "_first_differences(carried, facts), ()", "_first_differences(ours, facts), ()"),),
        test="tests/use_cases/test_late_actions.py::test_the_very_first_pass_carries_the_book_over_a_known_split",
    ),
    Mutant(
        name="split that two sources name applied twice",
        breaks="an action is in a position's figures once, whoever names it",
        edits=(
            Edit(
                "shared/domain/positions.py",
                "        return list(due.values())\n",
                "        return [a for a in known if a.symbol == self.symbol and a.key in due]\n",
            ),
        ),
        test="tests/use_cases/test_late_actions.py"
        "::test_a_split_booked_after_a_pass_that_died_is_applied_once_though_the_plan_and_its_source_both_name_it",
    ),
    Mutant(
        name="no pass due while in doubt",
        breaks="a doubt is looked at again the next minute",
        edits=(Edit(_RECONCILE, "not facts.clean or facts.doubted:", "not facts.clean:"),),
        test=f"{_LATE}::test_a_pass_is_due_while_there_is_a_doubt",
    ),
    Mutant(
        name="fill before a split counted in new shares",
        breaks="an order that filled before an action filled old shares",
        edits=(Edit(_RECONCILIATION, "joined = held if key in early else shares", "joined = shares"),),
        test="tests/unit/test_reconciliation.py::test_shares_sold_before_a_split_are_old_shares_and_earn_no_dividend",
    ),
    Mutant(
        name="order by hand overlooked",
        breaks="an order that nobody here sent is told",
        edits=(
            Edit(
                _RECONCILIATION,
                "        if order.client_order_id not in open_ids\n",
                "        if order.client_order_id not in open_ids and is_ours(order.client_order_id)\n",
            ),
        ),
    ),
)
"""What a pass makes of a broker that differs from the book."""
