"""Taking a stack down and setting it up again: exported first, asked twice, nothing lost (OPS-12)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hearthwatch.operator.aws import OperatorError
from hearthwatch.operator.restore import require_same
from hearthwatch.operator.stack import SCHEDULES
from local_stack.run.tables import Stores, export_state, read_manifest
from shared.domain.stage import Stage
from shared.domain.times import Tick
from shared.domain.trading_state import KillSwitch, SwitchMode
from tests.operator.deployment import NOON, NVDA, TSLA, Deployment, Done

YES = ["hearthwatch", "delete", "y"]
TABLES = ("BookTable", "PricesTable", "JournalTable")


def filled(deployed: Deployment) -> Deployment:
    """Leave something in every table: a minute of prices, reconciled facts, a confirmation, the journal's links."""
    deployed.store_paper()
    cases = deployed.ports.use_cases
    cases.confirm_live("live-1 on account 123456789", stage=Stage.LIVE_1, account="123456789", by="ann")
    cases.reconcile_orders()
    cases.poll_prices(Tick(scheduled=NOON))
    return deployed


def teardown(deployed: Deployment, folder: Path, typed: Sequence[str] = YES, *words: str) -> Done:
    return deployed.run("teardown", "--folder", str(folder), *words, typed=typed)


def is_there(deployed: Deployment) -> bool:
    try:
        deployed.cloud.client("cloudformation").describe_stacks(StackName="hearthwatch")
    except ClientError:
        return False
    return True


def test_a_stack_goes_after_an_export_and_two_answers(tmp_path: Path) -> None:
    with Deployment(Schedules="ENABLED") as deployed:
        done = teardown(filled(deployed), tmp_path / "export")

        assert (done.code, done.problem) == (0, "")
        assert not is_there(deployed)
        manifest = read_manifest(tmp_path / "export")
        assert manifest is not None
        assert {name: part.lines for name, part in manifest.parts.items()} == {
            name: len(deployed.items(name)) for name in TABLES
        }
        assert all(part.lines for part in manifest.parts.values())


def test_it_says_what_is_protected_and_how_it_goes(tmp_path: Path) -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        done = teardown(deployed, tmp_path / "export")

        assert "The tables and the archive are protected: they stay" in done.out
        for name in TABLES:
            table = deployed.cloud.physical(name)
            assert f"aws dynamodb update-table --table-name {table} --no-deletion-protection-enabled" in done.out
            assert f"aws dynamodb delete-table --table-name {table}" in done.out
        assert f"aws s3 rb s3://{deployed.cloud.physical('ArchiveBucket')}" in done.out
        assert f"python -m hearthwatch restore --from {tmp_path / 'export'}" in done.out


def test_the_schedules_are_off_before_the_last_export_and_the_end(tmp_path: Path) -> None:
    with Deployment(Schedules="ENABLED") as deployed:
        deployed.store_paper()
        states: list[set[str]] = []
        done = deployed.run(
            "teardown",
            "--folder",
            str(tmp_path),
            typed=YES,
            pause=lambda seconds: states.append(set(deployed.schedules().values())),
        )

        assert states == [{"DISABLED"}]
        off, last = done.out.index("The schedules are off"), done.out.rindex("Exported to")
        assert off < last < done.out.index("Deleting the stack")
        assert len(deployed.schedules()) == len(SCHEDULES)


@pytest.mark.parametrize(
    "typed", [[], ["yes"], ["hearthwatch"], ["hearthwatch", "yes"], ["delete", "hearthwatch"], ["", "delete"]]
)
def test_anything_but_both_answers_deletes_nothing(tmp_path: Path, typed: list[str]) -> None:
    with Deployment(Schedules="ENABLED") as deployed:
        deployed.store_paper()
        done = teardown(deployed, tmp_path / "export", typed)

        assert done.code == 2
        assert is_there(deployed)
        assert set(deployed.schedules().values()) == {"ENABLED"}
        assert len(deployed.stored()) == 3


def test_what_is_held_keeps_the_stack(tmp_path: Path) -> None:
    with Deployment(held={TSLA: "3", NVDA: "1"}) as deployed:
        deployed.store_paper()
        done = teardown(deployed, tmp_path / "export")

        assert (done.code, is_there(deployed)) == (2, True)
        assert "held: NVDA, TSLA: nothing would watch that any more" in done.problem
        assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(("answer", "goes"), [("unprotected", True), ("yes", False)])
def test_force_asks_one_question_more(tmp_path: Path, answer: str, goes: bool) -> None:
    with Deployment(held={TSLA: "3"}) as deployed:
        deployed.store_paper()
        teardown(deployed, tmp_path / "export", [answer, *YES], "--force")

        assert is_there(deployed) is not goes


def test_a_broker_that_cannot_be_asked_counts_as_holding_something(tmp_path: Path) -> None:
    with Deployment() as deployed:
        done = teardown(deployed, tmp_path / "export")

        assert (done.code, is_there(deployed)) == (2, True)
        assert "what is held cannot be read (missing in the parameter store" in done.problem


