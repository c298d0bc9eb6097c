"""Trading state: one pure function of the active reasons to what is allowed (BRK-05)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from shared.domain.times import iso


class HaltReason(StrEnum):
    """Why trading is restricted."""

    KILL_SWITCH = "kill_switch"
    MANUAL_PAUSE = "manual_pause"
    STALE_DATA = "stale_data"
    BROKER_UNSURE = "broker_unsure"
    DAILY_LOSS = "daily_loss"
    WEEKLY_LOSS = "weekly_loss"
    REPEATED_MISMATCH = "repeated_mismatch"


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
    HaltReason.DAILY_LOSS: ReasonRule(mode=Mode.REDUCING, level=Level.NORMAL, ends_when="the next trading day begins"),
    HaltReason.WEEKLY_LOSS: ReasonRule(
        mode=Mode.REDUCING, level=Level.NORMAL, ends_when="the first trading day of the next week begins"
    ),
    HaltReason.REPEATED_MISMATCH: ReasonRule(
        mode=Mode.REDUCING, level=Level.BROKER_UNSURE, ends_when="a clean reconciliation on the next day in New York"
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


class SwitchMode(StrEnum):
    """What a person stopped, from nothing to everything (BRK-04)."""

    OFF = "off"
    KILL = "kill"
    FREEZE = "freeze"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """The human stop-all, latched until a human clears it; `by`, `why` and `at` are for the audit.

    KILL stops all new exposure. FREEZE stops protective exits as well; stops that rest at the broker stay there.
    FLATTEN stops all new exposure and sells every position.
    """

    mode: SwitchMode
    by: str = ""
    why: str = ""
    at: datetime | None = None

    @property
    def engaged(self) -> bool:
        """Say whether new exposure is stopped: in every mode but OFF."""
        return self.mode is not SwitchMode.OFF

    @property
    def freezes(self) -> bool:
        """Say whether protective exits stay unsent."""
        return self.mode is SwitchMode.FREEZE

    @property
    def flattens(self) -> bool:
        """Say whether every position is sold."""
        return self.mode is SwitchMode.FLATTEN

    @property
    def words(self) -> str:
        """Say in one line what stands, who set it and why."""
        if not self.engaged and not self.by:
            return self.mode.value
        since = "" if self.at is None else f" at {iso(self.at)}"
        did = "set" if self.engaged else "cleared"
        return f"{self.mode.value}, {did} by {self.by or 'an unknown person'}{since}: {self.why or 'no reason given'}"


UNREADABLE_KILL_SWITCH: Final = KillSwitch(
    mode=SwitchMode.KILL, by="hearthwatch", why="the kill switch could not be read"
)
"""What an unreadable kill switch counts as: set for entries, while exits go on and nothing is sold (fault 44)."""


def words_to_switch(mode: SwitchMode, standing: KillSwitch, account: str, held: int) -> str:
    """Give the exact text a person types to change the switch to a mode; empty where none is needed.

    KILL needs none, so that nothing delays it, unless it would let go what a stronger mode holds or does. `held` counts
    the positions that FLATTEN would sell.
    """
    match mode:
        case SwitchMode.OFF:
            return "clear"
        case SwitchMode.KILL:
            return f"kill instead of {standing.mode.value}" if standing.freezes or standing.flattens else ""
        case SwitchMode.FREEZE:
            return f"freeze exits of {account}"
        case SwitchMode.FLATTEN:
            return f"flatten {held} {'position' if held == 1 else 'positions'} of {account}"
