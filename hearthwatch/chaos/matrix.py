"""The rows of the matrix as data: what is broken, how, what must hold, and what does not apply.

A row is one value here; the command, the tests and the page about it follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hearthwatch.chaos.faults import (
    ORDERS,
    SNAPSHOTS,
    BrokerFails,
    ClaudeFails,
    CloudFails,
    DiscordAnswers,
    Fault,
    FeedFrozen,
    KilledBeforeSending,
    KillSwitchSet,
    LedgerFails,
    MonthSpent,
    NeverRuns,
    NoPrices,
    PeopleAsk,
    ScheduleDoubled,
    SecondProviderFails,
    SlowTables,
)
from local_stack.claude.trouble import Misbehaviour as Wrong
from local_stack.exchange import gate


class Must(StrEnum):
    """What must hold beside what holds in every cell."""

    SOLD_AT_ONCE = "within 2 ticks of the breach the broker's stop has sold, or an intent to sell is in the Book"
    WHOLE_BY_BROKER = (
        "the broker's stop sells the whole shares within 2 ticks of the breach, an order of ours the fraction within 2 "
        "ticks of the end, and people are paged meanwhile"
    )
    WHOLE_BY_BROKER_UNTOLD = (
        "the broker's stop sells the whole shares within 2 ticks of the breach, an order of ours the fraction within 2 "
        "ticks of the end"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault or several at once; it lasts from tick `begins` to tick `ends`, both included, in each column."""

    name: str
    breaks: str
    how: str
    faults: tuple[Fault, ...]
    must: Must = Must.SOLD_AT_ONCE
    not_applicable: str = ""
    begins: int = 0
    ends: int = 7


_DISCORD_429 = DiscordAnswers(status=429)
_FIRST_PROVIDER_DOWN = BrokerFails(kind=gate.Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT, method="GET", path=SNAPSHOTS)
_FOUR_ASK: Final = PeopleAsk(asking=4)
_CLAUDE_DOWN: Final = {Wrong.TIMEOUT_AFTER_GENERATION: 0.5, Wrong.HANG: 0.25, Wrong.OVERLOADED: 0.25}

