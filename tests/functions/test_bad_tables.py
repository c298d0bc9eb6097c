"""Tables and queues that fail in the middle of the fall: what is left when they work again (faults 32 and 34, I10).

Each call that a function makes on a calm day fails in turn, in every way: throttled, broken, refused because somebody
wrote first, and answered into the void. Faults strike one whole call, all of the client's own tries included.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle
from typing import Final

import pytest

from local_stack.cloud.door import Misbehaviour
from shared.adapters.aws.clients import TRIES
from tests.fakes.house import EVERY_MINUTE, FUNCTIONS, STAGES, House, effects, fallen, prepared

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
    return {
        **{what: every[what] for what in ("orders", "open", "finished", "positions", "cash", "plan", "alerts")},
        "moved": "CyclesQueue" if every["cycles"] else "",
        "closed": [fact for fact in house.facts() if fact.startswith(("intent_closed", "order_sending"))],
        "told": {title for title in house.told() if title.startswith(("Protective level", "Order filled"))},
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
    ours = ("dynamodb:", "ses:", "s3:", SEND)
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


@pytest.mark.usefixtures("quiet")
def test_no_order_leaves_while_the_book_takes_no_writes_and_people_are_told() -> None:
    """Fault 32: an order that cannot be recorded is not sent; the alert goes out, and the next tick tries again."""
    with House() as house:
        prepared(house)
        house.drain("AlertsQueue")
        house.drain("DoorbellQueue")
        house.cloud.misbehave(
            Misbehaviour.THROTTLE, WRITE, resource=f"*{BOOK}*", caller=FUNCTIONS["place_orders"], times=1_000
        )

        failed = house.try_tick("place_orders")
        house.pump()

        assert "BookTable: PutItem" in str(failed.error)
        assert house.exchange.count("POST", "/v2/orders") == 0
        assert house.told() == ["Protective exit held up: TSLA"]
        house.cloud.door.behave()
        house.go_on()
        house.go_on()
        assert house.exchange.count("POST", "/v2/orders") == 1
        assert house.owner.positions.all() == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("function", ["prepare_session", "archive_prices"])
@pytest.mark.parametrize("kind", [Misbehaviour.THROTTLE, Misbehaviour.SERVER_ERROR, Misbehaviour.ANSWER_LOST])
def test_job_whose_calls_fail_one_after_the_other_has_done_its_work_in_the_end(
    function: str, kind: Misbehaviour
) -> None:
    """Fault 32: whichever call fails, running again makes up for it and does nothing twice."""
    prepare, begins = STAGES[function]
    with House(now=begins) as house:
        prepare(house)
        house.tick(function)
        calls = calls_of(house, function)
        house.pump()
        undisturbed = effects(house)
    with House(now=begins) as house:
        prepare(house)
        for action, where in sorted(calls):
            house.cloud.misbehave(kind, action, resource=f"*{where}*", caller=FUNCTIONS[function], times=TRIES)
            house.try_tick(function)
        house.cloud.door.behave()
        house.tick(function)
        house.pump()

        after = effects(house)
        assert {what: after[what] for what in ("plan", "archive", "minutes")} == {
            what: undisturbed[what] for what in ("plan", "archive", "minutes")
        }
        assert set(undisturbed["journal"]) == set(after["journal"])  # type: ignore[call-overload]
