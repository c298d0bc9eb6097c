"""The kill switch of an account that trades real money: it also stands while nobody's confirmation holds (ORD-02).

An ended confirmation must stop every entry and no exit, which is just what the kill switch does.
"""

from __future__ import annotations

from shared.domain.coverage import PublishedCoverage
from shared.domain.losses import Losses
from shared.domain.stage import Stage, entries_are_confirmed
from shared.domain.trading_state import KillSwitch, SwitchMode, TradingState
from shared.ports.book import Controls
from shared.ports.clock import Clock
from shared.ports.confirmations import Confirmations


class ConfirmedControls:
    """The stored switches, with the kill switch set while a live stage lacks its confirmation."""

    def __init__(
        self, controls: Controls, confirmations: Confirmations, clock: Clock, stage: Stage, account: str
    ) -> None:
        self._controls = controls
        self._confirmations = confirmations
        self._clock = clock
        self._stage = stage
        self._account = account

    def kill_switch(self) -> KillSwitch:
        """Read both; either one stops entries, and a failure to read either counts as set."""
        stored = self._controls.kill_switch()
        if stored.engaged:
            return stored
        confirmation = self._confirmations.get()
        if entries_are_confirmed(self._stage, confirmation, self._account, self._clock.now()):
            return stored
        why = f"live trading in stage {self._stage.value} is not confirmed, or no longer: confirm it again"
        return KillSwitch(mode=SwitchMode.KILL, by="hearthwatch", why=why)

    def set_kill_switch(self, switch: KillSwitch) -> None:
        """Write the stored switch; it cannot stand in for a confirmation."""
        self._controls.set_kill_switch(switch)

    def trading_state(self) -> TradingState | None:
        """Return the published trading state."""
        return self._controls.trading_state()

    def publish_trading_state(self, state: TradingState) -> None:
        """Publish the trading state."""
        self._controls.publish_trading_state(state)

    def losses(self) -> Losses | None:
        """Return what the trading day and week began with."""
        return self._controls.losses()

    def put_losses(self, losses: Losses) -> Losses:
        """Write losses if their version still stands."""
        return self._controls.put_losses(losses)

    def coverage(self) -> PublishedCoverage | None:
        """Return the published coverage."""
        return self._controls.coverage()

    def publish_coverage(self, coverage: PublishedCoverage) -> None:
        """Publish the coverage."""
        self._controls.publish_coverage(coverage)
