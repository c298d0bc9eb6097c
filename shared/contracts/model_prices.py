"""Prices of models that a person adds to those shipped: a JSON list of rows, and the table that comes of it (BUD-04).

Decided: figures and dates are text, because a JSON number may have passed through a float. What a model is charged
from a date on is given as a whole: its rows of one date replace all others from that date on, whatever lengths of
prompts they name, so that no cheaper row of the past is left standing beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from shared.domain.errors import InvalidValue
from shared.domain.model_prices import ModelId, PriceRow, PriceTable

MOST_ROWS: Final = 50
"""More than the models of every provider known; a function's variables hold 4 KB in all."""

_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}", re.ASCII)
_DOLLARS: Final = re.compile(r"\d{1,4}(\.\d{1,6})?", re.ASCII)
_TOKENS: Final = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PRICES: Final = ("input", "output", "cache_read", "cache_write")
_FIELDS: Final = ("model", "since", "until", "longest_prompt", *_PRICES)
_NEEDED: Final = ("model", "since", "input", "output")
_SHOWN: Final = 60


def read_price_rows(text: str) -> tuple[PriceRow, ...]:
    """Read a JSON list of rows: `since` and `until` are days in UTC, prices dollars per million tokens.

    Raises InvalidValue naming the row, counted from 1, and the field.
    """
    try:
        rows = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, InvalidValue):
            raise
        raise InvalidValue("model prices", text[:_SHOWN], f"a JSON list of rows ({problem})") from None
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        raise InvalidValue("model prices", text[:_SHOWN], f"a JSON list of at most {MOST_ROWS} rows")
    return tuple(_row(f"model prices: row {number}", row) for number, row in enumerate(rows, start=1))


def priced(shipped: PriceTable, rows: Sequence[PriceRow]) -> PriceTable:
    """Add a person's rows to a table; of two rows of one model, date and length the later one counts."""
    models = dict.fromkeys(row.model for row in rows)
    kept = [row for row in shipped.rows if row.model not in models]
    return PriceTable((*kept, *(row for model in models for row in _of_one(model, shipped, rows))))


def _of_one(model: ModelId, shipped: PriceTable, rows: Sequence[PriceRow]) -> Iterator[PriceRow]:
    """Give the rows of one model by date, each date's ending where the next begins."""
    given = [row for row in rows if row.model == model]
    first = min(row.since for row in given if row.since is not None)
    older = [row for row in shipped.rows if row.model == model and row.since is not None and row.since < first]
    counting = {(row.since, row.longest_prompt): row for row in (*older, *given)}
    dates = sorted({since for since, _ in counting if since is not None})
    for (since, _), row in counting.items():
        following = next((date for date in dates if since is not None and date > since), None)
        yield row if following is None else replace(row, until=min(row.until or following, following))


def _row(place: str, row: object) -> PriceRow:
    if not isinstance(row, dict):
        raise InvalidValue(place, str(row)[:_SHOWN], f"an object with {', '.join(_NEEDED)}")
    for field in row:
        if field not in _FIELDS:
            raise InvalidValue(place, str(field)[:_SHOWN], f"fields among {', '.join(_FIELDS)}")
    for field in _NEEDED:
        if row.get(field) is None:
            raise InvalidValue(f"{place}: {field}", None, "a text")
    try:
        return PriceRow(
            model=ModelId(_text(place, row, "model", _MODEL, "a model's name") or ""),
            since=_day(place, row, "since"),
            until=_day(place, row, "until"),
            longest_prompt=_tokens(place, row),
            **{kind: _price(place, row, kind) for kind in _PRICES},
        )
    except InvalidValue as problem:
        if problem.field.startswith(place):
            raise
        raise InvalidValue(f"{place}: {problem.field}", problem.value, problem.expected) from None


def _text(place: str, row: Mapping[str, Any], field: str, form: re.Pattern[str], expected: str) -> str | None:
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not form.fullmatch(value):
        raise InvalidValue(f"{place}: {field}", str(value)[:_SHOWN], f"{expected}, as text")
    return value


def _price(place: str, row: Mapping[str, Any], field: str) -> Decimal | None:
    text = _text(place, row, field, _DOLLARS, "dollars per million tokens such as 0.125")
    if text is not None and not Decimal(text):
        raise InvalidValue(f"{place}: {field}", text, "more than zero; a price that nobody knows is left out")
    return None if text is None else Decimal(text)


def _tokens(place: str, row: Mapping[str, Any]) -> int | None:
    text = _text(place, row, "longest_prompt", _TOKENS, "a number of tokens above zero")
    return None if text is None else int(text)


def _day(place: str, row: Mapping[str, Any], field: str) -> datetime | None:
    expected = "a day such as 2026-10-07"
    text = _text(place, row, field, _DAY, expected)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidValue(f"{place}: {field}", text, expected) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidValue("model prices", ", ".join(name for name, _ in pairs)[:_SHOWN], "each field once in a row")
    return found
