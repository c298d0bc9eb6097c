"""The cost report as a person reads it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table

from hearthwatch.cost.reading import Report
from shared.domain.budget import BudgetMonth, BudgetRules, spent_fraction
from shared.domain.charges import Charge
from shared.domain.cost_report import (
    ANSWER,
    BREAKDOWNS,
    KINDS,
    PROMPT,
    Admitted,
    Compared,
    Left,
    Spending,
    breakdown,
    spending,
    statements,
)
from shared.domain.model_prices import INPUT_MARGIN, MicroDollars, in_dollars
from shared.domain.text import clean
from shared.domain.times import iso

WIDTH: Final = 180
LONGEST_CELL: Final = 200
"""Text of providers and people may be long, or hold what a terminal would obey."""
_PERCENT: Final = Decimal(100)


def drawn(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Draw a table as text; its first columns, `words` of them, are words and the others figures."""
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(clean(cell, LONGEST_CELL) for cell in row))
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None, markup=False, highlight=False).print(table)
    return "\n".join([clean(title, WIDTH), *(line.rstrip() for line in out.getvalue().splitlines())])


def report_text(report: Report) -> str:
    """Write the whole report."""
    parts = [
        _limits(report),
        *_breakdowns(report),
        _admitted(report.admitted, report.day_closed),
        _saved(report),
        _targets(report),
        _agreement(report),
    ]
    return "\n\n".join(part for part in parts if part)


def dollars(amount: MicroDollars) -> str:
    """Write an amount with its sign."""
    return f"-${in_dollars(-amount)}" if amount < 0 else f"${in_dollars(amount)}"


def _limits(report: Report) -> str:
    rows = [_limit(left) for left in (report.day_left, report.month_left, *report.envelopes)]
    names = {"day": report.day.isoformat(), "month": f"{report.month.month:%Y-%m}"}
    named = [[names.get(row[0], f"  {row[0]}"), *row[1:]] for row in rows]
    table = drawn(
        "Models, against the limits (New York days)", ["", "spent", "reserved", "left", "limit", "used"], named
    )
    return "\n".join([table, "", *_of_the_day(report)])


def _limit(left: Left) -> list[str]:
    used = spent_fraction(left.spent + (left.reserved or 0), left.limit) * _PERCENT
    reserved = "" if left.reserved is None else dollars(left.reserved)
    return [left.name, dollars(left.spent), reserved, dollars(left.left), dollars(left.limit), f"{used:.1f} %"]


def _of_the_day(report: Report) -> list[str]:
    day, rules = report.month.day(report.day), report.rules
    grants = [grant for grant in report.month.grants.values() if grant.day == report.day]
    used = sum(grant.used for grant in grants)
    together = dollars(report.month.granted(report.day))
    of_day = f", {used} used; {together} of the day's limit are for these calls alone" if grants else ""
    lines = [
        f"Decisions counted: {len(day.decisions)} of {rules.decisions}. Calls reserved: {day.calls}.",
        f"Allowances granted: {len(grants)} of {rules.grants_a_day}{of_day}.",
    ]
    lines.append(f"The day is closed: {clean(day.closed, LONGEST_CELL)}" if day.closed else "The day is open.")
    if report.month.open:
        lines.append(f"Reservations open: {len(report.month.open)}; `release --list` names them.")
    return lines


def _breakdowns(report: Report) -> list[str]:
    if not report.charges:
        return [f"{report.period}: no model was called."]
    texts = []
    for by in BREAKDOWNS:
        rows = [_spending(name, one) for name, one in breakdown(report.charges, by).items()]
        if by == "day" and len(rows) == 1:
            continue
        texts.append(drawn(f"{report.period}, by {by}", _COLUMNS, rows))
    total = spending(report.charges)
    last = f"{report.period}: {total.calls} calls, {dollars(total.cost)}"
    if total.at_most:
        last += f"; {total.at_most} of them at their whole reservation, because nobody knows what they cost"
    return [*texts, f"{last}."]


_COLUMNS: Final = ["", "calls", "input", "cache read", "cache write", "output", "cost"]


def _spending(name: str, one: Spending) -> list[str]:
    tokens = (one.input, one.cache_read, one.cache_write, one.output)
    return [name, str(one.calls), *(f"{count:,}" for count in tokens), dollars(one.cost)]


