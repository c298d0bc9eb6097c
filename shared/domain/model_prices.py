"""What models cost: a table of rows with dates and prompt-length tiers, and the two sums made from it (BUD-04).

A price of one dollar per million tokens is one micro-dollar per token, so a row's figures are micro-dollars per token
as they stand. Charges and reservations are whole micro-dollars, each rounded up.

A price that nobody gave is not a price of zero: a model without a row of today, or a use whose cell is empty, is not
asked. Sources: the annex of the requirements; batches cost half, inference kept in one country a tenth more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from hashlib import sha256
from typing import Final, NewType

from shared.domain.errors import InvalidValue
from shared.domain.money import ONE
from shared.domain.times import iso, require_utc

ModelId = NewType("ModelId", str)
"""A model's name as its provider writes it."""

MicroDollars = int
"""Millionths of a dollar, whole."""

DOLLAR: Final[MicroDollars] = 1_000_000
INPUT_MARGIN: Final = Decimal("1.3")
"""The newest tokenizer counts about 30 % more tokens for the same text than those before it (BEY-01)."""
BATCH: Final = Decimal("0.5")
IN_ONE_COUNTRY: Final = Decimal("1.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call by kind, as the provider counted them; `output` includes thinking.

    `input` are those neither read from a cache nor written to it. `batch` and `in_one_country` change the price.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    batch: bool = False
    in_one_country: bool = False

    def __post_init__(self) -> None:
        for name in ("input", "output", "cache_read", "cache_write"):
            count = getattr(self, name)
            if type(count) is not int or count < 0:
                raise InvalidValue(f"usage.{name}", count, "a whole number of tokens of at least zero")

    @property
    def prompt(self) -> int:
        """Count everything that the model was given: it decides the prompt-length tier."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """Dollars per million tokens of one model from `since` until before `until`, for prompts up to `longest_prompt`.

    None as `since` is a date that is still to be confirmed: such a row prices nothing. None as `longest_prompt` means
    any length. A kind of token without a price is one that must not be used.
    """

    model: ModelId
    since: datetime | None
    until: datetime | None = None
    longest_prompt: int | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None

    def __post_init__(self) -> None:
        if self.since is not None:
            require_utc(f"price of {self.model}: since", self.since)
        if self.until is not None:
            require_utc(f"price of {self.model}: until", self.until)
            if self.since is not None and self.until <= self.since:
                raise InvalidValue(f"price of {self.model}: until", iso(self.until), f"after {iso(self.since)}")
        if self.longest_prompt is not None and self.longest_prompt < 1:
            raise InvalidValue(f"price of {self.model}: longest_prompt", self.longest_prompt, "at least one token")

    def holds_at(self, at: datetime) -> bool:
        """Say whether this is the price of an instant."""
        return self.since is not None and self.since <= at and (self.until is None or at < self.until)

    def holds_within(self, first: datetime, last: datetime) -> bool:
        """Say whether this is the price of any instant from the first to the last."""
        return self.since is not None and self.since <= last and (self.until is None or first < self.until)


class Unpriced(Exception):
    """A call cannot be priced, so it must not be made; the message names the model and what is missing."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Every known price; of two rows for one model, instant and length the later one counts."""

    rows: tuple[PriceRow, ...]

    @property
    def version(self) -> str:
        """Name the table by the newest date in it and a digest of its rows, for the records of charges."""
        dates = [row.since for row in self.rows if row.since is not None]
        digest = sha256("\n".join(map(repr, self.rows)).encode()).hexdigest()[:8]
        return f"{iso(max(dates))[:10]} {digest}" if dates else "empty"

    def models(self) -> Sequence[ModelId]:
        """List the models that have rows, each once, in the order of the table."""
        return list(dict.fromkeys(row.model for row in self.rows))

    def row_for(self, model: ModelId, at: datetime, prompt: int) -> PriceRow:
        """Find the row of a model for an instant and a prompt of so many tokens. Raises Unpriced."""
        rows = self._of(model)
        fitting = [row for row in rows if row.holds_at(at) and _takes(row, prompt)]
        if not fitting:
            raise Unpriced(_why_none(model, rows, at, prompt))
        return min(fitting, key=lambda row: (_reach(row), -_started(row)))

    def charge(self, model: ModelId, at: datetime, usage: Usage) -> MicroDollars:
        """Work out what a call cost from its tokens; the whole request counts at the row of its length.

        Raises Unpriced, also for a kind of token that has no price.
        """
        row = self.row_for(model, at, usage.prompt)
        parts = {
            "input": usage.input,
            "output": usage.output,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
        }
        total = sum((_price(row, kind) * tokens for kind, tokens in parts.items() if tokens), Decimal(0))
        factor = (BATCH if usage.batch else ONE) * (IN_ONE_COUNTRY if usage.in_one_country else ONE)
        return _rounded_up(total * factor)

    def worst_case(
        self,
        model: ModelId,
        first: datetime,
        last: datetime,
        *,
        input_tokens: int,
        output_tokens: int,
        caches: bool,
    ) -> MicroDollars:
        """Bound what a call between two instants can cost, batch or not (BEY-01).

        `input_tokens` is an upper bound before the margin and `output_tokens` what the request allows. Each counts at
        the dearest price that can apply: of every date in between, of every length up to the bound, and of writing to
        the cache when the call `caches`. Raises Unpriced unless every instant in between has a usable row.
        """
        most = _rounded_up(INPUT_MARGIN * input_tokens)
        rows = [
            row
            for row in self._of(model)
            if row.holds_within(first, last) and _begins_below(row, most, self._of(model))
        ]
        for instant in (first, last, *_changes(rows, first, last)):
            self.row_for(model, instant, most)
        kinds = ("input", "cache_write") if caches else ("input",)
        dearest_input = max(_price(row, kind) for row in rows for kind in kinds)
        dearest_output = max(_price(row, "output") for row in rows)
        return _rounded_up(dearest_input * most + dearest_output * output_tokens)

    def longest_answer(
        self, model: ModelId, first: datetime, last: datetime, *, input_tokens: int, caches: bool, left: MicroDollars
    ) -> int:
        """Give the most output tokens whose worst case fits what is left; below one, none does. Raises Unpriced."""

        def bound(output_tokens: int) -> MicroDollars:
            return self.worst_case(
                model, first, last, input_tokens=input_tokens, output_tokens=output_tokens, caches=caches
            )

        prompt = bound(0)
        a_million = bound(1_000_000) - prompt
        tokens = (left - prompt) * 1_000_000 // a_million
        return tokens if bound(tokens) <= left else tokens - 1

    def unusable(self, models: Iterable[ModelId], now: datetime) -> dict[ModelId, str]:
        """Name each model that cannot be asked now, and why: for the check before the start (fault 31)."""
        found = {}
        for model in models:
            try:
                self.worst_case(model, now, now, input_tokens=1, output_tokens=1, caches=False)
            except Unpriced as problem:
                found[model] = str(problem)
        return found

    def _of(self, model: ModelId) -> list[PriceRow]:
        return [row for row in self.rows if row.model == model]


def admitted_calls(reservation: MicroDollars, limit: MicroDollars) -> int:
    """Count the calls of one reservation each that a limit admits at the same time (BEY-01)."""
    return limit // reservation


def in_dollars(amount: MicroDollars) -> str:
    """Write an amount in dollars: to the cent from ten cents on, below that to four decimals or all six."""
    places = 2 if amount == 0 or abs(amount) >= DOLLAR // 10 else 4 if abs(amount) >= DOLLAR // 10_000 else 6
    return f"{Decimal(amount) / DOLLAR:,.{places}f}"


def _price(row: PriceRow, kind: str) -> Decimal:
    price: Decimal | None = getattr(row, kind)
    if price is None or not price.is_finite() or price <= 0:
        raise Unpriced(f"{row.model}: the row from {_date(row)} has no price for {kind.replace('_', ' ')}")
    return price


def _takes(row: PriceRow, prompt: int) -> bool:
    return row.longest_prompt is None or prompt <= row.longest_prompt


def _reach(row: PriceRow) -> int:
    return row.longest_prompt if row.longest_prompt is not None else 1 << 62


def _started(row: PriceRow) -> float:
    return row.since.timestamp() if row.since else 0.0


def _begins_below(row: PriceRow, most: int, rows: Sequence[PriceRow]) -> bool:
    """Say whether some prompt of at most so many tokens may be priced by this row."""
    shorter = [_reach(other) for other in rows if _reach(other) < _reach(row) and _outlasts(other, row)]
    return not shorter or max(shorter) < most


def _outlasts(other: PriceRow, row: PriceRow) -> bool:
    """Say whether one row holds whenever another does."""
    if other.since is None or row.since is None or other.since > row.since:
        return False
    return other.until is None or (row.until is not None and row.until <= other.until)


def _changes(rows: Iterable[PriceRow], first: datetime, last: datetime) -> list[datetime]:
    edges = (edge for row in rows for edge in (row.since, row.until) if edge is not None)
    return sorted({edge for edge in edges if first < edge <= last})


def _why_none(model: ModelId, rows: Sequence[PriceRow], at: datetime, prompt: int) -> str:
    if not rows:
        return f"{model}: no price is known for it"
    if all(row.since is None for row in rows):
        return f"{model}: its price is not confirmed yet"
    held = [row for row in rows if row.holds_at(at)]
    if held:
        return f"{model}: no price for a prompt of {prompt} tokens"
    dated = [row for row in rows if row.since is not None]
    if all(row.since is not None and row.since > at for row in dated):
        return f"{model}: its price begins on {min(_date(row) for row in dated)}"
    return f"{model}: its price expired on {max(iso(row.until)[:10] for row in dated if row.until is not None)}"


def _date(row: PriceRow) -> str:
    return iso(row.since)[:10] if row.since is not None else "a date to confirm"


def _rounded_up(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_CEILING))


