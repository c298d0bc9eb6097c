"""Two versions of the program at once: what a newer one wrote is left alone, and protection goes on (fault 42)."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.stored import POSITION
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.intents import IntentState
from shared.domain.positions import Position
from tests.fakes.discord import TAKEN, DiscordDouble, throttled
from tests.fakes.house import MINUTE, NOON, NVDA, TSLA, House, before_the_fall, effects, prepared
from tests.fakes.yahoo import YahooDouble

NEWER = "its schema is 9, this version of the program knows up to "
LATE = Alert(
    kind=AlertKind.TICKS_MISSED,
    severity=Severity.WARNING,
    subject="ticks",
    at=NOON - 2 * MINUTE,
    text="No tick for 5 minutes",
    occurrence="one",
)
pytestmark = pytest.mark.usefixtures("quiet")


class Shelf:
    """The items of one table as they lie there."""

    def __init__(self, house: House, table: str = "BookTable") -> None:
        self._client = house.cloud.client("dynamodb")
        self._table = house.cloud.physical(table)

    def of(self, pk: str, sk: str = "") -> list[dict[str, Any]]:
        items = self._client.scan(TableName=self._table)["Items"]
        return [item for item in items if item["pk"]["S"].startswith(pk) and item["sk"]["S"].startswith(sk)]

    def make_newer(self, pk: str, sk: str = "") -> list[dict[str, Any]]:
        """Let items be as a newer version of the program writes them: another number, a body nobody here knows."""
        found = self.of(pk, sk)
        assert found
        for item in found:
            body = {"S": json.dumps({"shards": [item["body"]["S"]]})} if "body" in item else {}
            self._client.put_item(
                TableName=self._table, Item={**item, "schema": {"N": "9"}, **({"body": body} if body else {})}
            )
        return self.of(pk, sk)


def holding_both(house: House) -> None:
    """TSLA and NVDA are held, and both fall through their stops."""
    house.exchange.exchange.seed_position(NVDA, Decimal(5), Decimal("187"))
    before_the_fall(house)


def test_position_of_a_newer_version_is_left_alone_and_the_others_are_protected() -> None:
    """The stop of TSLA is sold; what is unknown of NVDA is told as an exit held up, with what to do."""
    with House() as house:
        holding_both(house)
        newer = Shelf(house).make_newer("positions", NVDA)

        house.go_on({TSLA: "295.50", NVDA: "120.00"})
        house.go_on({TSLA: "295.50", NVDA: "120.00"})

        assert [(order.symbol, str(order.filled_quantity)) for order in house.exchange.exchange.orders()] == [
            (TSLA, "10.4")
        ]
        assert Shelf(house).of("positions", NVDA) == newer
        blocked = [body for body in house.discord.taken if "deploy the newest" in json.dumps(body)]
        assert blocked
        assert AlertKind.EXIT_BLOCKED in [kind for kind, *_ in house.incidents()]


@pytest.mark.parametrize(
    ("table", "pk", "sk"),
    [
        ("PricesTable", "latest", ""),
        ("BookTable", "broker", "facts"),
        ("BookTable", "day_plans", ""),
        ("JournalTable", "day#", ""),
    ],
)
def test_other_items_of_a_newer_version_are_not_overwritten_and_the_exit_goes_out(table: str, pk: str, sk: str) -> None:
    """What protects can do without the latest minute, the broker's facts, the day's plan and the journal."""
    with YahooDouble() as yahoo, House(environment={"HEARTHWATCH_YAHOO_URL": yahoo.url}) as house:
        before_the_fall(house)
        newer = Shelf(house, table).make_newer(pk, sk)
        yahoo.trades(TSLA, "295.50", house.clock.now() + MINUTE)  # a jump nobody remembers needs two sources

        house.go_on({TSLA: "295.50", NVDA: "187.10"})

        assert house.exchange.count("POST", "/v2/orders") == 1
        still = Shelf(house, table).of(pk, sk)
        assert [item for item in still if item in newer] == newer


def test_ledger_of_a_newer_version_sends_nothing_changes_nothing_and_says_what_to_do() -> None:
    """Without the ledger nobody knows what is at the broker: no order leaves, and each failed run names the item."""
    with House() as house:
        prepared(house)
        newer = Shelf(house).make_newer("ledger")

        runs = house.go_on()

        failed = {run.function: str(run.error) for run in runs if run.error is not None}
        assert failed.keys() >= {"PlaceOrders", "ReconcileOrders", "PollPrices"}
        assert all(NEWER in problem for problem in failed.values())
        assert any(NEWER in problem for run in runs if run.answer for problem in run.answer["problems"])
        assert Shelf(house).of("ledger") == newer
        assert house.exchange.count("POST", "/v2/orders") == 0


def test_incident_of_a_newer_version_does_not_hold_back_the_others() -> None:
    """Both wait for Discord; the sweep leaves the one to whoever wrote it, and delivers the other."""
    with House(discord=DiscordDouble(throttled(90), TAKEN)) as house:
        house.owner.alerts.send(LATE)
        house.pump()
        newer = Shelf(house).make_newer("incident#")
        house.owner.alerts.send(replace(LATE, subject="other ticks"))
        house.pump()

        for _ in range(2):
            house.clock.set(house.clock.now() + MINUTE)
            house.tick("route_alerts")

        assert house.told() == ["Price ticks missed: other ticks"]
        assert Shelf(house).of("incident#ticks_missed|ticks") == newer


def test_item_of_the_version_before_is_read_and_written_in_the_form_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The older form is carried over at the first reading, and the exit goes out as if nothing had changed."""
    with House() as house:
        before_the_fall(house)
        now, after = str(POSITION.schema), str(POSITION.schema + 1)
        monkeypatch.setattr(POSITION, "schema", POSITION.schema + 1)
        monkeypatch.setattr(POSITION, "_upgrade", lambda fields: fields)
        shelf = Shelf(house)
        assert [item["schema"]["N"] for item in shelf.of("positions")] == [now]

        (held,) = house.owner.positions.all()
        assert isinstance(held, Position)
        house.owner.positions.put(held)
        assert [item["schema"]["N"] for item in shelf.of("positions")] == [after]
        house.go_on({TSLA: "295.50", NVDA: "187.10"})
        house.go_on()

        assert effects(house)["positions"] == []
        assert list(effects(house)["finished"].values()) in ([], [IntentState.FILLED])  # type: ignore[attr-defined]
