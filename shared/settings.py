"""Settings: one frozen model per concern, read once from environment variables and passed on as plain values.

Secrets are not here: they lie in the parameter store, and only their prefix is a setting. An empty variable counts as
one that is not set. What is missing or unusable is named, all of it at once, and stops the start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, ValidationError

from shared.contracts.model_prices import priced, read_price_rows
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass, Symbol, admit_symbol
from shared.domain.budget import BudgetRules
from shared.domain.errors import Stop
from shared.domain.model_prices import DOLLAR, STARTING_PRICES, MicroDollars, PriceRow, PriceTable
from shared.domain.stage import Stage

PREFIX: Final = "HEARTHWATCH_"


class SettingsError(Stop):
    """Settings are missing or unusable; the message names each variable."""


class Settings(BaseModel):
    """One concern's settings; each field is the environment variable of its name behind the prefix."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Take the concern's variables; raises SettingsError naming every one that is missing or unusable."""
        named = {field: environment.get(_variable(field), "").strip() for field in cls.model_fields}
        try:
            return cls.model_validate({field: text for field, text in named.items() if text})
        except ValidationError as problem:
            lines = [_line(str(error["loc"][0]), error["type"], error["msg"]) for error in problem.errors()]
            raise SettingsError("; ".join(lines)) from None


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _line(field: str, kind: str, message: str) -> str:
    if kind == "missing":
        return f"{_variable(field)} is not set"
    return f"{_variable(field)} is not usable: {message.removeprefix('Value error, ')}"


def _words(value: object) -> object:
    """Split a list written with commas."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _secure(url: str) -> str:
    """Admit https, and plain http to this machine only (SEC-03)."""
    if url.startswith("https://") or url.startswith(("http://127.0.0.1:", "http://localhost:")):
        return url
    raise ValueError("an https:// address is expected")


def _dollars(value: object) -> object:
    """Take an amount as it is written, to the cent; a float has no cents."""
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise ValueError("dollars with at most two digits behind the point are expected, such as 4.50")
    return Decimal(value)


def _price_rows(value: object) -> object:
    return read_price_rows(value) if isinstance(value, str) else value


def _micro_dollars(amount: Decimal) -> MicroDollars:
    return int(amount * DOLLAR)


_CEILING: Final = 10 * DOLLAR
_AMOUNT: Final = re.compile(r"\d{1,6}(\.\d{1,2})?", re.ASCII)
Dollars = Annotated[Decimal, BeforeValidator(_dollars)]
Name = Annotated[str, Field(min_length=3, max_length=255)]
Url = Annotated[str, AfterValidator(_secure)]
Address = Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$", max_length=254)]
Words = BeforeValidator(_words)


class AccountSettings(Settings):
    """What is watched, and how far trading may go."""

    stage: Stage = Stage.PAPER
    live_account: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "none"
    """The number of the account that trades real money, as the broker writes it."""
    asset_classes: Annotated[frozenset[AssetClass], Words] = DEFAULT_ASSET_CLASSES
    watchlist: Annotated[tuple[str, ...], Words, Field(max_length=500)] = ()
    """At most 500 symbols: one minute of them fits one stored item of 400 KB twice over."""

    def symbols(self) -> tuple[Symbol, ...]:
        """Give the watchlist as symbols; raises SettingsError for one whose asset class is not admitted (PRC-05)."""
        try:
            return tuple(dict.fromkeys(admit_symbol(text.upper(), self.asset_classes) for text in self.watchlist))
        except Stop as problem:
            raise SettingsError(f"{_variable('watchlist')}: {problem}") from problem


class DataLossSettings(Settings):
    """Whether a held symbol without any usable price is sold blind, and after how many seconds of it (PRC-02).

    Off unless set: a stop resting at the broker still protects, and selling blind is worse than waiting for it.
    """

    close_on_data_loss: bool = False
    data_loss_after: Annotated[int, Field(ge=30, lt=10_000)] = 300

    @property
    def close_blind_after(self) -> timedelta | None:
        """Give the limit; None never sells blind."""
        return timedelta(seconds=self.data_loss_after) if self.close_on_data_loss else None


class StopSettings(Settings):
    """Whether stops rest at the broker; without them the software stop, once a minute, is all (RSK-05)."""

    broker_stops: bool = True


class TableSettings(Settings):
    """Where state lies."""

    book_table: Name
    prices_table: Name
    journal_table: Name


class ArchiveSettings(Settings):
    """Where prices are archived."""

    archive_bucket: Name


class QueueSettings(Settings):
    """Where messages go."""

    doorbell_queue_url: Url
    cycles_queue_url: Url
    alerts_queue_url: Url
    alerts_dead_letters_url: Url


class SourceSettings(Settings):
    """Where prices, orders, answers and messages come from and go to; no address means the provider's own.

    `discord_loopback` admits a webhook on this machine in Discord's place.
    """

    price_feed: Annotated[str, Field(pattern="^(iex|sip)$")] = "iex"
    alpaca_trading_url: Url | None = None
    alpaca_data_url: Url | None = None
    yahoo_url: Url | None = None
    discord_loopback: bool = False
    anthropic_url: Url | None = None
    deepseek_url: Url | None = None
    gemini_url: Url | None = None


class BudgetSettings(Settings):
    """What may be spent on models, in dollars, and at which prices; zero means that nothing paid is ever asked.

    A day stays within the ten dollars that are reported as the ceiling, a month within twice what is meant for it, so
    that one digit too many is refused (BUD-01).
    """

    budget_day: Annotated[Dollars, Field(ge=0, le=10)] = Decimal(5)
    budget_month: Annotated[Dollars, Field(ge=0, le=300)] = Decimal(150)
    model_prices: Annotated[tuple[InstanceOf[PriceRow], ...], BeforeValidator(_price_rows)] = ()
    """Rows beside the shipped ones, as a JSON list; see `contracts.model_prices`."""

    def rules(self) -> BudgetRules:
        """Give the limits; people may allow so many extra calls that a day stays below its ceiling (BUD-07)."""
        given = BudgetRules(day=_micro_dollars(self.budget_day), month=_micro_dollars(self.budget_month))
        left = max(0, (_CEILING - 1 - given.day) // given.grant)
        return replace(given, grants_a_day=min(given.grants_a_day, left) if given.day else 0)

    def prices(self) -> PriceTable:
        """Give the shipped prices with the rows beside them."""
        return priced(STARTING_PRICES, self.model_prices)


class ParameterSettings(Settings):
    """Where secrets lie in the parameter store."""

    parameters: Annotated[str, Field(pattern=r"^/[\w./-]{1,200}$")] = "/hearthwatch"


class MailSettings(Settings):
    """Who mails whom; without a sender there is no e-mail."""

    mail_from: Address | None = None
    mail_to: Annotated[tuple[Address, ...], Words, Field(max_length=50)] = ()