ROWS: Final = (
    Row(name="nothing", breaks="nothing is broken", how="as deployed", faults=()),
    Row(
        name="discord-429",
        breaks="Discord asks to wait",
        how="429 with a Retry-After of 30 s to every message",
        faults=(_DISCORD_429,),
    ),
    Row(
        name="discord-deleted",
        breaks="the webhook is deleted",
        how="404 to every message",
        faults=(DiscordAnswers(status=404),),
    ),
    Row(
        name="no-channel",
        breaks="Discord and e-mail",
        how="503 to every message, server error to every mail",
        faults=(DiscordAnswers(status=503), CloudFails(action="ses:SendEmail")),
    ),
    Row(
        name="double-schedule",
        breaks="the schedule",
        how="every scheduled event twice at the same moment to two processes, and once more 100 s late",
        faults=(ScheduleDoubled(),),
    ),
    Row(
        name="slow-tables",
        breaks="DynamoDB is slow",
        how="each call takes 150 ms of simulated time, a sixth is throttled, now and then until the client gives "
        "up, and one answer in 13 is lost",
        faults=(SlowTables(),),
        not_applicable="UnprocessedItems: no function reads or writes in batches",
    ),
    Row(
        name="tables-down",
        breaks="DynamoDB, for 3 minutes",
        how="server error to every call from tick 1 to tick 3",
        faults=(CloudFails(action="dynamodb:*"),),
        must=Must.WHOLE_BY_BROKER_UNTOLD,
        not_applicable="what cannot be written cannot be an intent, nor wait in the outbox: alerts wait in their queue",
        begins=1,
        ends=3,
    ),
    Row(
        name="prices-first-down",
        breaks="the first price provider",
        how="504 to every request for quotes",
        faults=(_FIRST_PROVIDER_DOWN,),
    ),
    Row(
        name="prices-first-frozen",
        breaks="the first price provider stands still",
        how="it goes on answering with the quotes of tick 0, which are old by tick 2",
        faults=(FeedFrozen(),),
        begins=1,
    ),
    Row(
        name="prices-none",
        breaks="both price providers",
        how="504 to every request for quotes, 503 from the second",
        faults=(_FIRST_PROVIDER_DOWN, SecondProviderFails()),
        must=Must.WHOLE_BY_BROKER,
        not_applicable="an intent within 2 ticks: without a price there is no breach to see, the broker's stop is the "
        "floor",
    ),
    Row(
        name="alert-queue-down",
        breaks="the alert queue",
        how="server error to every send",
        faults=(CloudFails(action="sqs:SendMessage", resource="*AlertsQueue"),),
    ),
    Row(
        name="doorbell-down",
        breaks="the doorbell queue",
        how="server error to every send",
        faults=(CloudFails(action="sqs:SendMessage", resource="*DoorbellQueue"),),
    ),
    Row(
        name="broker-hangs",
        breaks="the broker accepts and says nothing",
        how="each order is taken, and its answer never comes",
        faults=(BrokerFails(kind=gate.Misbehaviour.HANG_AFTER_ACCEPT, method="POST", path=ORDERS),),
    ),
    Row(
        name="broker-504",
        breaks="the broker accepts and says 504",
        how="each order is taken, and the answer is a gateway timeout",
        faults=(BrokerFails(kind=gate.Misbehaviour.GATEWAY_TIMEOUT_AFTER_ACCEPT, method="POST", path=ORDERS),),
    ),
    Row(
        name="broker-429",
        breaks="the broker takes no order",
        how="429 with a Retry-After of 20 s to every order",
        faults=(BrokerFails(kind=gate.Misbehaviour.TOO_MANY_REQUESTS, method="POST", path=ORDERS),),
        not_applicable="a sale by an order of ours before the end: only what rests at the broker can sell until then",
    ),
    Row(
        name="poll-never-runs",
        breaks="poll_prices",
        how="its schedule never reaches it",
        faults=(NeverRuns(functions=("PollPrices",)),),
    ),
    Row(
        name="killed-before-sending",
        breaks="place_orders",
        how="killed between the write that claims an order and its request, once for each order",
        faults=(KilledBeforeSending(),),
    ),
    Row(
        name="kill-switch",
        breaks="nothing is broken, the kill switch is set",
        how="set before the breach and never cleared; it stops entries only",
        faults=(KillSwitchSet(),),
    ),
    Row(
        name="budget-spent",
        breaks="the month's budget",
        how="all of it is reserved before tick 0, and 4 go on asking models at every tick",
        faults=(_FOUR_ASK, MonthSpent()),
    ),
    Row(
        name="budget-unsure",
        breaks="the ledger of the budget",
        how="4 ask at every tick; of their updates of the Book a third fails, and of another third the answer is lost",
        faults=(_FOUR_ASK, LedgerFails()),
    ),
    Row(
        name="claude-fails",
        breaks="Claude",
        how="4 ask at every tick; half of them it answers and charges without the answer arriving, the others find it "
        "hung or overloaded (529)",
        faults=(_FOUR_ASK, ClaudeFails(chances=_CLAUDE_DOWN)),
    ),
    Row(
        name="models-unpriced",
        breaks="the prices of all models are over",
        how="4 ask at every tick, and no model has a price in force",
        faults=(NoPrices(), _FOUR_ASK),
    ),
    Row(
        name="crowd",
        breaks="nothing is broken, a crowd asks models",
        how="16 ask at every tick over 10 connections, and a few calls at once reach the day's limit",
        faults=(PeopleAsk(asking=16),),
        ends=4,
    ),
    Row(
        name="budget-and-discord",
        breaks="the month's budget and Discord",
        how="budget-spent and discord-deleted together",
        faults=(_FOUR_ASK, MonthSpent(), DiscordAnswers(status=404)),
    ),
    Row(
        name="everything-at-once",
        breaks="Discord, the schedule, DynamoDB and the first price provider",
        how="discord-429, double-schedule, slow-tables and prices-first-down together",
        faults=(_DISCORD_429, ScheduleDoubled(), SlowTables(), _FIRST_PROVIDER_DOWN),
        not_applicable="UnprocessedItems: no function reads or writes in batches",
    ),
)
