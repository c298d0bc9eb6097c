"""What the budget costs a call, and what it lets a provider charge over a limit, beside LiteLLM's under the same load.

Time: a reservation and its settlement, with and without the record between them, beside two plain DynamoDB updates of
a counter, on the same served table, by one worker and by sixteen. The server is moto, one request at a time: it reads
the expressions of an update in Python, and ours are longer, so much of the ratio is moto's; at DynamoDB each update is
one round trip, conditional or not.

Money: the same calls by the same number of workers, once through our budget on tables and once through LiteLLM's
proxy, set to the same limit and the same prices, before the same local Claude. One call in ten fails, most of them
after Claude was paid. `over the limit` is what Claude charged above it. LiteLLM's strictest budget is compared (see
`litellm_proxy`); in a trial of its others with 1,500 like calls and the same limit, `max_budget` of a key without the
strict mode and without Redis let 5 % more through, BudgetManager 21 %, the Router's provider budget 29 %.

To read: LiteLLM gives a failed call's reservation back whole, and what a provider charged for it is never counted; its
share over the limit grows with the share of such calls. Ours counts such a call at its bound, which is what the share
of the limit that stays unused is made of.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any, Final, NamedTuple

import anthropic

from benchmarks.figures import Figure, Say
from benchmarks.litellm_proxy import KEY, install, litellm_proxy
from local_stack.claude.mind import Answer, prompt_tokens
from local_stack.claude.server import ClaudeServer
from local_stack.claude.trouble import Misbehaviour
from local_stack.loopback import past_proxies
from shared.adapters.aws.budget import DynamoBudgets, DynamoCharges
from shared.adapters.aws.table import Table
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.budget import Bounds, BudgetRules, Envelope, Reservation, ReservationId
from shared.domain.calls import Call, Purpose, Rung, WorkId
from shared.domain.charges import Booked, charge_for
from shared.domain.model_prices import DOLLAR, HAIKU, SONNET, STARTING_PRICES, MicroDollars, ModelId, Usage
from tests.end_to_end.budget_load import HOLD, Bill, Load, LoadRun, Stretch, price_of, tag_of, tokens_of
from tests.end_to_end.budget_stores import PATIENCE, PRICED_AT, asking, on_tables
from tests.fakes.aws import connect, make_table, served

ROUNDS: Final = 5
TIMES: Final = 64
"""Calls a round; each round has a month of its own."""
WORKERS: Final = (1, 16)
CALLS: Final = 1_500
LIMIT: Final[MicroDollars] = 2 * DOLLAR
CLAUDE_TAKES: Final = 0.05
FAILURES: Final[Mapping[Misbehaviour, float]] = {
    Misbehaviour.TOO_MANY_REQUESTS: 0.03,
    Misbehaviour.RESET: 0.01,
    Misbehaviour.TIMEOUT_AFTER_GENERATION: 0.04,
    Misbehaviour.GATEWAY_TIMEOUT: 0.02,
}
"""The last two come after Claude was paid."""
LOAD: Final = Load(
    calls=CALLS,
    workers=64,
    rules=BudgetRules(day=10 * LIMIT, month=LIMIT, warn_at=(), decisions=CALLS),
    stretches=(Stretch(PRICED_AT, 1.0),),
    step=timedelta(seconds=10),
    tries=1,
    audited_every=1.0,
)
Work = Callable[[], object]


class Spent(NamedTuple):
    """What a provider charged, and how many of the calls were answered."""

    charged: float
    answered: int


def measure(say: Say) -> list[Figure]:
    """Measure the time of the ledger, then the money that passes both."""
    logging.disable(logging.CRITICAL)
    try:
        figures = [figure for workers in WORKERS for figure in _times(workers, say)]
        return figures + _money(say)
    finally:
        logging.disable(logging.NOTSET)


def _times(workers: int, say: Say) -> list[Figure]:
    with served() as url:
        aws = connect(url)
        ledger = _Ledger(aws.dynamodb, make_table(aws, f"bench-{workers}"))
        works: dict[str, Work] = {
            "two plain updates": ledger.plain,
            "reserve and close": ledger.reserve_and_close,
            "reserve, record and close": ledger.settle,
        }
        rounds: dict[str, list[float]] = {name: [] for name in works}
        for number in range(ROUNDS):
            say(f"the ledger, workers: {workers}, round {number + 1} of {ROUNDS}")
            for name, work in works.items():
                ledger.next_month()
                rounds[name].append(_seconds(work, workers) / TIMES)
    median = {name: statistics.median(seconds) for name, seconds in rounds.items()}
    plain, both, whole = median.values()
    return [
        *(Figure(f"{name}, workers: {workers}", seconds * 1000, "ms") for name, seconds in median.items()),
        Figure(f"reserve and close : two plain updates, workers: {workers}", both / plain, "x", "<= 6"),
        Figure(f"with the record : two plain updates, workers: {workers}", whole / plain, "x", "<= 8"),
    ]


def _seconds(work: Work, workers: int) -> float:
    """Take the time of a round on the wall's clock, as most of it is waiting for the server."""
    with ThreadPoolExecutor(workers) as pool:
        began = time.perf_counter()
        for done in [pool.submit(work) for _ in range(TIMES)]:
            done.result()
        return time.perf_counter() - began


