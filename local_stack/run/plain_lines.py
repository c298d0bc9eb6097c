"""The run as plain lines, where there is no terminal to draw on: one line for each thing that happened.

Times are New York's, at the start of each line; nothing is coloured and nothing is drawn over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from local_stack.exchange.market import NEW_YORK
from local_stack.run.snapshot import ShownAlert, ShownOrder, Snapshot
from local_stack.run.view import dollars
from shared.domain.money import plain

SUMMARY_EVERY: Final = timedelta(minutes=30)
"""Simulated time between two lines that only say how things stand."""


def opening_lines(snapshot: Snapshot) -> list[str]:
    """Say what runs, and which parts of it are real."""
    parts = [f"{part.name}: {part.what}{' (real)' if part.is_real else ''}" for part in snapshot.parts]
    page = [f"messages: {snapshot.page}"] if snapshot.page else []
    return [f"Hearthwatch {snapshot.stage}, account {snapshot.account}, {snapshot.speed}", *parts, *page]


def lines_between(before: Snapshot | None, after: Snapshot) -> list[str]:
    """Say what happened from one snapshot to the next."""
    happened = [*_state(before, after), *_orders(before, after), *_alerts(before, after), *_errors(before, after)]
    return [*happened, *_summary(before, after)]


def _state(before: Snapshot | None, after: Snapshot) -> Iterator[str]:
    if before is None or before.session != after.session:
        yield _stamped(after.now, f"session {after.session}")
    known = before.state if before is not None else None
    if after.state is not None and (known is None or known.reasons != after.state.reasons):
        reasons = ", ".join(sorted(after.state.reasons)) or "none"
        yield _stamped(
            after.now, f"trading state {after.state.mode.name}, level {after.state.level.name}; reasons: {reasons}"
        )


def _orders(before: Snapshot | None, after: Snapshot) -> Iterator[str]:
    known = {order.id: order for order in before.orders} if before is not None else {}
    for order in after.orders:
        if known.get(order.id) != order:
            yield _stamped(after.now, _order(order))


def _order(order: ShownOrder) -> str:
    filled = "" if order.price is None else f", {plain(order.filled)} filled at {plain(order.price)}"
    return f"order {order.wanted} {order.symbol}: {order.state.replace('_', ' ').lower()}{filled}"


def _alerts(before: Snapshot | None, after: Snapshot) -> Iterator[str]:
    known = {alert.key: alert for alert in before.alerts} if before is not None else {}
    for alert in after.alerts:
        if known.get(alert.key) != alert:
            yield _stamped(after.now, _alert(alert))


def _alert(alert: ShownAlert) -> str:
    told = ", ".join(alert.channels) or "nobody yet"
    return f"alert {alert.severity} ({told}): {' '.join(alert.text.split())}"


def _errors(before: Snapshot | None, after: Snapshot) -> Iterator[str]:
    known = len(before.errors) if before is not None else 0
    for error in after.errors[known:]:
        yield _stamped(after.now, f"error: {error}")


def _summary(before: Snapshot | None, after: Snapshot) -> Iterator[str]:
    """Say how things stand at every full half hour."""
    if before is not None and _half_hours(before.now) == _half_hours(after.now):
        return
    covered = after.coverage
    shares = ""
    if covered is not None:
        shares = f", coverage {covered.broker_pct:.0f} % broker, {covered.software_pct:.0f} % software"
        shares += f", {covered.none_pct:.0f} % none"
    ticks = f"tick {after.ticks}" + ("" if after.ticks_in_all is None else f" of {after.ticks_in_all}")
    figures = f"{len(after.positions)} held, cash {dollars(after.cash)}, equity {dollars(after.equity)}{shares}"
    figures += f", models {after.models}" if after.models else ""
    yield _stamped(after.now, f"{ticks}: {figures}")


def _half_hours(at: datetime) -> int:
    return int(at.timestamp() // SUMMARY_EVERY.total_seconds())


def _stamped(at: datetime, text: str) -> str:
    return f"{at.astimezone(NEW_YORK):%Y-%m-%d %H:%M} {text}"
