"""Kill, freeze, flatten and clear as the operator types them against a deployed stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import hearthwatch.operator.kill_switch as commands
from hearthwatch.operator.kill_switch import LOOK_EVERY, LOOKS
from hearthwatch.operator.stack import DeployedStack, find_stack
from local_stack.cloud.door import OWNER, Misbehaviour
from shared.bootstrap.cloud import Cloud
from shared.domain.intents import CycleId, Intent, IntentState, OrderType, Reason, Side
from shared.domain.ledger import Ledger
from shared.domain.times import Tick
from shared.domain.trading_state import KillSwitch, SwitchMode
from shared.use_cases.prepare_entry import ProposeEntry
from tests.operator.deployment import MINUTE, NOON, NUMBER, NVDA, TSLA, Deployment, Done

KILL, FREEZE, FLATTEN, OFF = SwitchMode.KILL, SwitchMode.FREEZE, SwitchMode.FLATTEN, SwitchMode.OFF
WORDS = {
    "freeze": "freeze exits of paper",
    "flatten": "flatten 1 position of paper",
    "clear": "clear",
}
MODES = {"kill": KILL, "freeze": FREEZE, "flatten": FLATTEN, "clear": OFF}


@contextmanager
def trading(**changed: Any) -> Iterator[tuple[Deployment, Cloud]]:
    """A stack that holds ten TSLA and knows fresh prices, and its owner's ports."""
    with Deployment(held={TSLA: "10"}, **changed) as deployed:
        deployed.ready()
        ports = deployed.ports
        run_once(ports)
        yield deployed, ports
        ports.close()


def run_once(ports: Cloud) -> None:
    tick = Tick(scheduled=ports.clock.now())
    ports.use_cases.reconcile_orders()
    ports.use_cases.poll_prices(tick)
    ports.use_cases.check_risk(tick)


def entry(ports: Cloud) -> Intent:
    outcome = ports.use_cases.prepare_entry(
        ProposeEntry(
            symbol=NVDA,
            quantity=Decimal(3),
            reason=Reason.ENTRY,
            cycle=CycleId("cycle-1"),
            decided_at=ports.clock.now(),
            text="a story",
        )
    )
    assert outcome.intent is not None, outcome.reasons
    return outcome.intent


def stands(ports: Cloud) -> KillSwitch:
    return ports.controls.kill_switch()


def typed(deployed: Deployment, command: str, *lines: str, why: str = "a test") -> Done:
    return deployed.run(command, "--why", why, typed=lines)


def orders(deployed: Deployment, side: Side) -> list[tuple[str, OrderType]]:
    return [(o.symbol, o.order_type) for o in deployed.exchange.exchange.orders() if o.side is side]


# asking


def test_kill_shows_what_stands_and_asks_once() -> None:
    with trading() as (deployed, ports):
        done = deployed.run("kill", "--why", "the CEO tweeted", typed=["y"])
        switch = stands(ports)

        assert (done.code, done.problem) == (0, "")
        assert (switch.mode, switch.by, switch.why, switch.at) == (KILL, "moto", "the CEO tweeted", NOON)
        assert "Account paper, stage paper: stack hearthwatch in us-east-1." in done.out
        assert "Kill switch: off\n" in done.out
        assert "Held: 10 TSLA\n" in done.out
        assert done.out.count("?") == 1
        assert "Kill switch: kill, set by moto at 2026-06-10T16:03:00Z: the CEO tweeted\n" in done.out
        assert "Open entry orders: none\n" in done.out
        assert len(deployed.items("JournalTable")) > 0


def test_a_kill_that_nobody_agrees_to_changes_nothing() -> None:
    with trading() as (deployed, ports):
        for lines in ([], [""], ["n"], ["kill"], ["yess"]):
            done = typed(deployed, "kill", *lines)

            assert done.code == 2
            assert "nothing was changed" in done.problem
            assert stands(ports) == KillSwitch(mode=OFF)


def test_kill_with_yes_asks_nobody_and_needs_no_reason() -> None:
    with trading() as (deployed, ports):
        done = deployed.run("kill", "--yes")

        assert (done.code, done.problem) == (0, "")
        assert "?" not in done.out
        assert stands(ports).mode is KILL


def test_other_words_than_those_asked_for_change_nothing() -> None:
    with trading() as (deployed, ports):
        before = KillSwitch(mode=KILL, by="ben", why="lunch", at=NOON)
        ports.controls.set_kill_switch(before)
        for command, words in WORDS.items():
            for lines in ([], [""], ["y"], ["yes"], [words.upper()], [f"{words} now"]):
                done = typed(deployed, command, *lines)

                assert done.code == 2
                assert "nothing was changed" in done.problem
                assert f'Type "{words}" to go on:' in done.out
                assert stands(ports) == before


