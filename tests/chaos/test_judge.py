"""Whatever must hold in a cell fails it when it does not: one calm cell is played, and its evidence changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from hearthwatch.chaos.askers import Spending
from hearthwatch.chaos.cell import Evidence, play
from hearthwatch.chaos.judge import judge
from hearthwatch.chaos.matrix import ROWS, Row
from hearthwatch.chaos.stage import template, without_waiting
from hearthwatch.chaos.story import COLUMNS, HOLDINGS
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.domain.alerts import Channel
from shared.domain.assets import Symbol
from shared.domain.coverage import Coverage
from shared.domain.intents import OrderType, Side

ROW = {row.name: row for row in ROWS}
KO, TSLA, AAPL = Symbol("KO"), Symbol("TSLA"), Symbol("AAPL")
LATER = timedelta(minutes=3)
NO = Decimal(0)


@pytest.fixture(scope="module")
def calm() -> Evidence:
    with without_waiting():
        return play(ROW["nothing"], COLUMNS[0], template(), LibraryCalendar())


def row(name: str, *, strikes: int = 1) -> Callable[[Evidence], Evidence]:
    """Take the calm evidence for that of another row, whose faults struck this often."""
    return lambda e: replace(e, row=ROW[name], strikes=[strikes] * len(ROW[name].faults))


def without_fills_of(symbol: Symbol) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, fills=[fill for fill in e.fills if fill.symbol != symbol])


def stops_filled_later(e: Evidence) -> Evidence:
    stops = {order.id for order in e.orders if order.order_type is OrderType.STOP}
    late = [fill._replace(at=fill.at + LATER) if fill.order_id in stops else fill for fill in e.fills]
    return replace(row("tables-down")(e), fills=late)


def willed_later(e: Evidence) -> Evidence:
    return replace(e, intents=[replace(intent, created_at=intent.created_at + LATER) for intent in e.intents])


def told_nowhere(e: Evidence) -> Evidence:
    return replace(e, arrived=[message for message in e.arrived if "AAPL" not in message.title])


def spent(*, charged: str, booked: int) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, spending=Spending(Decimal(charged), booked, 2_000))


CHANGES: list[tuple[Callable[[Evidence], Evidence], str]] = [
    (without_fills_of(AAPL), "AAPL: 0 of 0.9 sold"),
    (lambda e: replace(e, fills=[*e.fills, *e.fills]), "TSLA: 20 of 10 sold"),
    (lambda e: replace(e, left={**e.left, TSLA: Decimal(10)}), "TSLA: the broker holds 10"),
    (lambda e: replace(e, left={}), "KO is healthy, and the broker holds 0"),
    (lambda e: replace(e, booked={KO: Decimal(59)}), "KO is healthy, and the Book holds 59"),
    (lambda e: replace(e, fills=[*e.fills, e.fills[0]._replace(side=Side.BUY, symbol=KO)]), "KO was bought"),
    (willed_later, "AAPL: no intent to sell by tick 2 (it came in tick 4)"),
    (lambda e: replace(e, intents=()), "AAPL: no intent to sell by tick 2"),
    (stops_filled_later, "TSLA: the broker's stop did not sell within 2 ticks (it came in tick 4)"),
    (lambda e: replace(e, coverage={1: Coverage(Decimal(90), NO, NO)}), "tick 1: the coverage sums to 90 %"),
    (lambda e: replace(e, coverage={1: Coverage(Decimal(90), NO, Decimal(10))}), "10 % bare at tick 1"),
    (lambda e: replace(e, coverage={}), "no coverage was published"),
    (told_nowhere, "AAPL: its sale was told nowhere and is kept nowhere"),
    (lambda e: replace(e, rested=None, unrest=["TSLA waits"]), "not at rest 3 ticks after the end: TSLA waits"),
    (row("discord-429", strikes=0), "DiscordAnswers never struck"),
    (row("prices-none"), "nobody was paged"),
    (spent(charged="31", booked=30), "Claude charged $0.000031, the ledger holds $0.000030"),
    (spent(charged="30", booked=2_001), "the ledger holds $0.002001 of $0.002000"),
]


def test_calm_cell_holds_and_says_how_it_was_sold(calm: Evidence) -> None:
    verdict = judge(calm)

    assert verdict.failures == []
    assert verdict.text.startswith("sold by the broker's stops in 1 tick at 93.10, 186.20; by orders in 1 tick at ")
    assert verdict.text.endswith("; told on Discord and by e-mail")
    assert verdict.coverage.endswith("none 0 %")


def test_what_was_asked_within_the_budget_holds_and_is_said(calm: Evidence) -> None:
    verdict = judge(spent(charged="2000", booked=2_000)(calm))

    assert verdict.failures == []
    assert verdict.text.endswith("; Claude charged $0.002000 of $0.002000")


@pytest.mark.parametrize(("change", "failure"), CHANGES, ids=[failure for _, failure in CHANGES])
def test_what_does_not_hold_is_named(calm: Evidence, change: Callable[[Evidence], Evidence], failure: str) -> None:
    verdict = judge(change(calm))

    assert failure in verdict.failures
    assert verdict.text.startswith("MISSED: ")


def test_mark_without_a_message_is_named(calm: Evidence) -> None:
    """I6: what is marked as sent was taken by the channel."""
    silent = replace(calm, arrived=[message for message in calm.arrived if message.channel is not Channel.EMAIL])

    assert any("are marked as sent by e-mail, 0 arrived" in failure for failure in judge(silent).failures)


def test_sale_that_waits_to_be_told_is_not_lost(calm: Evidence) -> None:
    kept = replace(told_nowhere(calm), waiting=['{"kind":"order_filled","text":"AAPL"}'], incidents=())

    assert judge(kept).failures == []
    assert judge(kept).text.endswith("; kept to be told")


def test_fraction_may_wait_for_the_end_of_a_fault_that_hides_it(calm: Evidence) -> None:
    blind: Row = ROW["tables-down"]
    after = replace(row(blind.name)(willed_later(calm)), coverage={})

    assert not any("no intent" in failure for failure in judge(after).failures)


def test_story_holds_every_way_of_being_protected() -> None:
    """Whole shares, whole with a fraction, a fraction alone, and one that must stay."""
    assert [(h.whole > 0, h.whole < h.quantity, h.falls) for h in HOLDINGS] == [
        (True, False, True),
        (True, True, True),
        (False, True, True),
        (True, False, False),
    ]