def _admitted(admitted: Sequence[Admitted], closed: str) -> str:
    rows = [
        [one.model, dollars(one.reservation), f"{one.whole_day:,}", f"{one.rest:,}", f"{one.decisions:,}"]
        for one in admitted
        if one.reservation is not None
    ]
    columns = ["", "reserved each", "whole day", "now", "as decisions"]
    table = drawn("Calls that the day's money admits at once", columns, rows)
    margin = (INPUT_MARGIN - 1) * _PERCENT
    assumed = (
        f"Assumed: {PROMPT:,} tokens in, {margin:.0f} % more reserved, {ANSWER:,} out, nothing cached. "
        "A settled call gives back what it did not use; decisions are also limited by their count."
    )
    whys = [f"{clean(one.why_not, LONGEST_CELL)}: it is not asked." for one in admitted if one.why_not]
    return "\n".join([table, assumed, *whys, *(["Now is none: the day is closed."] if closed else [])])


def _saved(report: Report) -> str:
    saved = report.saved
    lines = [
        f"Saved by prompt caches {dollars(saved.by_caches)}, by batches {dollars(saved.by_batches)}.",
    ]
    if report.known_answers is not None:
        lines.append(f"Calls saved because the answer was known: {report.known_answers}.")
    if saved.unknown:
        lines.append(f"{saved.unknown} calls have no price any more to compare with.")
    return "\n".join(lines)


def _targets(report: Report) -> str:
    rows = [
        [one.name, dollars(one.reached), f"below {dollars(one.below)}", "kept" if one.met else "MISSED"]
        for one in report.targets
    ]
    return drawn(f"{report.month.month:%Y-%m}, against the targets", ["", "reached", "target", ""], rows)


def _agreement(report: Report) -> str:
    if report.disagreements:
        return "\n".join(["DOES NOT AGREE:", *(f"  {line}" for line in report.disagreements)])
    count = len(report.all_charges)
    return f"{report.month.month:%Y-%m}: {count} charges on record, the counters and the limits agree."


# decisions


def decisions_text(charges: Sequence[Charge], month: BudgetMonth, rules: BudgetRules) -> str:
    """Write the statement of each decision, with every call, its rung and how it ended."""
    parts = []
    for name, (stated, calls) in statements(charges, month, rules).items():
        rows = [_call(charge) for charge in calls]
        parts.append(drawn(f"{name}: {stated.text}", _CALL, rows, words=6))
    return "\n\n".join(parts) or "No charges."


_CALL: Final = ["at", "rung", "model", "for", "ended", "booked", "in", "out", "cost"]


def _call(charge: Charge) -> list[str]:
    prompt, output = ("", "") if charge.usage is None else (f"{charge.usage.prompt:,}", f"{charge.usage.output:,}")
    words = charge.booked.value + (f" ({charge.note})" if charge.note else "")
    return [
        iso(charge.at)[:19] + "Z",
        charge.rung.value,
        charge.model,
        charge.purpose.value,
        charge.ending,
        words,
        prompt,
        output,
        dollars(charge.cost),
    ]


# reconciliation


def compared_text(compared: Sequence[Compared]) -> str:
    """Write every day and model in which the provider's report and our records differ, and what is missing."""
    rows = [_compared(one) for one in compared if one.differs]
    same = len(compared) - len(rows)
    last = f"{same} of {len(compared)} days and models are the same."
    if not rows:
        return last
    columns = ["UTC day", "model", "calls", *(kind.replace("_", " ") for kind in KINDS), "ours", "theirs"]
    notes = [clean(f"{one.day} {one.model}: {_note(one)}", WIDTH) for one in compared if one.differs]
    table = drawn("Provider minus records, tokens by kind", columns, rows, words=2)
    return "\n".join([table, "", *notes, last])


def _compared(one: Compared) -> list[str]:
    if one.theirs.cost is None:
        kinds = [f"{getattr(one.theirs, kind) - getattr(one.ours, kind):+,}" for kind in KINDS]
    else:
        kinds = ["" for _ in KINDS]
    theirs = "" if one.theirs.cost is None else dollars(one.theirs.cost)
    return [one.day.isoformat(), one.model, str(one.ours.calls), *kinds, dollars(one.ours.cost), theirs]


def _note(one: Compared) -> str:
    if one.missing:
        return f"the provider counted {one.missing}"
    if one.covering:
        return f"covered by {dollars(one.covering)} booked for calls without a count to rely on"
    return "the provider counted less than we booked"
