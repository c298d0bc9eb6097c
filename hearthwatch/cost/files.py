"""Files of the cost report: charges written as CSV, and a provider's own report read."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from shared.domain.charges import Charge
from shared.domain.cost_report import Counted, exactly
from shared.domain.errors import Stop
from shared.domain.model_prices import ModelId
from shared.domain.times import iso

COLUMNS: Final = (
    "id",
    "at",
    "day",
    "provider",
    "model",
    "rung",
    "purpose",
    "envelope",
    "work",
    "cycle",
    "held_micros",
    "cost_micros",
    "cost_dollars",
    "booked",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "batch",
    "in_one_country",
    "latency_ms",
    "ending",
    "prices",
    "request_id",
    "note",
)
LARGEST: Final = 50_000_000
"""Bytes of a report that are read."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_COUNT: Final = re.compile(r"[0-9]{1,18}")
_CENT: Final = 10_000
"""Micro-dollars."""


class UnusableReport(Stop):
    """A provider's report cannot be read; the message says where."""


def export_charges(path: Path, charges: Iterable[Charge]) -> int:
    """Write charges as CSV and return how many; text that a spreadsheet would run as a formula begins with a quote."""
    rows = [_row(charge) for charge in sorted(charges, key=lambda charge: (charge.at, charge.id))]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(rows)
    except OSError as problem:
        raise Stop(f"cannot write {path}: {problem.strerror}") from problem
    return len(rows)


def _row(charge: Charge) -> list[object]:
    usage = charge.usage
    tokens: list[object] = [""] * 6
    if usage is not None:
        tokens = [usage.input, usage.output, usage.cache_read, usage.cache_write]
        tokens += ["yes" if flag else "no" for flag in (usage.batch, usage.in_one_country)]
    latency = "" if charge.latency is None else charge.latency // timedelta(milliseconds=1)
    return [
        _safe(charge.id),
        iso(charge.at),
        charge.day.isoformat(),
        _safe(charge.provider),
        _safe(charge.model),
        charge.rung.value,
        charge.purpose.value,
        charge.envelope.value,
        _safe(charge.work),
        _safe(charge.cycle or ""),
        charge.held,
        charge.cost,
        exactly(charge.cost),
        charge.booked.value,
        *tokens,
        latency,
        _safe(charge.ending),
        _safe(charge.prices),
        _safe(charge.request_id),
        _safe(charge.note),
    ]


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


# a provider's report


def read_report(path: Path) -> Sequence[Counted]:
    """Read a usage or cost report of Anthropic's Admin API as JSON, or a CSV with a line for each day and model.

    A file may hold one answer, or a list of its pages. Days are UTC. Raises UnusableReport.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UnusableReport(f"{path} is larger than {LARGEST:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise UnusableReport(f"{path} cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise UnusableReport(f"{path} cannot be read: it is not text in UTF-8") from problem
    rows = _json_rows(path, text) if text.lstrip()[:1] in ("{", "[") else _csv_rows(path, text)
    if not rows:
        raise UnusableReport(f"{path} names no day with any use")
    return rows


def _json_rows(path: Path, text: str) -> list[Counted]:
    try:
        pages = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as problem:
        raise UnusableReport(f"{path} is no JSON: {problem}") from problem
    pages = pages if isinstance(pages, list) else [pages]
    try:
        if any(page["has_more"] for page in pages[-1:]):
            raise UnusableReport(f"{path}: more pages follow the last one; put all of them into one list")
        return [
            _counted(_bucket_day(bucket), result)
            for page in pages
            for bucket in page["data"]
            for result in bucket["results"]
        ]
    except (AttributeError, KeyError, TypeError, ValueError, InvalidOperation) as problem:
        wanted = "a usage or cost report, grouped by model and by day"
        raise UnusableReport(f"{path} is not {wanted}: {type(problem).__name__} {problem}") from problem


def _bucket_day(bucket: Mapping[str, Any]) -> date:
    start = datetime.fromisoformat(bucket["starting_at"].replace("Z", "+00:00")).astimezone(UTC)
    return start.date()


def _counted(day: date, result: Mapping[str, Any]) -> Counted:
    if "amount" in result:
        if result.get("currency", "USD") != "USD":
            raise ValueError(f"amounts in {result['currency']}")
        model = result.get("model") or result.get("description") or "everything"
        return Counted(day=day, model=ModelId(str(model)), cost=_micros(str(result["amount"]), _CENT))
    if not result.get("model"):
        raise ValueError("results without a model: group the report by model")
    created = result.get("cache_creation")
    parts = created if isinstance(created, dict) else {"all": result.get("cache_creation_input_tokens", 0)}
    return Counted(
        day=day,
        model=ModelId(str(result["model"])),
        input=_tokens(result["uncached_input_tokens"]),
        output=_tokens(result["output_tokens"]),
        cache_read=_tokens(result.get("cache_read_input_tokens", 0)),
        cache_write=sum(_tokens(count) for count in parts.values()),
    )


_CSV: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("day", "date", "usage_date_utc"),
    "model": ("model", "model_version"),
    "input": ("input", "input_tokens", "uncached_input_tokens", "usage_input_tokens_no_cache"),
    "output": ("output", "output_tokens", "usage_output_tokens"),
    "cache_read": ("cache_read", "cache_read_input_tokens", "usage_input_tokens_cache_read"),
    "cache_write": (
        "cache_write",
        "cache_creation_input_tokens",
        "usage_input_tokens_cache_write_5m",
        "usage_input_tokens_cache_write_1h",
    ),
}
"""What each figure may be called in a CSV; several such columns are added up."""


def _csv_rows(path: Path, text: str) -> list[Counted]:
    reader = csv.DictReader(text.splitlines())
    found = [name for name in reader.fieldnames or () if name]
    columns = {wanted: [name for name in found if name.strip().lower() in names] for wanted, names in _CSV.items()}
    missing = [wanted for wanted in ("day", "model", "input", "output") if not columns[wanted]]
    if missing:
        raise UnusableReport(f"{path} has no column for {', '.join(missing)}: it has {', '.join(found) or 'none'}")
    rows: list[Counted] = []
    try:
        rows.extend(_csv_row(row, columns) for row in reader)
    except (ValueError, csv.Error) as problem:
        raise UnusableReport(f"{path}, line {reader.line_num}: {problem}") from problem
    return rows


def _csv_row(row: Mapping[str, str | None], columns: Mapping[str, Sequence[str]]) -> Counted:
    counts = {
        kind: sum(_tokens((row[name] or "0").replace(",", "")) for name in columns[kind])
        for kind in ("input", "output", "cache_read", "cache_write")
    }
    day, model = (row[columns[name][0]] or "" for name in ("day", "model"))
    if not model:
        raise ValueError("no model")
    return Counted(day=date.fromisoformat(day[:10]), model=ModelId(model), **counts)


def _tokens(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no number of tokens")
    if not _COUNT.fullmatch(str(value).strip()):
        raise ValueError(f"{str(value)[:40]!r} is no number of tokens")
    return int(value)


def _micros(text: str, unit: int) -> int:
    amount = Decimal(text) * unit
    if not amount.is_finite():
        raise ValueError(f"{text!r} is no amount")
    return int(amount.to_integral_value())
