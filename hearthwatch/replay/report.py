"""The report of a replay or a run: JSON with a fixed set of keys (design, section 10).

Money, prices and quantities are strings, percentages numbers (5.0 is five percent), times UTC ISO 8601, dates those of
New York. All but `wall_seconds` and `ticks_per_second` are the same from run to run, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from shared.adapters.bar_files.bar_set import BarSet
from shared.adapters.memory.matching import Exchange
from shared.domain.alerts import DeliveryState, Incident
from shared.domain.coverage import Coverage
from shared.domain.intents import Intent
from shared.domain.money import ZERO, plain, round_to_cent
from shared.domain.moves import Move
from shared.domain.orders import HeldPosition, Order
from shared.domain.positions import Position
from shared.domain.times import iso
from shared.domain.trading_state import HaltReason

Report = dict[str, Any]

_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is reported, wherever it ran: on memory, or on the embedded cloud."""

    bars: BarSet
    ticks: int
    moves: Sequence[Move]
    intents: Sequence[Intent]
    incidents: Sequence[Incident]
    states: Sequence[tuple[datetime, frozenset[HaltReason]]]
    coverage: Sequence[tuple[datetime, Coverage]]
    errors: Sequence[str]
    exchange: Exchange
    positions: Sequence[Position]
    start_cash: Decimal
    start_positions: Sequence[Position]


def report_of(outcome: Outcome, wall_seconds: float) -> Report:
    """Write up a finished run."""
    days = outcome.bars.days
    exchange = outcome.exchange
    account = exchange.account()
    return {
        "range": {"from": days[0].date.isoformat(), "to": days[-1].date.isoformat()},
        "ticks": outcome.ticks,
        "symbols": list(outcome.bars.symbols),
        "moves": [_move(move) for move in outcome.moves],
        "intents": [_intent(intent) for intent in outcome.intents],
        "orders": [_order(order) for order in exchange.orders()],
        "alerts": [_alert(incident) for incident in in_order(outcome.incidents)],
        "trading_state": [{"at": iso(at), "reasons": sorted(reasons)} for at, reasons in outcome.states],
        "coverage": [
            {
                "at": iso(at),
                "broker_pct": float(covered.broker_pct),
                "software_pct": float(covered.software_pct),
                "none_pct": float(covered.none_pct),
            }
            for at, covered in outcome.coverage
        ],
        "errors": list(outcome.errors),
        "end": {
            "cash": plain(account.cash),
            "equity": plain(account.equity),
            "positions": [_held(outcome, held) for held in sorted(exchange.positions(), key=lambda h: h.symbol)],
        },
        "pnl": _pnl(outcome),
        "wall_seconds": round(wall_seconds, 3),
        "ticks_per_second": round(outcome.ticks / wall_seconds, 1) if wall_seconds else 0.0,
    }


def in_order(incidents: Iterable[Incident]) -> list[Incident]:
    """Sort incidents by the time they opened; those of one instant by kind and words, whoever noted them first."""
    return sorted(incidents, key=lambda incident: (incident.alert.at, incident.alert.kind, incident.alert.text))


def write_report(report: Report, path: Path) -> None:
    """Write the report as indented JSON, replacing the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _move(move: Move) -> Report:
    percent = (move.change * 100).quantize(_STEP)
    return {
        "symbol": move.symbol,
        "at": iso(move.at),
        "change_pct": float(percent),
        "from_price": plain(move.from_price),
        "price": plain(move.price),
    }


def _intent(intent: Intent) -> Report:
    return {
        "id": intent.id,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "quantity": plain(intent.quantity),
        "reason": intent.purpose.reason.value,
        "lot": intent.purpose.origin,
        "at": iso(intent.created_at),
        "state": intent.state.value,
    }


def _order(order: Order) -> Report:
    price = order.average_fill_price
    return {
        "id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "quantity": plain(order.quantity),
        "sent_at": iso(order.submitted_at),
        "filled_at": iso(order.filled_at) if order.filled_at else None,
        "filled_quantity": plain(order.filled_quantity),
        "fill_price": plain(price) if price is not None else None,
        "state": order.status.value,
    }


def _alert(incident: Incident) -> Report:
    sent = [channel for channel, d in incident.deliveries.items() if d.state is DeliveryState.SENT]
    return {
        "kind": str(incident.alert.kind),
        "severity": incident.alert.severity.name.lower(),
        "at": iso(incident.alert.at),
        "channels": sorted(sent),
        "suppressed": incident.suppressed,
    }


def _held(outcome: Outcome, held: HeldPosition) -> Report:
    stops = {position.symbol: position.stop_price for position in outcome.positions}
    last, stop = outcome.exchange.last_price(held.symbol), stops.get(held.symbol)
    return {
        "symbol": held.symbol,
        "quantity": plain(held.quantity),
        "average_entry_price": plain(held.average_entry_price),
        "last_price": plain(last) if last is not None else None,
        "stop_price": plain(stop) if stop is not None else None,
    }


def _pnl(outcome: Outcome) -> Report:
    """Split the result by average cost: what the account's cost basis gained is realised, the rest is open.

    Cash plus the cost of what is held changes only by realised gains, losses and dividends; splits leave it alone.
    """
    account = outcome.exchange.account()
    basis_before = outcome.start_cash + sum((p.quantity * p.average_entry_price for p in outcome.start_positions), ZERO)
    cost_now = sum((h.quantity * h.average_entry_price for h in outcome.exchange.positions()), ZERO)
    return {
        "realised": plain(round_to_cent(account.cash + cost_now - basis_before)),
        "unrealised": plain(round_to_cent(account.equity - account.cash - cost_now)),
    }
