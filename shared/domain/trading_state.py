"""Trading state: one pure function of the active reasons to what is allowed (BRK-05)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class HaltReason(StrEnum):
    """Why trading is restricted."""

    KILL_SWITCH = "kill_switch"
    MANUAL_PAUSE = "manual_pause"
    STALE_DATA = "stale_data"
    BROKER_UNSURE = "broker_unsure"


class Mode(IntEnum):
    """What the account may do; a higher value allows less."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class Level(IntEnum):
    """The degradation level shown to people; the worst active one counts (BEY-11)."""

    NORMAL = 0
    DATA_STALE = 3
    BROKER_UNSURE = 4
    HALTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRule:
    """What a reason does while it is active, and what ends it."""

    mode: Mode
    level: Level
    ends_when: str


RULES: Final[dict[HaltReason, ReasonRule]] = {
    HaltReason.KILL_SWITCH: ReasonRule(
        mode=Mode.HALTED, level=Level.HALTED, ends_when="a person clears the kill switch"
    ),
    HaltReason.MANUAL_PAUSE: ReasonRule(mode=Mode.HALTED, level=Level.HALTED, ends_when="a person resumes trading"),
    HaltReason.STALE_DATA: ReasonRule(
        mode=Mode.REDUCING, level=Level.DATA_STALE, ends_when="a tick brings a fresh quote of any watched symbol"
    ),
    HaltReason.BROKER_UNSURE: ReasonRule(
        mode=Mode.REDUCING, level=Level.BROKER_UNSURE, ends_when="a reconciliation finds broker and book in agreement"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    """What is allowed now; exits and cancels are allowed in every state.

    `told` says that the change to these reasons was journaled and queued as an alert.
    """

    reasons: frozenset[HaltReason]
    mode: Mode
    level: Level
    told: bool = True

    @property
    def entries_allowed(self) -> bool:
        """Say whether positions may be opened or added to."""
        return self.mode is Mode.ACTIVE

    @property
    def exits_allowed(self) -> bool:
        """Say whether protective exits may leave: always."""
        return True

    @property
    def cancels_entries(self) -> bool:
        """Say whether open entry orders are canceled."""
        return self.mode is Mode.HALTED


def trading_state(reasons: Iterable[HaltReason]) -> TradingState:
    """Derive what is allowed from the set of active reasons."""
    active = frozenset(reasons)
    return TradingState(
        reasons=active,
        mode=max((RULES[reason].mode for reason in active), default=Mode.ACTIVE),
        level=max((RULES[reason].level for reason in active), default=Level.NORMAL),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """The human stop-all, latched until a human clears it; `by` and `why` are for the audit."""

    engaged: bool
    by: str = ""
    why: str = ""


UNREADABLE_KILL_SWITCH: Final = KillSwitch(engaged=True, by="hearthwatch", why="the kill switch could not be read")
"""What an unreadable kill switch counts as: set (fault 44)."""
