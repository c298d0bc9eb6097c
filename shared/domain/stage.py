"""Stages and the two switches of live trading (ORD-02).

Live orders need the configured stage and, stored apart from it, a confirmation that a person typed: the stage and the
account by name, good for 30 days. Decided: anything in between stops the start rather than falling back, because live
keys that trade "on paper" are one mistake away from trading; only a system without live keys and with neither switch,
or with just one of them, trades on paper.

A confirmation that ends while positions are open must not leave them without their software stop. An ended one
therefore still lets exits out and takes away every entry, until it is typed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.errors import InvalidValue, StartRefused
from shared.domain.times import iso, require_utc

CONFIRMED_FOR: Final = timedelta(days=30)
"""How long a confirmation holds; then it must be typed again."""
REMIND_BEFORE: Final = timedelta(days=7)
"""How long before its end a person is reminded: without it, nothing more is bought."""

LIVE_KEY: Final = "AK"
PAPER_KEY: Final = "PK"
"""How the broker's key ids begin."""


class Stage(StrEnum):
    """How much of the account trades live; the default is none of it."""

    PAPER = "paper"
    LIVE_1 = "live-1"
    LIVE_2 = "live-2"
    LIVE_3 = "live-3"
    FULL = "full"

    @property
    def is_live(self) -> bool:
        """Say whether real money trades in this stage."""
        return self is not Stage.PAPER


class TradingMode(StrEnum):
    """Which keys and which address orders go out with."""

    PAPER = "paper"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfirmation:
    """A person's typed word that one account may trade live in one stage; `by` is for the audit."""

    account: str
    stage: Stage
    confirmed_at: datetime
    by: str

    def __post_init__(self) -> None:
        require_utc("confirmed_at", self.confirmed_at)
        if not self.stage.is_live:
            raise InvalidValue("stage", self.stage.value, "a live stage: paper needs no confirmation")
        if not self.account or not self.by:
            raise InvalidValue("account and by", (self.account, self.by), "both named")

    @property
    def expires_at(self) -> datetime:
        """Give the instant from which it no longer holds."""
        return self.confirmed_at + CONFIRMED_FOR

    def holds_at(self, now: datetime) -> bool:
        """Say whether it has not expired; one from the future does not hold either."""
        return self.confirmed_at <= now < self.expires_at

    def ends_soon(self, now: datetime) -> bool:
        """Say whether it still holds but should be typed again."""
        return self.holds_at(now) and now >= self.expires_at - REMIND_BEFORE


def words_to_type(stage: Stage, account: str) -> str:
    """Give the exact text that confirms live trading."""
    return f"{stage.value} on account {account}"


def confirm(typed: str, stage: Stage, account: str, by: str, now: datetime) -> LiveConfirmation:
    """Turn the typed text into a confirmation; raises InvalidValue unless it is exactly the text asked for."""
    if stage.is_live and typed != words_to_type(stage, account):
        raise InvalidValue("typed text", typed, f"exactly: {words_to_type(stage, account)}")
    return LiveConfirmation(account=account, stage=stage, confirmed_at=now, by=by)


def judge_mode(
    stage: Stage,
    confirmation: LiveConfirmation | None,
    account: str,
    live_keys: Mapping[str, bool],
    now: datetime,
) -> TradingMode:
    """Decide between paper and live, or raise StartRefused saying what does not fit and what to do.

    `live_keys` says for each parameter of the live credentials whether something is stored there; `account` is the
    number of the account that the stage is configured for.
    """
    open_switches = _open_switches(stage, confirmation, account, now)
    present = sorted(name for name, is_there in live_keys.items() if is_there)
    absent = sorted(name for name, is_there in live_keys.items() if not is_there)
    if open_switches:
        if present:
            raise StartRefused(
                f"Live keys are stored ({', '.join(present)}) but live trading is not switched on: "
                f"{'; '.join(open_switches)}. Do so, or delete the live keys."
            )
        return TradingMode.PAPER
    if absent or not live_keys:
        raise StartRefused(
            f"Live trading is switched on ({stage.value} on account {account}) but its keys are missing: "
            f"store {', '.join(absent) or 'them'}, or set the stage to paper."
        )
    return TradingMode.LIVE


def entries_are_confirmed(stage: Stage, confirmation: LiveConfirmation | None, account: str, now: datetime) -> bool:
    """Say whether positions may be opened: always on paper, with real money only while the confirmation holds."""
    if not stage.is_live:
        return True
    return _not_confirmed(stage, confirmation, account, now) is None and _holds(confirmation, now)


def trades_live(stage: Stage, confirmation: LiveConfirmation | None, account: str, now: datetime) -> bool:
    """Say whether both switches are set, which decides whose positions and orders the Book is about."""
    return not _open_switches(stage, confirmation, account, now)


def require_key_of(mode: TradingMode, slot: str, key_id: str) -> None:
    """Raise StartRefused for a live key in a paper slot or a paper key in a live one; the key is never shown."""
    misplaced = LIVE_KEY if mode is TradingMode.PAPER else PAPER_KEY
    if key_id.startswith(misplaced):
        found = "live" if mode is TradingMode.PAPER else "paper"
        raise StartRefused(f"{slot} holds a {found} key, expected a {mode.value} key: store the right one there.")


def _open_switches(stage: Stage, confirmation: LiveConfirmation | None, account: str, now: datetime) -> list[str]:
    """Say of each switch that is not set what it lacks, and how it is set."""
    wanted = stage if stage.is_live else confirmation.stage if confirmation else Stage.LIVE_1
    lacks = []
    if not stage.is_live:
        lacks.append(f"the configured stage is paper: configure a live one, such as {wanted.value}")
    problem = _not_confirmed(wanted, confirmation, account, now)
    if problem is not None:
        lacks.append(f'{problem}: confirm it by typing "{words_to_type(wanted, account)}"')
    return lacks


def _not_confirmed(stage: Stage, confirmation: LiveConfirmation | None, account: str, now: datetime) -> str | None:
    if confirmation is None:
        return "nobody has confirmed it"
    if (confirmation.stage, confirmation.account) != (stage, account):
        return f'what was confirmed is "{words_to_type(confirmation.stage, confirmation.account)}"'
    if now < confirmation.confirmed_at:
        return f"its confirmation is dated {iso(confirmation.confirmed_at)}, in the future"
    return None


def _holds(confirmation: LiveConfirmation | None, now: datetime) -> bool:
    return confirmation is not None and confirmation.holds_at(now)