@pytest.mark.parametrize("command", sorted(WORDS))
def test_the_words_asked_for_are_taken_from_standard_input(command: str) -> None:
    with trading() as (deployed, ports):
        ports.controls.set_kill_switch(KillSwitch(mode=KILL, by="ben", why="lunch", at=NOON))
        done = typed(deployed, command, WORDS[command])

        assert (done.code, done.problem) == (0, "")
        assert "Kill switch: kill, set by ben at 2026-06-10T16:03:00Z: lunch\n" in done.out
        assert stands(ports).mode is MODES[command]


@pytest.mark.parametrize("command", ["freeze", "flatten", "clear"])
def test_all_but_kill_want_a_reason_and_take_no_yes(command: str) -> None:
    with Deployment() as deployed:
        for words in ([command], [command, "--why", "x", "--yes"]):
            with pytest.raises(SystemExit):
                deployed.run(*words)


def test_a_kill_lets_go_of_no_freeze_unless_that_is_typed() -> None:
    with trading() as (deployed, ports):
        typed(deployed, "freeze", WORDS["freeze"])
        refused = deployed.run("kill", "--yes")

        assert refused.code == 2
        assert '"kill instead of freeze" must be typed' in refused.problem
        assert stands(ports).mode is FREEZE
        assert typed(deployed, "kill", "kill instead of freeze").code == 0
        assert stands(ports).mode is KILL


def test_flatten_lists_what_it_sells_and_counts_it_anew() -> None:
    with trading() as (deployed, ports):
        position = ports.positions.all()[0]
        ports.positions.put(replace(position, symbol=NVDA, quantity=Decimal("2.5"), version=0))
        done = typed(deployed, "flatten", WORDS["flatten"])

        assert "Held: 2.5 NVDA, 10 TSLA\n" in done.out
        assert (done.code, "exactly: flatten 2 positions of paper" in done.problem) == (2, True)
        assert stands(ports).mode is OFF


def test_a_switch_that_somebody_else_changes_meanwhile_is_not_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading() as (deployed, ports):
        typed(deployed, "kill", "y")
        frozen = KillSwitch(mode=FREEZE, by="ben", why="broken into", at=NOON)
        confirmed = commands._Change._confirmed

        def meanwhile(change: Any, standing: KillSwitch, *, agreed: bool) -> str:
            ports.controls.set_kill_switch(frozen)
            return confirmed(change, standing, agreed=agreed)

        monkeypatch.setattr(commands._Change, "_confirmed", meanwhile)
        done = typed(deployed, "clear", "clear")

        assert done.code == 2
        assert "changed meanwhile, it is now freeze, set by ben" in done.problem
        assert stands(ports) == frozen


# what it does


def at_claim(ports: Cloud, wanted: Callable[[Intent], bool], act: Callable[[], object]) -> None:
    """Do something once, after an intent was claimed and before it is sent."""
    ledgers: Any = ports.ledgers
    save = ledgers.save
    done: list[bool] = []

    def look(ledger: Ledger) -> Ledger:
        saved: Ledger = save(ledger)
        if not done and any(wanted(i) and i.state is IntentState.SENT for i in saved.open.values()):
            done.append(True)
            act()
        return saved

    ledgers.save = look


@pytest.mark.parametrize("command", ["kill", "freeze", "flatten"])
def test_typed_between_gate_and_send_no_entry_goes_out(command: str) -> None:
    with trading() as (deployed, ports):
        intent = entry(ports)
        at_claim(ports, lambda i: i.is_entry, lambda: typed(deployed, command, WORDS.get(command, "y")))
        report = ports.use_cases.place_orders("executor-1")

        assert stands(ports).mode is MODES[command]
        assert intent.id in report.abandoned
        assert orders(deployed, Side.BUY) == []


@pytest.mark.parametrize(("command", "sells"), [("kill", True), ("flatten", True), ("freeze", False)])
def test_a_breached_stop_sells_under_all_but_a_freeze_and_after_it(command: str, sells: bool) -> None:
    with trading() as (deployed, ports):
        typed(deployed, command, WORDS.get(command, "y"))
        position = ports.positions.all()[0]
        ports.positions.put(replace(position, average_entry_price=Decimal(600)))
        run_once(ports)
        ports.use_cases.place_orders("executor-1")

        assert ((TSLA, OrderType.MARKET) in orders(deployed, Side.SELL)) is sells
        typed(deployed, "clear", "clear")
        ports.use_cases.place_orders("executor-2")
        assert orders(deployed, Side.SELL).count((TSLA, OrderType.MARKET)) == 1


def test_open_entry_orders_are_watched_until_they_are_canceled() -> None:
    with trading() as (deployed, ports):
        entry(ports)
        ports.use_cases.place_orders("executor-1")
        assert orders(deployed, Side.BUY) == [(NVDA, OrderType.LIMIT)]
        done = deployed.run("kill", "--yes", pause=lambda _: ports.use_cases.place_orders("executor-2"))

        assert done.code == 0
        assert "Open entry orders: buy 3 NVDA (entry, ACKED)\nOpen entry orders: none\n" in done.out
        assert [o for o in deployed.exchange.exchange.live_orders() if o.side is Side.BUY] == []


