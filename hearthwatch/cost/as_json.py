"""The cost report for programs: stable keys, and every amount twice, as text in dollars and in whole micro-dollars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hearthwatch.cost.reading import Report
from shared.domain.budget import BudgetMonth, BudgetRules
from shared.domain.charges import Charge
from shared.domain.cost_report import (
    ANSWER,
    BREAKDOWNS,
    KINDS,
    PROMPT,
    Compared,
    Left,
    Spending,
    breakdown,
    exactly,
    spending,
    statements,
)
from shared.domain.forecast import Forecast
from shared.domain.model_prices import MicroDollars
from shared.domain.times import iso


def amount(micros: MicroDollars) -> dict[str, Any]:
    """Write an amount both ways."""
    return {"dollars": exactly(micros), "micros": micros}


def dumped(value: Any) -> str:
    """Write JSON for people and programs alike."""
    return json.dumps(value, indent=2)


def report_json(report: Report) -> dict[str, Any]:
    """Give the report."""
    day = report.month.day(report.day)
    return {
        "day": report.day.isoformat(),
        "period": report.period,
        "limits": {
            "day": _left(report.day_left),
            "month": _left(report.month_left),
            "envelopes": {left.name: _left(left) for left in report.envelopes},
        },
        "decisions": {"counted": len(day.decisions), "limit": report.rules.decisions},
        "grants": [
            {"id": grant.id, "amount": amount(grant.amount), "used": grant.used}
            for grant in sorted(report.month.grants.values(), key=lambda grant: grant.id)
            if grant.day == report.day
        ],
        "closed": day.closed,
        "open_reservations": len(report.month.open),
        "total": _spending(spending(report.charges)),
        "by": {by: {name: _spending(one) for name, one in breakdown(report.charges, by).items()} for by in BREAKDOWNS},
        "admitted": {
            "input_tokens": PROMPT,
            "output_tokens": ANSWER,
            "models": {
                one.model: {"why_not": one.why_not}
                if one.reservation is None
                else {
                    "reservation": amount(one.reservation),
                    "whole_day": one.whole_day,
                    "now": one.rest,
                    "as_decisions": one.decisions,
                }
                for one in report.admitted
            },
        },
        "saved": {
            "by_caches": amount(report.saved.by_caches),
            "by_batches": amount(report.saved.by_batches),
            "unknown": report.saved.unknown,
            "known_answers": report.known_answers,
        },
        "targets": {
            one.name: {"reached": amount(one.reached), "below": amount(one.below), "met": one.met}
            for one in report.targets
        },
        "disagreements": list(report.disagreements),
    }


def decisions_json(charges: Sequence[Charge], month: BudgetMonth, rules: BudgetRules) -> dict[str, Any]:
    """Give the statement of each decision."""
    return {
        name: {"cost": amount(stated.cost), "text": stated.text, "calls": [_charge(charge) for charge in calls]}
        for name, (stated, calls) in statements(charges, month, rules).items()
    }


def compared_json(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Give the reconciliation, every day and model."""
    return [
        {
            "day": one.day.isoformat(),
            "model": one.model,
            "ours": _spending(one.ours),
            "theirs": {kind: getattr(one.theirs, kind) for kind in KINDS}
            | ({} if one.theirs.cost is None else {"cost": amount(one.theirs.cost)}),
            "covering": amount(one.covering),
            "missing": one.missing,
        }
        for one in compared
    ]


def forecast_json(forecast: Forecast, failures: Sequence[str]) -> dict[str, Any]:
    """Give the forecast; its dollars are exact."""
    return {
        "lines": [
            {
                "group": line.group,
                "what": line.what,
                "count": f"{line.count:f}",
                "price": f"{line.price:f}",
                "per": line.per,
                "dollars": f"{line.cost:f}",
                "after_free": f"{line.after_free:f}",
            }
            for line in forecast.lines
        ],
        "total": f"{forecast.total:f}",
        "total_after_free": f"{forecast.total_after_free:f}",
        "failures": list(failures),
    }


def _left(left: Left) -> dict[str, Any]:
    return {
        "limit": amount(left.limit),
        "spent": amount(left.spent),
        "reserved": None if left.reserved is None else amount(left.reserved),
        "left": amount(left.left),
    }


def _spending(one: Spending) -> dict[str, Any]:
    tokens = {kind: getattr(one, kind) for kind in KINDS}
    return {"calls": one.calls, "cost": amount(one.cost), **tokens, "uncounted": one.uncounted, "at_most": one.at_most}


def _charge(charge: Charge) -> dict[str, Any]:
    usage = charge.usage
    return {
        "id": charge.id,
        "at": iso(charge.at),
        "rung": charge.rung.value,
        "provider": charge.provider,
        "model": charge.model,
        "purpose": charge.purpose.value,
        "ending": charge.ending,
        "booked": charge.booked.value,
        "usage": None if usage is None else {kind: getattr(usage, kind) for kind in KINDS},
        "cost": amount(charge.cost),
        "note": charge.note,
    }
