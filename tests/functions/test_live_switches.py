"""Live trading needs two switches and its keys; whatever else is stored stops the start (ORD-02, SEC-02)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from local_stack.cloud.functions import Invocation
from shared.adapters.aws.parameters import SsmParameters
from shared.domain.stage import LiveConfirmation, Stage
from tests.fakes.house import ACCOUNT, FUNCTIONS, NVDA, TSLA, House, before_the_fall

LIVE = {"alpaca-live-key-id": "AKLIVEKEY1", "alpaca-live-secret": "live-secret-of-the-owner"}
READS_LIVE = {"place_orders", "reconcile_orders"}
pytestmark = pytest.mark.usefixtures("quiet")


class Desk:
    """A house whose switches and keys are set by hand; every run is a process of its own."""

    def __init__(self, house: House, switches: dict[str, str]) -> None:
        self.house = house
        self._switches = switches
        self._parameters = SsmParameters(house.cloud.client("ssm"), "/hearthwatch")

    def set(self, *, stage: Stage, confirmed: bool, keys: bool) -> None:
        """Set both switches, and store the live keys or take them away; with keys the broker takes no others."""
        self._switches["HEARTHWATCH_STAGE"] = stage.value
        self._parameters_of_live(keys)
        table = self.house.cloud.physical("BookTable")
        at = {"pk": {"S": "controls"}, "sk": {"S": "live_confirmation"}}
        self.house.cloud.client("dynamodb").delete_item(TableName=table, Key=at)
        if confirmed:
            word = LiveConfirmation(
                account=ACCOUNT,
                stage=Stage.LIVE_1,
                confirmed_at=self.house.clock.now() - timedelta(days=1),
                by="the owner",
            )
            self.house.owner.confirmations.put(word)

    def run(self, function: str) -> Invocation:
        (run,) = self.house.run_at_once(function, [self.house.tick_event()])
        return run

    def _parameters_of_live(self, keys: bool) -> None:
        for name, value in LIVE.items():
            if keys:
                self._parameters.put(name, SecretStr(value))
            else:
                self.house.cloud.client("ssm").delete_parameters(Names=[f"/hearthwatch/{name}"])


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    switches = {"HEARTHWATCH_STAGE": "paper", "HEARTHWATCH_LIVE_ACCOUNT": ACCOUNT}
    with House(environment=switches) as house:
        house.exchange.admit(*LIVE.values())
        before_the_fall(house)
        yield Desk(house, switches)


@pytest.mark.parametrize("function", sorted(READS_LIVE))
@pytest.mark.parametrize(
    ("stage", "confirmed", "keys", "refusal"),
    [
        (Stage.PAPER, False, False, None),
        (Stage.PAPER, True, False, None),
        (Stage.LIVE_1, False, False, None),
        (Stage.LIVE_1, True, True, None),
        (Stage.PAPER, False, True, "nobody has confirmed it"),
        (Stage.PAPER, True, True, "the configured stage is paper"),
        (Stage.LIVE_1, False, True, "nobody has confirmed it"),
        (Stage.LIVE_1, True, False, "its keys are missing: store alpaca-live-key-id, alpaca-live-secret"),
    ],
)
def test_both_switches_or_paper_and_live_keys_without_both_stop_the_start(
    desk: Desk, function: str, stage: Stage, confirmed: bool, keys: bool, refusal: str | None
) -> None:
    """ORD-02: the two by two table, with live keys and without."""
    desk.set(stage=stage, confirmed=confirmed, keys=keys)
    before = len(desk.house.exchange.seen)

    run = desk.run(function)

    if refusal is None:
        assert run.error is None
    else:
        assert refusal in str(run.error)
        assert len(desk.house.exchange.seen) == before
    assert not any(value in str(run.error) for value in LIVE.values())


def test_live_orders_go_out_with_live_keys_and_prices_never_do() -> None:
    """SEC-02: of all functions only those that trade ever ask for the keys of real money; the door saw each call."""
    switches = {"HEARTHWATCH_STAGE": "live-1", "HEARTHWATCH_LIVE_ACCOUNT": ACCOUNT}
    with House(environment=switches) as house:
        Desk(house, switches).set(stage=Stage.LIVE_1, confirmed=True, keys=True)
        house.exchange.admit(*LIVE.values())
        before_the_fall(house)
        runs = house.go_on({TSLA: "295.50", NVDA: "187.10"})
        assert [run.error for run in runs] == [None] * len(runs)
        assert house.exchange.count("POST", "/v2/orders") == 1
        signed_live = [seen for seen in house.exchange.seen if seen.key_id == LIVE["alpaca-live-key-id"]]
        assert {seen.path.split("?")[0] for seen in signed_live} >= {"/v2/orders", "/v2/account"}
        assert not any(seen.path.startswith(("/v2/stocks", "/v1")) for seen in signed_live)

        asked = {
            function: {call.resource for call in house.cloud.door.calls_of(name) if call.action == "ssm:GetParameters"}
            for function, name in FUNCTIONS.items()
        }
        reads_live = {function for function, resources in asked.items() if any("-live-" in r for r in resources)}
        assert reads_live == READS_LIVE
        assert list(house.cloud.door.refused) == []
