"""The judgement of a cell: what failed of what must hold, and what happened in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hearthwatch.chaos.cell import REST, Evidence
from hearthwatch.chaos.matrix import Must
from hearthwatch.chaos.story import FALLING, HEALTHY, Holding, tick_of
from shared.adapters.memory.matching import Fill
from shared.domain.alerts import AlertKind, Channel, Delivery, DeliveryState
from shared.domain.intents import OrderType, Side
from shared.domain.messages import template_of
from shared.domain.model_prices import DOLLAR, MicroDollars
from shared.domain.money import ZERO, plain, round_to_cent
from shared.domain.orders import Order

WITHIN: Final = 2
"""Ticks from the first price below a stop to the intent that sells, or the broker's own sale (BEY-02)."""
_WORDS: Final = {Channel.DISCORD: "on Discord", Channel.EMAIL: "by e-mail"}
_ALL: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A judged cell: the line that a person reads, each thing that did not hold, and what functions reported."""

    row: str
    column: str
    text: str
    coverage: str
    failures: Sequence[str]
    problems: Sequence[str]

    @property
    def holds(self) -> bool:
        """Say whether everything held."""
        return not self.failures


def judge(evidence: Evidence) -> Verdict:
    """Judge one cell."""
    failures = [
        *_struck(evidence),
        *(failure for holding in FALLING for failure in _in_time(evidence, holding)),
        *_once(evidence),
        *_covered(evidence),
        *_told(evidence),
        *_at_rest(evidence),
        *_within_budget(evidence),
    ]
    text = f"MISSED: {'; '.join(failures)}" if failures else _line(evidence)
    return Verdict(
        row=evidence.row.name,
        column=evidence.column.name,
        text=text,
        coverage=_coverage(evidence),
        failures=failures,
        problems=evidence.problems,
    )


def _struck(evidence: Evidence) -> Iterator[str]:
    """Refuse a cell whose fault never struck: it shows nothing."""
    for fault, strikes in zip(evidence.row.faults, evidence.strikes, strict=True):
        if not strikes:
            yield f"{type(fault).__name__} never struck"


def _in_time(evidence: Evidence, holding: Holding) -> Iterator[str]:
    """Promise 1: within 2 ticks the broker's stop has sold the whole shares, and for the rest there is an intent."""
    ordered, stopped = _ordered(evidence, holding), _stopped(evidence, holding)
    waits = evidence.row.must is not Must.SOLD_AT_ONCE
    by_broker = stopped is not None and stopped <= WITHIN
    if waits and holding.whole and evidence.column.broker_stops and not by_broker:
        yield f"{holding.symbol}: the broker's stop did not sell within {WITHIN} ticks{_came(stopped)}"
    if by_broker and holding.whole == holding.quantity:
        return
    latest = WITHIN + (evidence.row.ends if waits else 0)
    if ordered is None or ordered > latest:
        yield f"{holding.symbol}: no intent to sell by tick {latest}{_came(ordered)}"


def _once(evidence: Evidence) -> Iterator[str]:
    """Each falling position is sold whole and once; nothing else trades."""
    for holding in FALLING:
        sold = _sold(evidence, holding)
        if sold != holding.quantity:
            yield f"{holding.symbol}: {plain(sold)} of {plain(holding.quantity)} sold"
        if evidence.left.get(holding.symbol, ZERO) != holding.quantity - sold:
            yield f"{holding.symbol}: the broker holds {plain(evidence.left.get(holding.symbol, ZERO))}"
    for holding in HEALTHY:
        for where, held in (("broker", evidence.left), ("Book", evidence.booked)):
            if held.get(holding.symbol) != holding.quantity:
                yield f"{holding.symbol} is healthy, and the {where} holds {plain(held.get(holding.symbol, ZERO))}"
    if bought := [fill for fill in evidence.fills if fill.side is Side.BUY]:
        yield f"{bought[0].symbol} was bought"


def _covered(evidence: Evidence) -> Iterator[str]:
    """Each tick's coverage sums up; where prices come and tables answer, nothing held is bare."""
    for tick, covered in evidence.coverage.items():
        if sum(covered) not in (ZERO, _ALL):
            yield f"tick {tick}: the coverage sums to {sum(covered)} %"
    if not evidence.coverage:
        yield "no coverage was published"
    if evidence.row.must is Must.SOLD_AT_ONCE:
        bare = {tick: covered.none_pct for tick, covered in evidence.coverage.items() if covered.none_pct > ZERO}
        if bare:
            yield f"{max(bare.values())} % bare at tick {next(iter(bare))}"


def _told(evidence: Evidence) -> Iterator[str]:
    """Every sale is told on some channel, or lies where it is not lost; no mark without a message."""
    for holding in FALLING:
        if not evidence.told(holding.symbol) and not any(holding.symbol in body for body in evidence.waiting):
            yield f"{holding.symbol}: its sale was told nowhere and is kept nowhere"
    for channel in Channel:
        marked = sum(1 for delivery in _deliveries(evidence, channel) if delivery.state is DeliveryState.SENT)
        arrived = sum(1 for message in evidence.arrived if message.channel is channel)
        if marked > arrived:
            yield f"{marked} messages are marked as sent {_WORDS[channel]}, {arrived} arrived"
    if evidence.row.must is Must.WHOLE_BY_BROKER and not _paged(evidence):
        yield "nobody was paged"


def _at_rest(evidence: Evidence) -> Iterator[str]:
    if evidence.rested is None:
        yield f"not at rest {REST} ticks after the end: {', '.join(evidence.unrest)}"


