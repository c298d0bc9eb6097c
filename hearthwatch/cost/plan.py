"""What a forecast assumes of a month, as data: durations, table operations, volumes, and the plan it is compared with.

Nothing here is billed by itself; `from_template` multiplies it with what the template deploys. Table operations are
for 30 symbols held; a test runs each function against the tables of this machine and holds its operations to these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from shared.domain.budget import BudgetRules
from shared.domain.forecast import TRADING_DAYS, Item, PaidCalls
from shared.domain.model_prices import HAIKU, SONNET, ModelId

SYMBOLS: Final = 30
OPEN_MINUTES: Final = TRADING_DAYS * 390
"""Minutes of regular sessions in a month."""
ARTICLES_A_DAY: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run takes: seconds billed and table operations, while the market is open and while it is closed."""

    open_seconds: Decimal
    open_reads: int
    open_writes: int
    closed_seconds: Decimal
    closed_reads: int
    closed_writes: int
    puts: int = 0
    """Objects written to the archive."""


def _load(open_: tuple[str, int, int], closed: tuple[str, int, int], *, puts: int = 0) -> Load:
    return Load(
        open_seconds=Decimal(open_[0]),
        open_reads=open_[1],
        open_writes=open_[2],
        closed_seconds=Decimal(closed[0]),
        closed_reads=closed[1],
        closed_writes=closed[2],
        puts=puts,
    )


LOADS: Final[Mapping[str, Load]] = {
    "PrepareSession": _load(("20", 60, 40), ("20", 60, 40)),
    "ReconcileOrders": _load(("0.8", 25, 4), ("0.5", 25, 2)),
    "PollPrices": _load(("1.0", 40, 24), ("0.1", 4, 1)),
    "CheckRisk": _load(("0.4", 40, 2), ("0.1", 4, 1)),
    "PlaceOrders": _load(("0.2", 5, 1), ("0.1", 4, 1)),
    "RouteAlerts": _load(("0.1", 2, 0), ("0.1", 2, 0)),
    "ArchivePrices": _load(("3.0", 60, 2), ("1.0", 30, 1), puts=2),
    "AuditBudget": _load(("0.4", 30, 10), ("0.4", 30, 10)),
}
"""Seconds are those of requests to the broker and the tables from the same region; reads and writes were counted.

What is not listed counts as ANY_LOAD.
"""
ANY_LOAD: Final = _load(("2.0", 100, 50), ("2.0", 100, 50))
COLD_STARTS_A_DAY: Final = 12
COLD_SECONDS: Final = Decimal("1.5")
"""Lambda renews what it keeps warm every two hours or so, and bills what a start takes."""

ORDERS_A_DAY: Final = 30
WRITES_AN_ORDER: Final = 130
READS_AN_ORDER: Final = 90
"""From the intent to the fill, in a ledger with 30 open orders whose item is written whole each time."""

ALERTS_A_MONTH: Final = 300
ALERT_WRITES: Final = 6
MAILS_A_MONTH: Final = 200
POLLERS: Final = 5
POLL_SECONDS: Final = 20
"""Lambda keeps five long polls of twenty seconds open on each queue that feeds a function, empty or not."""
LOG_KB_A_RUN: Final = Decimal(2)
LOG_DAYS: Final = 30
TABLE_GB: Final = Decimal("0.5")
ARCHIVE_GB: Final = Decimal("0.3")

PUTS_A_MONTH: Final = 10_000
"""More objects than this cost more than their storage: something writes one for each minute or article."""
METRICS: Final = 10
"""CloudWatch gives so many custom metrics for nothing."""

WRITES_A_PAID_CALL: Final = 30
READS_A_PAID_CALL: Final = 10
"""Reserving and settling write the month's one item whole, a kilobyte a unit; the charge and its work are one each."""

DECISION_TOKENS: Final = (6_000, 2_000)
ARTICLE_TOKENS: Final = (800, 100)
"""Input and output of one decision, and of one article; the annex's $39 a month are 300,000 articles of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the owner chooses: paid decisions a trading day and their model, articles a day read by a paid model, power.

    Watts are the edge's average over the month, the tariff dollars a kilowatt-hour.
    """

    decisions: int = BudgetRules().decisions
    decision_model: ModelId = SONNET
    articles: int = 0
    batch: bool = False
    watts: Decimal = Decimal(40)
    tariff: Decimal = Decimal("0.17")


def paid_calls(choices: Choices) -> tuple[PaidCalls, ...]:
    """Count a month's calls to paid models."""
    news = PaidCalls(
        what=f"articles, {choices.articles:,} a day on {HAIKU}{' in batches' if choices.batch else ''}",
        model=HAIKU,
        calls=choices.articles * 30,
        input=ARTICLE_TOKENS[0],
        output=ARTICLE_TOKENS[1],
        batch=choices.batch,
    )
    return (decisions(choices.decisions, choices.decision_model), *((news,) if choices.articles else ()))


def decisions(a_day: int, model: ModelId) -> PaidCalls:
    """Count a month's decisions on one model."""
    return PaidCalls(
        what=f"decisions, {a_day} a day on {model}",
        model=model,
        calls=a_day * TRADING_DAYS,
        input=DECISION_TOKENS[0],
        output=DECISION_TOKENS[1],
    )


REFERENCE: Final[Mapping[Item, Decimal]] = {
    Item.LAMBDA_RUNS: Decimal(111_000),
    Item.LAMBDA_ARM: Decimal(39_000),
    Item.DYNAMO_WRITES: Decimal(1_040_000),
    Item.DYNAMO_READS: Decimal(470_000),
    Item.SQS: Decimal(389_000 + 90_000),
    Item.LOGS_IN: Decimal("0.5"),
    Item.S3_PUT: Decimal(4_000),
    Item.MAIL: Decimal(200),
}
"""The annex's month. Of logs, S3 and mail it gives dollars alone: $0.25, $0.02 and $0.02 are these counts."""
