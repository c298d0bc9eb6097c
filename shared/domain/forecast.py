"""What a month will cost: counts of everything that is billed, times list prices, line by line (BEY-13).

Counts come from outside; here is what they are multiplied with. Every line is shown twice: at list prices, which is
what a cap is held against, and after the free tier that does not end. Prices are those of us-east-1 and ARM in the
annex of the requirements. A month has 30 days here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.domain.model_prices import BATCH, ModelId, PriceRow, PriceTable, Unpriced
from shared.domain.money import ONE, ZERO, round_to_cent

DAYS: Final = 30
TRADING_DAYS: Final = 21
HOURS: Final = 730
"""Of an average month, for what is billed or runs by the hour."""


class Item(StrEnum):
    """What AWS bills."""

    LAMBDA_RUNS = "Lambda runs"
    LAMBDA_ARM = "Lambda GB-seconds, arm64"
    LAMBDA_X86 = "Lambda GB-seconds, x86_64"
    DYNAMO_WRITES = "DynamoDB writes"
    DYNAMO_READS = "DynamoDB reads"
    DYNAMO_GB = "DynamoDB GB"
    DYNAMO_BACKUP = "DynamoDB point-in-time recovery GB"
    SCHEDULES = "Scheduler invocations"
    SQS = "SQS requests"
    HTTP_API = "HTTP API requests"
    S3_GB = "S3 GB"
    S3_PUT = "S3 PUT"
    S3_GET = "S3 GET"
    LOGS_IN = "CloudWatch logs GB taken in"
    LOGS_KEPT = "CloudWatch logs GB kept"
    METRICS = "CloudWatch custom metrics"
    ALARMS = "CloudWatch alarms"
    DASHBOARDS = "CloudWatch dashboards"
    SECRETS = "Secrets Manager secrets"
    KMS_KEYS = "KMS keys"
    MAIL = "SES mails"
    NAT_HOURS = "NAT gateway hours"


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars for `per` of something, of which `free` cost nothing every month."""

    price: Decimal
    per: int = 1
    free: Decimal = ZERO


