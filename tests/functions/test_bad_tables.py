"""Tables and queues that fail in the middle of the fall: what is left when they work again (faults 32 and 34, I10).

Each call that a function makes on a calm day fails in turn, in every way: throttled, broken, refused because somebody
wrote first, and answered into the void. Faults strike one whole call, all of the client's own tries included.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import cycle
from typing import Final

import pytest

from local_stack.cloud.door import Misbehaviour
from shared.adapters.aws.clients import TRIES
from tests.fakes.house import EVERY_MINUTE, FUNCTIONS, House, effects, fallen

BOOK, PRICES, JOURNAL = "BookTable", "PricesTable", "JournalTable"
ALERTS, DOORBELL, CYCLES = "AlertsQueue", "DoorbellQueue", "CyclesQueue"
READ, FIND, WRITE, REMOVE = "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"
SEND: Final = "sqs:SendMessage"
CALLS: Final = {
    "reconcile_orders": {
        (READ, BOOK), (FIND, BOOK), (WRITE, BOOK), (REMOVE, BOOK), (FIND, JOURNAL), (WRITE, JOURNAL), (SEND, ALERTS),
    },
    "poll_prices": {
        (READ, BOOK), (FIND, BOOK), (WRITE, BOOK), (READ, PRICES), (FIND, PRICES), (WRITE, PRICES), (FIND, JOURNAL),
        (WRITE, JOURNAL), (SEND, ALERTS), (SEND, CYCLES),
    },
    "check_risk": {
        (READ, BOOK), (FIND, BOOK), (WRITE, BOOK), (READ, PRICES), (FIND, JOURNAL), (WRITE, JOURNAL), (SEND, ALERTS),
        (SEND, DOORBELL),
    },
    "place_orders": {(READ, BOOK), (FIND, BOOK), (WRITE, BOOK), (REMOVE, BOOK), (FIND, JOURNAL), (WRITE, JOURNAL)},
    "route_alerts": {(READ, BOOK), (FIND, BOOK), (WRITE, BOOK), ("ses:SendEmail", "watch@example.com")},
}  # fmt: skip
"""What each function asks of tables, queues and mail while TSLA falls through its stop and is sold."""
HIDDEN: Final = timedelta(minutes=6)
"""After which a queue shows a message again that its function failed on."""
REFUSALS: Final = cycle((Misbehaviour.THROTTLE, Misbehaviour.SERVER_ERROR))
CASES: Final = [(function, *call, next(REFUSALS)) for function, calls in CALLS.items() for call in sorted(calls)]
"""A throttle and a broken service both change nothing, so they take turns."""


def outcome(house: House) -> dict[str, object]:
    """What must be the same however the day went; how often something was told is another matter."""
    every = effects(house)
    told = Counter(str(title) for title in house.told())
    return {
        **{what: every[what] for what in ("orders", "open", "finished", "positions", "cash", "plan", "alerts")},
        "moved": "CyclesQueue" if every["cycles"] else "",
        "closed": [fact for fact in house.facts() if fact.startswith(("intent_closed", "order_sending"))],
        "told": {title for title in told if title.startswith(("Protective level", "Order filled"))},
    }


def is_settled(house: House) -> bool:
    ledger = house.owner.ledgers.load(house.owner.account)
    return not (ledger.open or ledger.finished or house.owner.positions.all() or house.owner.outbox.unsettled())


@pytest.fixture(scope="module")
def calm() -> dict[str, object]:
    with House() as house:
        fallen(house)
        for _ in range(3):
            assert all(run.error is None for run in house.go_on())
        assert {f: calls_of(house, f) for f in EVERY_MINUTE} == CALLS
        return outcome(house)


def calls_of(house: House, function: str) -> set[tuple[str, str]]:
    """List the calls that a function has made, those to fetch secrets and of Lambda's own pollers left out."""
    ours = ("dynamodb:", "ses:", SEND)
    every = [c for c in house.cloud.door.calls_of(FUNCTIONS[function]) if c.action.startswith(ours)]
    return {
        (call.action, call.resource.removesuffix("/index/watched").rpartition("/")[2].rpartition("-")[2])
        for call in every
    }


def test_calm_day_sells_once_and_tells_of_it(calm: dict[str, object]) -> None:
    assert len(calm["orders"]) == 1  # type: ignore[arg-type]
    assert (calm["open"], calm["finished"], calm["positions"], calm["alerts"]) == ({}, {}, [], 0)
    assert len(calm["told"]) == 2  # type: ignore[arg-type]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("function", "action", "where", "refusal"), CASES)
def test_call_that_fails_in_every_way_delays_the_exit_and_changes_nothing_else(
    calm: dict[str, object], function: str, action: str, where: str, refusal: Misbehaviour
) -> None:
    """Fault 32: two minutes of trouble, then at most three more to the state of the calm day."""
    with House() as house:
        fallen(house)
        for kind in (refusal, Misbehaviour.ANSWER_LOST):
            house.cloud.misbehave(kind, action, resource=f"*{where}*", caller=FUNCTIONS[function], times=TRIES)
        if action in (WRITE, REMOVE):
            house.cloud.misbehave(Misbehaviour.CONFLICT, action, resource=f"*{where}*", caller=FUNCTIONS[function])
        for _ in range(2):
            house.go_on()
        house.cloud.door.behave()
        for _ in range(3):
            house.go_on()
            if is_settled(house):
                break
        house.clock.set(house.clock.now() + HIDDEN)
        house.pump()

        assert outcome(house) == calm
        assert house.exchange.count("POST", "/v2/orders") == 1
