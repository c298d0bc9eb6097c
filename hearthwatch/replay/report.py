"""The report of a replay: JSON with a fixed set of keys (design, section 10).

Money, prices and quantities are strings, percentages numbers (5.0 is five percent), times UTC ISO 8601, dates those of
New York. All but `wall_seconds` and `ticks_per_second` are the same from run to run, byte for byte.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from hearthwatch.replay.driver import Replay
from shared.domain.alerts import DeliveryState, Incident
from shared.domain.intents import Intent
from shared.domain.money import ZERO, plain, round_to_cent
from shared.domain.moves import Move
from shared.domain.orders import HeldPosition, Order
from shared.domain.times import iso

Report = dict[str, Any]

_STEP = Decimal("0.0001")


def report_of(course: Replay, wall_seconds: float) -> Report:
    """Write up a finished replay."""
    days = course.bars.days
    world = course.world
    account = world.exchange.account()
    return {
        "range": {"from": days[0].date.isoformat(), "to": days[-1].date.isoformat()},
        "ticks": course.ticks,
        "symbols": list(course.bars.symbols),
        "moves": [_move(move) for move in course.moves],
        "intents": [_intent(intent) for intent in course.intents()],
        "orders": [_order(order) for order in world.exchange.orders()],
        "alerts": [_alert(incident) for incident in world.outbox.every()],
        "trading_state": [{"at": iso(at), "reasons": sorted(reasons)} for at, reasons in course.states],
        "coverage": [
            {
                "at": iso(at),
                "broker_pct": float(covered.broker_pct),
                "software_pct": float(covered.software_pct),
                "none_pct": float(covered.none_pct),
            }
            for at, covered in course.coverage
        ],
        "errors": list(course.errors),
        "end": {
            "cash": plain(account.cash),
            "equity": plain(account.equity),
            "positions": [_held(course, held) for held in sorted(world.exchange.positions(), key=lambda h: h.symbol)],
        },
        "pnl": _pnl(course),
        "wall_seconds": round(wall_seconds, 3),
        "ticks_per_second": round(course.ticks / wall_seconds, 1) if wall_seconds else 0.0,
    }


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


def _held(course: Replay, held: HeldPosition) -> Report:
    stops = {position.symbol: position.stop_price for position in course.world.positions.all()}
    last, stop = course.world.exchange.last_price(held.symbol), stops.get(held.symbol)
    return {
        "symbol": held.symbol,
        "quantity": plain(held.quantity),
        "average_entry_price": plain(held.average_entry_price),
        "last_price": plain(last) if last is not None else None,
        "stop_price": plain(stop) if stop is not None else None,
    }


def _pnl(course: Replay) -> Report:
    """Split the result by average cost: what the account's cost basis gained is realised, the rest is open.

    Cash plus the cost of what is held changes only by realised gains, losses and dividends; splits leave it alone.
    """
    account = course.world.exchange.account()
    basis_before = course.start_cash + sum((p.quantity * p.average_entry_price for p in course.start_positions), ZERO)
    cost_now = sum((h.quantity * h.average_entry_price for h in course.world.exchange.positions()), ZERO)
    return {
        "realised": plain(round_to_cent(account.cash + cost_now - basis_before)),
        "unrealised": plain(round_to_cent(account.equity - account.cash - cost_now)),
    }