def test_entry_orders_that_stay_are_named_with_what_to_look_at() -> None:
    with trading() as (deployed, ports):
        entry(ports)
        ports.use_cases.place_orders("executor-1")
        done = deployed.run("kill", "--yes")

        assert done.code == 1
        assert deployed.paused == [LOOK_EVERY] * LOOKS
        assert done.out.count("Open entry orders: buy 3 NVDA") == 1
        assert "Look at the orders at the broker" in done.out


def test_a_change_rings_the_doorbell() -> None:
    with trading() as (deployed, _):
        sqs, url = deployed.cloud.client("sqs"), deployed.cloud.physical("DoorbellQueue")
        while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            pass
        deployed.run("kill", "--yes")

        assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 1


def test_a_freeze_names_the_exits_that_it_holds_back() -> None:
    with trading() as (deployed, ports):
        position = ports.positions.all()[0]
        ports.positions.put(replace(position, average_entry_price=Decimal(600)))
        run_once(ports)
        done = typed(deployed, "freeze", WORDS["freeze"])

        assert "Held back: sell 10 TSLA (stop loss, PREPARED)\n" in done.out


def test_clear_says_when_something_else_still_stops_entries() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        deployed.store_paper()
        deployed.run("kill", "--yes")
        done = typed(deployed, "clear", "clear")

        assert done.code == 0
        assert "live trading in stage live-1 is not confirmed" in done.out
        assert "Entries stay stopped all the same." in done.out


# when not all is well


@pytest.mark.parametrize("action", ["sts:GetCallerIdentity", "dynamodb:Query"])
def test_what_cannot_be_shown_keeps_nobody_from_killing(action: str) -> None:
    with trading() as (deployed, ports):
        book = deployed.cloud.physical("BookTable")
        where = f"*{book}" if action.startswith("dynamodb") else "*"
        deployed.cloud.misbehave(Misbehaviour.DENY, action, resource=where, caller=OWNER, times=50)
        done = deployed.run("kill", "--yes")

        assert (done.code, done.problem) == (0, "")
        assert stands(ports).mode is KILL


def test_a_switch_that_cannot_be_written_is_an_error() -> None:
    with trading() as (deployed, ports):
        deployed.cloud.misbehave(Misbehaviour.DENY, "dynamodb:PutItem", caller=OWNER, times=50)
        done = deployed.run("kill", "--yes")

        assert done.code != 0
        assert "Kill switch: kill" not in done.out
        assert stands(ports).mode is OFF


def test_a_journal_that_is_down_is_told_after_the_switch_was_set() -> None:
    with trading() as (deployed, ports):
        journal = f"*{deployed.cloud.physical('JournalTable')}"
        deployed.cloud.misbehave(Misbehaviour.SERVER_ERROR, resource=journal, caller=OWNER, times=50)
        done = deployed.run("kill", "--yes")

        assert done.code == 1
        assert "Not all of it was done" in done.out
        assert stands(ports).mode is KILL


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_a_stack_that_is_being_changed_is_stopped_all_the_same(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with trading() as (deployed, ports):
        describe: Any = deployed.aws.cloudformation.describe_stacks

        def changing(**given: Any) -> Any:
            found = describe(**given)
            found["Stacks"][0].update(StackStatus=status)
            return found

        monkeypatch.setattr(deployed.aws.cloudformation, "describe_stacks", changing)
        assert deployed.run("mode").code == 2
        assert deployed.run("kill", "--yes").code == 0
        assert stands(ports).mode is KILL


def test_a_stack_of_an_older_version_is_killed_and_not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading() as (deployed, ports):
        describe: Any = deployed.aws.cloudformation.describe_stacks

        def older(**given: Any) -> Any:
            found = describe(**given)
            stack = found["Stacks"][0]
            stack["Parameters"] = [each for each in stack["Parameters"] if each["ParameterKey"] != "AssetClasses"]
            return found

        monkeypatch.setattr(deployed.aws.cloudformation, "describe_stacks", older)
        refused = typed(deployed, "freeze", WORDS["freeze"])
        assert (refused.code, "does not name AssetClasses" in refused.problem) == (2, True)
        assert deployed.run("kill", "--yes").code == 0
        assert stands(ports).mode is KILL


def test_the_stack_is_found_as_the_other_commands_find_it() -> None:
    with Deployment() as deployed:
        found = find_stack(deployed.aws, "hearthwatch", in_any_state=True, of_any_version=True)
        assert isinstance(found, DeployedStack)
        assert found == find_stack(deployed.aws, "hearthwatch")
        assert deployed.clock.now() - NOON < MINUTE
