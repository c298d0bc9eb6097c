"""What is allowed is one pure function of the active reasons; exits pass in every state (BRK-04, BRK-05)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from shared.domain.trading_state import (
    RULES,
    UNREADABLE_KILL_SWITCH,
    HaltReason,
    Level,
    Mode,
    trading_state,
)

R = HaltReason


def every_set_of_reasons() -> Iterator[frozenset[HaltReason]]:
    for size in range(len(R) + 1):
        for reasons in combinations(R, size):
            yield frozenset(reasons)


SETS = list(every_set_of_reasons())
HALTING = {R.KILL_SWITCH, R.MANUAL_PAUSE}


@pytest.mark.parametrize(
    ("reason", "mode", "level"),
    [
        (R.KILL_SWITCH, Mode.HALTED, Level.HALTED),
        (R.MANUAL_PAUSE, Mode.HALTED, Level.HALTED),
        (R.STALE_DATA, Mode.REDUCING, Level.DATA_STALE),
        (R.BROKER_UNSURE, Mode.REDUCING, Level.BROKER_UNSURE),
        (R.DAILY_LOSS, Mode.REDUCING, Level.NORMAL),
        (R.WEEKLY_LOSS, Mode.REDUCING, Level.NORMAL),
        (R.REPEATED_MISMATCH, Mode.REDUCING, Level.BROKER_UNSURE),
    ],
)
def test_each_reason_by_itself(reason: HaltReason, mode: Mode, level: Level) -> None:
    state = trading_state({reason})
    assert (state.mode, state.level) == (mode, level)


def test_every_reason_is_in_the_table_above() -> None:
    named = {R.KILL_SWITCH, R.MANUAL_PAUSE, R.STALE_DATA, R.BROKER_UNSURE}
    assert set(RULES) == {*named, R.DAILY_LOSS, R.WEEKLY_LOSS, R.REPEATED_MISMATCH} == set(R)


def test_without_reasons_everything_is_allowed() -> None:
    state = trading_state(())
    assert (state.mode, state.level, state.entries_allowed) == (Mode.ACTIVE, Level.NORMAL, True)


@pytest.mark.parametrize("reasons", SETS, ids=lambda reasons: " + ".join(sorted(reasons)) or "none")
class TestEverySetOfReasons:
    def test_exits_pass(self, reasons: frozenset[HaltReason]) -> None:
        assert trading_state(reasons).exits_allowed

    def test_entries_pass_only_without_any_reason(self, reasons: frozenset[HaltReason]) -> None:
        assert trading_state(reasons).entries_allowed == (not reasons)

    def test_open_entries_are_canceled_exactly_when_something_halts(self, reasons: frozenset[HaltReason]) -> None:
        assert trading_state(reasons).cancels_entries == bool(reasons & HALTING)

    def test_the_worst_reason_sets_the_mode(self, reasons: frozenset[HaltReason]) -> None:
        worst = max((trading_state({reason}).mode for reason in reasons), default=Mode.ACTIVE)
        assert trading_state(reasons).mode is worst

    def test_the_worst_reason_sets_the_level(self, reasons: frozenset[HaltReason]) -> None:
        worst = max((trading_state({reason}).level for reason in reasons), default=Level.NORMAL)
        assert trading_state(reasons).level is worst

    def test_one_reason_more_never_allows_more(self, reasons: frozenset[HaltReason]) -> None:
        state = trading_state(reasons)
        more = [trading_state(reasons | {reason}) for reason in R]
        assert all(each.mode >= state.mode and each.level >= state.level for each in more)

    def test_every_reason_is_kept(self, reasons: frozenset[HaltReason]) -> None:
        assert trading_state(reasons).reasons == reasons


def test_order_and_repetition_of_reasons_change_nothing() -> None:
    assert trading_state([R.STALE_DATA, R.KILL_SWITCH, R.STALE_DATA]) == trading_state([R.KILL_SWITCH, R.STALE_DATA])


def test_a_lifted_reason_leaves_the_others_in_force() -> None:
    assert trading_state({R.STALE_DATA, R.KILL_SWITCH} - {R.STALE_DATA}).mode is Mode.HALTED


@pytest.mark.parametrize("reason", R)
def test_every_reason_says_what_ends_it(reason: HaltReason) -> None:
    assert RULES[reason].ends_when


def test_an_unreadable_kill_switch_counts_as_set() -> None:
    assert UNREADABLE_KILL_SWITCH.engaged