def _within_budget(evidence: Evidence) -> Iterator[str]:
    """Promise 2: what Claude charged stands in the ledger, and the ledger stays within its limit."""
    spending = evidence.spending
    if spending is None:
        return
    if spending.charged > spending.booked:
        yield f"Claude charged {_dollars(spending.charged)}, the ledger holds {_dollars(spending.booked)}"
    if spending.booked > spending.limit:
        yield f"the ledger holds {_dollars(spending.booked)} of {_dollars(spending.limit)}"


def _line(evidence: Evidence) -> str:
    parts = [part for part in (_by_stops(evidence), _by_orders(evidence)) if part]
    return f"sold {'; '.join([*parts, _telling(evidence), *_charging(evidence)])}"


def _by_stops(evidence: Evidence) -> str:
    fills = [fill for fill in evidence.fills if _is_stop(evidence, fill)]
    ticks = [tick for holding in FALLING if (tick := _stopped(evidence, holding)) is not None]
    return f"by the broker's stops in {_ticks(max(ticks))} at {_prices(fills)}" if fills else ""


def _by_orders(evidence: Evidence) -> str:
    """Say when the last intent was there, and when its fill came if that was later than the next tick."""
    fills = [fill for fill in evidence.fills if not _is_stop(evidence, fill)]
    if not fills:
        return ""
    willed = max(tick for holding in FALLING if (tick := _ordered(evidence, holding)) is not None)
    filled = max(tick_of(fill.at) for fill in fills)
    late = f" (filled in tick {filled})" if filled > willed + 1 else ""
    return f"by orders in {_ticks(willed)}{late} at {_prices(fills)}"


def _ticks(count: int) -> str:
    return "1 tick" if count == 1 else f"{count} ticks"


def _prices(fills: Sequence[Fill]) -> str:
    """Give the mean price of each falling position's fills, in the order of the story."""
    prices = []
    for holding in FALLING:
        sales = [fill for fill in fills if fill.symbol == holding.symbol]
        if sales:
            value = sum((fill.quantity * fill.price for fill in sales), ZERO)
            prices.append(str(round_to_cent(value / sum((fill.quantity for fill in sales), ZERO))))
    return ", ".join(prices)


def _coverage(evidence: Evidence) -> str:
    """Give the least and the most of each protection over the ticks of a cell, in percent of what was held."""
    held = [covered for covered in evidence.coverage.values() if sum(covered)]
    if not held:
        return "no coverage"
    parts = ((name, [covered[place] for covered in held]) for place, name in enumerate(("broker", "software", "none")))
    return ", ".join(f"{name} {_span(shares)} %" for name, shares in parts)


def _span(shares: Sequence[Decimal]) -> str:
    low, high = plain(min(shares)), plain(max(shares))
    return low if low == high else f"{low} to {high}"


def _telling(evidence: Evidence) -> str:
    ways = [_WORDS[channel] for channel in Channel if all(channel in evidence.told(each.symbol) for each in FALLING)]
    if not ways:
        return "kept to be told"
    late = max(min(evidence.told(holding.symbol).values()) for holding in FALLING)
    words = f"told {' and '.join(ways)}"
    return words if late <= WITHIN + 1 else f"{words} in tick {late}"


def _charging(evidence: Evidence) -> Iterator[str]:
    spending = evidence.spending
    if spending is not None:
        yield f"Claude charged {_dollars(spending.charged)} of {_dollars(spending.limit)}"


def _dollars(amount: Decimal | MicroDollars) -> str:
    return f"${Decimal(amount) / DOLLAR:.6f}"


def _came(tick: int | None) -> str:
    return "" if tick is None else f" (it came in tick {tick})"


def _ordered(evidence: Evidence, holding: Holding) -> int | None:
    """Give the tick in which the Book got the first intent to sell now."""
    ticks = [
        tick_of(intent.created_at)
        for intent in evidence.intents
        if intent.symbol == holding.symbol and intent.side is Side.SELL and intent.order_type is not OrderType.STOP
    ]
    return min(ticks, default=None)


def _stopped(evidence: Evidence, holding: Holding) -> int | None:
    """Give the tick by which the broker's stop had sold the whole shares."""
    left = holding.whole
    for fill in evidence.fills:
        if fill.symbol == holding.symbol and _is_stop(evidence, fill):
            left -= fill.quantity
            if left <= ZERO:
                return tick_of(fill.at)
    return None


def _sold(evidence: Evidence, holding: Holding) -> Decimal:
    sales = [fill.quantity for fill in evidence.fills if fill.symbol == holding.symbol and fill.side is Side.SELL]
    return sum(sales, ZERO)


def _is_stop(evidence: Evidence, fill: Fill) -> bool:
    return _order_of(evidence, fill.order_id).order_type is OrderType.STOP


def _order_of(evidence: Evidence, order_id: str) -> Order:
    return next(order for order in evidence.orders if order.id == order_id)


def _deliveries(evidence: Evidence, channel: Channel) -> Iterator[Delivery]:
    for incident in evidence.incidents:
        for deliveries in (incident.deliveries, incident.recovery_deliveries):
            if channel in deliveries:
                yield deliveries[channel]


def _paged(evidence: Evidence) -> bool:
    """Say whether a person was told during the fault that something is not protected."""
    titles = [template_of(kind).title for kind in (AlertKind.SYMBOL_BLIND, AlertKind.COVERAGE_LOST)]
    during = [message.title for message in evidence.arrived if message.tick <= evidence.row.ends]
    return any(title in message for message in during for title in titles)