def test_secrets_stay_unless_somebody_says_yes(tmp_path: Path) -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        done = teardown(deployed, tmp_path / "export", ["hearthwatch", "delete"])

        assert "The secrets stay." in done.out
        assert (done.code, len(deployed.stored())) == (0, 3)


def test_secrets_go_when_somebody_says_yes(tmp_path: Path) -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        values = deployed.stored().values()
        done = teardown(deployed, tmp_path / "export")

        assert "Deleted: alpaca-paper-key-id, alpaca-paper-secret, discord-webhook-url." in done.out
        assert deployed.stored() == {}
        assert not [value for value in values if value in done.out]


def test_a_folder_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Deployment() as deployed:
        deployed.store_paper()
        done = teardown(deployed, tmp_path / "file" / "export")

        assert (done.code, is_there(deployed)) == (2, True)
        assert "cannot be written" in done.problem


def test_a_schedule_that_is_gone_does_not_keep_the_stack(tmp_path: Path) -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        scheduler = deployed.cloud.client("scheduler")
        scheduler.delete_schedule(Name=deployed.cloud.physical("CheckRiskEveryMinute"))
        teardown(deployed, tmp_path / "export")

        assert not is_there(deployed)


# set up, rotate, tear down, set up again


def test_a_stack_is_set_up_rotated_taken_down_and_set_up_again_from_its_export(tmp_path: Path) -> None:
    export = tmp_path / "export"
    with Deployment(Schedules="ENABLED") as first:
        lines = [
            f"ALPACA_PAPER_KEY_ID={first.exchange.key_id}",
            f"ALPACA_PAPER_SECRET={first.exchange.secret}",
            f"DISCORD_WEBHOOK_URL={first.discord.address}",
        ]
        assert first.run("secrets", typed=lines).code == 0
        assert first.run("preflight", "--quiet").code == 0
        first.exchange.admit("PKSUCCESSOR", "simulated-successor")
        new = ["ALPACA_PAPER_KEY_ID=PKSUCCESSOR", "ALPACA_PAPER_SECRET=simulated-successor"]
        assert first.run("secrets", "--rotate", "alpaca-paper-secret", typed=new).code == 0
        first.exchange.revoke(first.exchange.key_id)
        first.ports.controls.set_kill_switch(KillSwitch(mode=SwitchMode.KILL, why="leaving"))
        assert first.run("preflight", "--quiet").code == 0
        assert teardown(first, export).code == 0
        left = {name: first.items(name) for name in TABLES}
    with Deployment() as second:
        second.ready().run("preflight", "--quiet")
        done = second.run("restore", "--from", str(export))

        assert (done.code, done.problem) == (0, "")
        assert {name: second.items(name) for name in TABLES} == left
        assert second.ports.controls.kill_switch().why == "leaving"
        assert second.run("preflight", "--quiet").code == 0


def test_a_stack_that_ticks_is_not_restored_into(tmp_path: Path) -> None:
    with Deployment(Schedules="ENABLED") as deployed:
        done = deployed.run("restore", "--from", str(tmp_path))

    assert (done.code, "ticks already" in done.problem) == (2, True)


def test_a_folder_without_an_export_is_named(tmp_path: Path) -> None:
    with Deployment() as deployed:
        done = deployed.run("restore", "--from", str(tmp_path / "nowhere"))

    assert (done.code, done.problem) == (2, f"{tmp_path / 'nowhere'}: no export is there")


def test_tables_that_hold_something_are_not_restored_into(tmp_path: Path) -> None:
    with Deployment(Schedules="ENABLED") as first:
        first.store_paper()
        teardown(first, tmp_path)
    with Deployment() as second:
        before = filled(second).items("BookTable")
        done = second.run("restore", "--from", str(tmp_path))

        assert (done.code, "holds items already" in done.problem) == (2, True)
        assert second.items("BookTable") == before


def test_what_does_not_lie_there_as_it_was_saved_is_named(tmp_path: Path) -> None:
    with Deployment() as deployed:
        aws, stores = deployed.aws, Stores(tables={"BookTable": deployed.cloud.physical("BookTable")})
        saved = export_state(aws, stores, tmp_path / "saved", taken_at=NOON)
        deployed.ports.controls.set_kill_switch(KillSwitch(mode=SwitchMode.KILL))
        found = export_state(aws, stores, tmp_path / "found", taken_at=NOON)

    require_same(saved, saved, tmp_path)
    with pytest.raises(OperatorError, match="BookTable: what lies there now is not what"):
        require_same(saved, found, tmp_path)


def test_a_damaged_export_restores_nothing(tmp_path: Path) -> None:
    with Deployment() as first:
        teardown(filled(first), tmp_path)
    next(tmp_path.glob("JournalTable.*")).write_text("{}\n", encoding="utf-8")
    with Deployment() as second:
        done = second.run("restore", "--from", str(tmp_path))

        assert (done.code, "damaged" in done.problem) == (2, True)
        assert second.items("BookTable") == []