class _Ledger:
    """A served table, and what is done on it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        self._budgets = DynamoBudgets(Table(client, name))
        self._charges = DynamoCharges(Table(client, name))
        self._numbers = count()
        self._months = count(1)
        self._day = date(2027, 1, 15)

    def next_month(self) -> None:
        """Begin an empty item."""
        number = next(self._months)
        self._day = date(2027 + number // 12, number % 12 + 1, 15)

    def plain(self) -> None:
        """Add to a counter twice."""
        for _ in range(2):
            self._client.update_item(
                TableName=self._name,
                Key={"pk": {"S": "counter"}, "sk": {"S": self._day.isoformat()}},
                UpdateExpression="ADD #n :one",
                ExpressionAttributeNames={"#n": "n"},
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    def reserve_and_close(self) -> None:
        """Change the month twice."""
        self._budgets.close(self._reserved(), 700)

    def settle(self) -> None:
        """Do everything that a paid call does around its question."""
        held = self._reserved()
        charge = charge_for(held, held.issued_at, cost=700, booked=Booked.SETTLED, ending="complete")
        self._budgets.close(held, self._charges.put(charge).cost)

    def _reserved(self) -> Reservation:
        held = _reservation(next(self._numbers), self._day)
        rules = BudgetRules(day=LIMIT, month=LIMIT)
        self._budgets.reserve(held, Bounds.of(rules, held.envelope, edge_down=False))
        return held


def _reservation(number: int, day: date) -> Reservation:
    now = datetime(day.year, day.month, day.day, 17, 0, tzinfo=UTC)
    work = WorkId(f"work {number}")
    return Reservation(
        id=ReservationId(f"{number:040}"),
        issued_at=now,
        day=day,
        amount=1_000,
        envelope=Envelope.NEWS,
        expires_at=now + timedelta(minutes=15),
        call=Call(provider="anthropic", model=HAIKU, rung=Rung.HAIKU, purpose=Purpose.NEWS, work=work),
        prices=STARTING_PRICES.version,
    )


def _money(say: Say) -> list[Figure]:
    python = install(say)
    say(f"{CALLS} calls through our budget")
    ours = _ours()
    say(f"{CALLS} calls through LiteLLM's")
    theirs = _theirs(python)
    figures = [Figure("limit", LIMIT / DOLLAR, "$")]
    for who, spent, hold in (("Hearthwatch", ours, "0"), ("LiteLLM", theirs, "")):
        figures += [
            Figure(f"{who}: charged by Claude", spent.charged / DOLLAR, "$"),
            Figure(f"{who}: over the limit", max(0.0, spent.charged / LIMIT - 1) * 100, "%", hold),
            Figure(f"{who}: share of the limit used", spent.charged / LIMIT * 100, "%", hold and ">= 85"),
            Figure(f"{who}: calls answered", spent.answered, "calls"),
        ]
    return figures


def _ours() -> Spent:
    bill = Bill()
    with on_tables() as stores, _claude(bill.take) as server:
        outcome = LoadRun(LOAD, stores, asking(server), bill)()
        if outcome.problems:
            raise RuntimeError(outcome.problems[0])
        return Spent(float(server.charged().total), outcome.happened["ended complete"])


def _theirs(python: Path) -> Spent:
    """Ask the proxy in Claude's own language, each call once."""
    answered: list[int] = []
    numbers = iter(range(CALLS))
    with (
        past_proxies(),
        _claude(lambda tag, amount: None) as server,
        litellm_proxy(
            python,
            url=server.url,
            key=server.key,
            limit=LIMIT,
            prices=STARTING_PRICES,
            models=(HAIKU, SONNET),
            seconds=PATIENCE.total_seconds(),
        ) as address,
        anthropic.Anthropic(base_url=address, api_key=KEY, max_retries=0, timeout=60) as client,
    ):
        workers = [Thread(target=_ask_all, args=(client, numbers, answered)) for _ in range(LOAD.workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return Spent(float(server.charged().total), len(answered))


def _ask_all(client: anthropic.Anthropic, numbers: Iterator[int], answered: list[int]) -> None:
    for number in numbers:
        drawn = LOAD.drawn(number)
        question = drawn.question
        try:
            client.messages.create(
                model=drawn.model,
                max_tokens=question.most_tokens,
                system=question.system,
                messages=[{"role": "user", "content": drawn.text(1)}],
            )
        except anthropic.APIError:
            continue
        answered.append(number)


@contextmanager
def _claude(take: Callable[[str, MicroDollars], None]) -> Iterator[ClaudeServer]:
    """Serve Claude, whose answers are as long as their question alone says."""

    def respond(body: Mapping[str, Any]) -> Answer:
        text = _said(body["messages"][0]["content"])
        tag, chance = tag_of(text), Random(text)
        output = tokens_of(chance, 50, int(body["max_tokens"])).output
        usage = Usage(input=prompt_tokens(body, 4), output=output)
        take(tag, price_of(ModelId(body["model"]), usage))
        tokens = {"input": usage.input, "output": usage.output, "cache_read": 0, "cache_write": 0}
        return Answer(text=HOLD, seconds=chance.random() * CLAUDE_TAKES, tokens=tokens)

    with ClaudeServer(SimulatedClock(PRICED_AT)) as server:
        server.answer_with(respond)
        server.misbehave(FAILURES, seed=LOAD.seed)
        yield server


def _said(content: Any) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])