HAIKU: Final = ModelId("claude-haiku-5-5")
SONNET: Final = ModelId("claude-sonnet-5-5")
OPUS: Final = ModelId("claude-opus-5-5")
DEEPSEEK: Final = ModelId("deepseek-chat")
GEMINI: Final = ModelId("gemini-flash")

_OCTOBER_7: Final = datetime(2026, 10, 7, tzinfo=UTC)
_SEPTEMBER_28: Final = datetime(2026, 9, 28, tzinfo=UTC)
_SHORT: Final = 100_000

STARTING_PRICES: Final = PriceTable(
    (
        PriceRow(
            model=HAIKU,
            since=_OCTOBER_7,
            longest_prompt=_SHORT,
            input=Decimal("0.10"),
            output=Decimal("0.50"),
            cache_read=Decimal("0.01"),
            cache_write=Decimal("0.125"),
        ),
        PriceRow(
            model=HAIKU,
            since=_OCTOBER_7,
            input=Decimal("0.50"),
            output=Decimal("2.50"),
            cache_read=Decimal("0.05"),
            cache_write=Decimal("0.625"),
        ),
        PriceRow(
            model=SONNET,
            since=_SEPTEMBER_28,
            until=_OCTOBER_7,
            input=Decimal(2),
            output=Decimal(10),
            cache_read=Decimal("0.20"),
            cache_write=Decimal("2.50"),
        ),
        PriceRow(
            model=SONNET,
            since=_OCTOBER_7,
            input=Decimal(2),
            output=Decimal(10),
            cache_read=Decimal("0.10"),
            cache_write=Decimal("2.50"),
        ),
        PriceRow(model=OPUS, since=None, input=Decimal(4), output=Decimal(20), cache_read=Decimal("0.20")),
        PriceRow(model=DEEPSEEK, since=None, input=Decimal("0.14")),
        PriceRow(model=GEMINI, since=None),
    )
)
"""The prices of 2026-11-20 as the annex of the requirements has them; rows without a date are never asked."""

BASELINE_PRICE: Final = PriceRow(
    model=ModelId("claude-sonnet-4-5"),
    since=None,
    input=Decimal(3),
    output=Decimal(15),
    cache_read=Decimal("0.30"),
    cache_write=Decimal("3.75"),
)
"""What the arithmetic of the cost report compares with; this model is never called."""