_MILLION: Final = 1_000_000
RATES: Final[Mapping[Item, Rate]] = {
    Item.LAMBDA_RUNS: Rate(Decimal("0.20"), _MILLION, Decimal(1_000_000)),
    Item.LAMBDA_ARM: Rate(Decimal("0.0000133334"), free=Decimal(400_000)),
    Item.LAMBDA_X86: Rate(Decimal("0.0000166667"), free=Decimal(400_000)),
    Item.DYNAMO_WRITES: Rate(Decimal("0.625"), _MILLION),
    Item.DYNAMO_READS: Rate(Decimal("0.125"), _MILLION),
    Item.DYNAMO_GB: Rate(Decimal("0.25"), free=Decimal(25)),
    Item.DYNAMO_BACKUP: Rate(Decimal("0.20")),
    Item.SCHEDULES: Rate(Decimal("1.00"), _MILLION, Decimal(14_000_000)),
    Item.SQS: Rate(Decimal("0.40"), _MILLION, Decimal(1_000_000)),
    Item.HTTP_API: Rate(Decimal("1.00"), _MILLION),
    Item.S3_GB: Rate(Decimal("0.023")),
    Item.S3_PUT: Rate(Decimal("0.005"), 1_000),
    Item.S3_GET: Rate(Decimal("0.0004"), 1_000),
    Item.LOGS_IN: Rate(Decimal("0.50"), free=Decimal(5)),
    Item.LOGS_KEPT: Rate(Decimal("0.03"), free=Decimal(5)),
    Item.METRICS: Rate(Decimal("0.30"), free=Decimal(10)),
    Item.ALARMS: Rate(Decimal("0.10"), free=Decimal(10)),
    Item.DASHBOARDS: Rate(Decimal(3), free=Decimal(3)),
    Item.SECRETS: Rate(Decimal("0.40")),
    Item.KMS_KEYS: Rate(Decimal(1)),
    Item.MAIL: Rate(Decimal("0.10"), 1_000),
    Item.NAT_HOURS: Rate(Decimal("0.045")),
}
"""The annex's prices; those of mail, NAT and x86_64 are AWS's price lists of 2026-11-20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: a count times a price in dollars for `per` of it."""

    group: str
    what: str
    count: Decimal
    price: Decimal
    per: int = 1
    free: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        """Give the dollars at the list price."""
        return self.count * self.price / self.per

    @property
    def after_free(self) -> Decimal:
        """Give the dollars beyond the free tier."""
        return max(ZERO, self.count - self.free) * self.price / self.per


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A month, line by line; each of `warnings` is something that makes it dear and must not be there."""

    lines: tuple[Line, ...]
    warnings: tuple[str, ...] = ()

    @property
    def total(self) -> Decimal:
        """Add everything up at list prices, exact."""
        return sum((line.cost for line in self.lines), ZERO)

    @property
    def total_after_free(self) -> Decimal:
        """Add up what is left after the free tier, exact."""
        return sum((line.after_free for line in self.lines), ZERO)

    def of_group(self, group: str) -> Decimal:
        """Add up one group at list prices."""
        return sum((line.cost for line in self.lines if line.group == group), ZERO)

    @property
    def groups(self) -> Mapping[str, Decimal]:
        """Add up each group at list prices, in the order of the lines."""
        return {group: self.of_group(group) for group in dict.fromkeys(line.group for line in self.lines)}

    def failures(self, cap: Decimal) -> Sequence[str]:
        """Say why this month must not be: its warnings, and a total at list prices above the cap."""
        over = [f"${cents(self.total)} a month is more than the cap of ${cents(cap)}"] if self.total > cap else []
        return [*self.warnings, *over]


def aws_lines(counts: Mapping[Item, Decimal]) -> Sequence[Line]:
    """Price counts, one line each, in the order of the price list."""
    return [
        Line(
            group=item.split()[0],
            what=item.value,
            count=counts[item],
            price=rate.price,
            per=rate.per,
            free=rate.free,
        )
        for item, rate in RATES.items()
        if item in counts
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCalls:
    """Calls of one kind to one model: tokens each, and how many a month; `batch` ones cost half."""

    what: str
    model: ModelId
    calls: int
    input: int
    output: int
    batch: bool = False


def model_line(paid: PaidCalls, prices: PriceTable) -> Line:
    """Price calls to a model at its newest row, without any cache. Raises Unpriced for a price that nobody gave.

    A row whose date is still to be confirmed prices nothing but a comparison, so it is taken here.
    """
    row = newest_row(prices, paid.model, paid.input)
    if row.input is None or row.output is None:
        raise Unpriced(f"{paid.model}: no price is known for a call with input and output")
    each = (row.input * paid.input + row.output * paid.output) / _MILLION * (BATCH if paid.batch else ONE)
    return Line(group="models", what=paid.what, count=Decimal(paid.calls), price=each)


def newest_row(prices: PriceTable, model: ModelId, prompt: int) -> PriceRow:
    """Find a model's newest price for a prompt of so many tokens, dated or not. Raises Unpriced."""
    dated = [row.since for row in prices.rows if row.model == model and row.since is not None]
    if dated:
        return prices.row_for(model, max(dated), prompt)
    undated = [row for row in prices.rows if row.model == model]
    if not undated:
        raise Unpriced(f"{model}: no price is known for it")
    return undated[-1]


def power_line(watts: Decimal, tariff: Decimal) -> Line:
    """Price the edge's electricity: average watts over a month, dollars a kilowatt-hour."""
    return Line(group="power", what=f"electricity, {watts:f} W on average", count=watts * HOURS / 1_000, price=tariff)


def added(*counts: Mapping[Item, Decimal]) -> Mapping[Item, Decimal]:
    """Add counts of the same items up."""
    items: Iterable[Item] = dict.fromkeys(item for each in counts for item in each)
    return {item: sum((each.get(item, ZERO) for each in counts), ZERO) for item in items}


def cents(amount: Decimal) -> str:
    """Write dollars to the cent."""
    return f"{round_to_cent(amount):,}"


def at_least_cents(amount: Decimal) -> str:
    """Write an exact figure with the digits it has, two behind the point at least unless it is whole."""
    shortest = amount.normalize()
    if shortest == shortest.to_integral_value():
        return f"{shortest:,f}"
    return f"{shortest:,f}" if len(f"{shortest:f}".partition(".")[2]) > 2 else f"{shortest:,.2f}"
