"""Set or clear the kill switch, in one of its modes (BRK-04)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.errors import Conflict, InvalidValue
from shared.domain.intents import AccountId
from shared.domain.times import iso
from shared.domain.trading_state import KillSwitch, SwitchMode, words_to_switch
from shared.ports.book import Controls, Positions
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.check_risk import read_kill_switch
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, tell_quietly

LONGEST_WHY: Final = 300
"""Characters of a reason; more than that reads badly in a message."""
_DOES: Final = {
    SwitchMode.OFF: "Kill switch cleared",
    SwitchMode.KILL: "Kill switch set: nothing is bought, exits go on; set",
    SwitchMode.FREEZE: "Freeze set: nothing leaves, protective exits included; stops at the broker stay; set",
    SwitchMode.FLATTEN: "Flatten set: every position is sold, nothing is bought; set",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetKillSwitch:
    """Write the flag first; telling and journaling it come after, because the flag is what protects."""

    account: AccountId
    clock: Clock
    controls: Controls
    positions: Positions
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact

    def __call__(
        self, mode: SwitchMode, *, by: str, why: str, typed: str = "", seen: KillSwitch | None = None
    ) -> KillSwitch:
        """Change the switch, and wake the executor so that resting entries are canceled and exits go or wait.

        `typed` is what the person typed where `words_needed` asks for words. Raises InvalidValue when it is anything
        else, and Conflict when the switch is no longer the one that was `seen`; nothing changed then. Any other error
        comes after the flag was written, or from writing it.
        """
        standing = read_kill_switch(self.controls)
        if seen is not None and standing != seen:
            raise Conflict(f"the kill switch changed meanwhile, it is now {standing.words}: look again")
        words = self.words_needed(mode, standing)
        if words and typed != words:
            raise InvalidValue("typed text", typed, f"exactly: {words}")
        now = self.clock.now()
        switch = KillSwitch(mode=mode, by=by, why=_one_line(why), at=now)
        self.controls.set_kill_switch(switch)
        ring_quietly(self.doorbell)
        for alert in _alerts(switch, standing, now):
            tell_quietly(self.alerts, alert)
        self.record("kill_switch", now, mode=mode, engaged=switch.engaged, by=by, why=switch.why, before=standing.mode)
        return switch

    def words_needed(self, mode: SwitchMode, standing: KillSwitch) -> str:
        """Give the exact words a person must type for a change; empty where none are needed."""
        held = len(self.positions.readable().positions) if mode is SwitchMode.FLATTEN else 0
        return words_to_switch(mode, standing, self.account, held)


def _one_line(why: str) -> str:
    """Bring a reason to one line; raises InvalidValue when it is too long for a message."""
    line = " ".join(why.split())
    if len(line) > LONGEST_WHY:
        raise InvalidValue("why", f"{line[:40]}...", f"at most {LONGEST_WHY} characters")
    return line


def _alerts(switch: KillSwitch, standing: KillSwitch, now: datetime) -> list[Alert]:
    """Tell of what stands now, and end the trouble of another mode that stood before."""
    text = f"{_DOES[switch.mode]} by {switch.by}: {switch.why or 'no reason given'}"
    told = [_alert(switch.mode, text, now, recovers=False)] if switch.engaged else []
    if not switch.engaged or (standing.engaged and standing.mode is not switch.mode):
        told.insert(0, _alert(standing.mode, text, now, recovers=True))
    return told


def _alert(about: SwitchMode, text: str, now: datetime, *, recovers: bool) -> Alert:
    return Alert(
        kind=AlertKind.BREAKER,
        severity=Severity.INFO if recovers else Severity.CRITICAL,
        subject=_subject(about),
        at=now,
        text=text,
        occurrence=iso(now),
        recovers=recovers,
    )


def _subject(mode: SwitchMode) -> str:
    """Name the trouble: each mode is one of its own, so that a freeze after a kill is not merely counted."""
    return mode.value if mode in (SwitchMode.FREEZE, SwitchMode.FLATTEN) else "kill switch"
