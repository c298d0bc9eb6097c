"""The commands about money, as the operator types them against a deployed stack."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hearthwatch.commands import main
from local_stack.run.service import open_run, plan_run
from shared.bootstrap.cloud import Cloud
from shared.domain.budget import Bounds, BudgetMonth, BudgetRules, DecisionId, Denied, Envelope, Reservation
from shared.domain.calls import Call, Purpose, Rung, WorkId
from shared.domain.charges import Booked, Charge, charge_for
from shared.domain.day_plan import exchange_date
from shared.domain.intents import CycleId
from shared.domain.model_prices import DOLLAR, HAIKU, SONNET, ModelId, Usage
from shared.use_cases.record_fact import RecordFact
from tests.conftest import PROJECT
from tests.end_to_end.running import CALENDAR, settings, two_days
from tests.operator.deployment import Deployment, Done
from tests.unit.budgets import wanted

SAMPLES = Path(__file__).parents[1] / "samples" / "costs"
AUTUMN = wanted().issued_at
"""Within the dates of the prices: on the day of the deployment's own clock no model has one."""
RULES = BudgetRules()
USAGE = Usage(input=6_000, output=1_000)
COST = 22_000
DAY = date(2026, 11, 20)


@contextmanager
def deployed(**parameters: str) -> Iterator[tuple[Deployment, Cloud]]:
    given: dict[str, Any] = {"ModelPrices": "", **parameters}
    with Deployment(now=AUTUMN, **given) as deployment:
        ports = deployment.ports
        yield deployment, ports
        ports.close()


def reserve(
    ports: Cloud,
    name: str,
    *,
    model: ModelId = SONNET,
    purpose: Purpose = Purpose.DECISION,
    envelope: Envelope = Envelope.DECISIONS,
    cycle: str | None = None,
) -> Reservation:
    now = ports.clock.now()
    rung = Rung.HAIKU if model == HAIKU else Rung.SONNET
    work = WorkId(f"work-{name}")
    call = Call(
        provider="anthropic",
        model=model,
        rung=rung,
        purpose=purpose,
        work=work,
        cycle=None if cycle is None else CycleId(cycle),
    )
    held = replace(
        wanted(name, at=now, envelope=envelope),
        call=call,
        decision=DecisionId(cycle) if cycle else None,
        expires_at=now + timedelta(minutes=16),
    )
    found = ports.budgets.reserve(held, Bounds.of(RULES, envelope, edge_down=False))
    assert isinstance(found, BudgetMonth), found
    return held


def settle(
    ports: Cloud, held: Reservation, *, cost: int = COST, usage: Usage | None = USAGE, booked: Booked = Booked.SETTLED
) -> Charge:
    charge = charge_for(held, ports.clock.now(), cost=cost, booked=booked, ending="complete", usage=usage)
    standing = ports.charges.put(charge)
    ports.budgets.close(held, standing.cost)
    return standing


def a_day(ports: Cloud) -> None:
    """Two decisions, one of which climbed from Haiku to Sonnet, an article, and one call that nobody settled."""
    settle(ports, reserve(ports, "h1", model=HAIKU, cycle="cycle-1"), cost=1_100)
    settle(ports, reserve(ports, "s1", cycle="cycle-1"))
    settle(ports, reserve(ports, "s2", cycle="cycle-2"))
    settle(
        ports,
        reserve(ports, "n1", model=HAIKU, purpose=Purpose.NEWS, envelope=Envelope.NEWS),
        cost=131,
        usage=Usage(input=800, cache_read=1_000, output=100, batch=True),
    )
    reserve(ports, "open", cycle="cycle-3")


def asked(deployment: Deployment, *words: str, **given: Any) -> Done:
    return deployment.run("cost", *words, **given)


def as_json(done: Done) -> Any:
    return json.loads(done.out)


# the report


def test_the_report_shows_the_day_and_the_month_against_their_limits() -> None:
    with deployed() as (deployment, ports):
        a_day(ports)
        done = asked(deployment)

    assert (done.code, done.problem) == (0, "")
    for text in (
        "2026-11-20",
        "Decisions counted: 3 of 20. Calls reserved: 5.",
        "Allowances granted: 0 of 4.",
        "The day is open.",
        "by model",
        "by purpose",
        "by rung",
        "6,000 tokens in, 30 % more reserved, 4,096 out",
        "4 charges on record, the counters and the limits agree.",
        "Calls saved because the answer was known: 0.",
    ):
        assert text in done.out, done.out
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.strip()}
    assert rows["2026-11-20"][1:5] == ["$0.0452", "$0.0566", "$4.90", "$5.00"]
    assert rows["2026-11"][4] == "$150.00"


def test_the_report_for_programs_has_both_forms_of_every_amount() -> None:
    with deployed() as (deployment, ports):
        a_day(ports)
        found = as_json(asked(deployment, "--json"))

    spent = 1_100 + 2 * COST + 131
    assert found["limits"]["day"]["spent"] == {"dollars": "0.045231", "micros": spent}
    assert found["limits"]["day"]["reserved"]["micros"] == 56_560
    assert found["limits"]["envelopes"]["news"]["spent"]["micros"] == 131
    assert found["total"]["cost"]["micros"] == spent
    assert {by: sum(part["cost"]["micros"] for part in parts.values()) for by, parts in found["by"].items()} == {
        "model": spent,
        "provider": spent,
        "purpose": spent,
        "rung": spent,
        "day": spent,
    }
    assert found["decisions"] == {"counted": 3, "limit": 20}
    assert found["admitted"]["models"][SONNET]["whole_day"] == 88
    assert found["admitted"]["models"][HAIKU]["whole_day"] == 1_768
    assert found["admitted"]["models"][SONNET]["now"] == (5 * DOLLAR - spent - 56_560) // 56_560
    assert found["saved"]["by_batches"]["micros"] > 0
    assert found["targets"]["dearest day"] == {
        "reached": {"dollars": "0.045231", "micros": spent},
        "below": {"dollars": "5.000000", "micros": 5_000_000},
        "met": True,
    }
    assert found["disagreements"] == []
    assert "float" not in {type(value).__name__ for value in _leaves(found)}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def test_an_empty_ledger_is_a_report_too() -> None:
    with deployed() as (deployment, _):
        done = asked(deployment)

    assert done.code == 0
    assert "no model was called" in done.out
    assert "1,768" in done.out


def test_the_limits_are_those_that_the_stack_was_deployed_with() -> None:
    with deployed(BudgetDay="2", BudgetMonth="40") as (deployment, _):
        found = as_json(asked(deployment, "--json"))

    assert found["limits"]["day"]["limit"]["dollars"] == "2.000000"
    assert found["limits"]["month"]["limit"]["dollars"] == "40.000000"
    assert found["admitted"]["models"][SONNET]["whole_day"] == 35


def test_a_closed_day_says_why() -> None:
    with deployed() as (deployment, ports):
        ports.budgets.close_day(DAY, "the provider's own limit")
        done = asked(deployment)

    assert "The day is closed: the provider's own limit" in done.out
    assert "Now is none: the day is closed." in done.out


def test_another_day_and_a_whole_month_are_shown() -> None:
    with deployed() as (deployment, ports):
        settle(ports, reserve(ports, "today"))
        deployment.clock.set(deployment.clock.now() + timedelta(days=2))
        settle(ports, reserve(ports, "later", model=HAIKU), cost=1_000)
        day = as_json(asked(deployment, "--json", "--day", "2026-11-20"))
        month = as_json(asked(deployment, "--json", "--month", "2026-11"))
        other = as_json(asked(deployment, "--json", "--month", "2026-10"))

    assert (day["total"]["calls"], day["total"]["cost"]["micros"]) == (1, COST)
    assert (month["period"], month["total"]["calls"]) == ("2026-11", 2)
    assert list(month["by"]["day"]) == ["2026-11-20", "2026-11-22"]
    assert other["total"]["calls"] == 0


@pytest.mark.parametrize(
    "words", [["--month", "2026-13"], ["--day", "20.11."], ["--day", "2026-11-20", "--month", "x"]]
)
def test_what_is_no_date_is_refused(words: list[str]) -> None:
    with deployed() as (deployment, _), pytest.raises(SystemExit):
        asked(deployment, *words)


def test_a_charge_of_a_model_that_has_no_price_any_more_is_still_printed() -> None:
    with deployed() as (deployment, ports):
        settle(ports, reserve(ports, "old", model=ModelId("claude-old-1")), usage=Usage(input=5, cache_read=5))
        done = asked(deployment)

    assert done.code == 0
    assert "claude-old-1" in done.out
    assert "1 calls have no price any more to compare with." in done.out


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    with deployed() as (deployment, ports):
        settle(ports, reserve(ports, "s1", model=ModelId("claude\x1b[2J\u202e1"), cycle="c\x1b]0;x\x07"))
        done = asked(deployment)
        statements = asked(deployment, "--decisions")

    for text in (done.out, statements.out):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_counter_that_its_records_do_not_explain_ends_with_1_and_names_it() -> None:
    with deployed() as (deployment, ports):
        held = reserve(ports, "s1")
        settle(ports, held)
        ports.budgets.close(reserve(ports, "unrecorded"), 7)
        done = asked(deployment)
        statements = asked(deployment, "--decisions")

    assert done.code == statements.code == 1
    assert "month: spent and the charges on record differ by +7 micro-dollars" in done.out
    assert "DOES NOT AGREE" in statements.out


def test_known_answers_are_counted_from_the_journal() -> None:
    with deployed() as (deployment, ports):
        record, now = RecordFact(journal=ports.journal), ports.clock.now()
        record("model_asked", now, work="a", from_cache=True)
        record("model_asked", now, work="b", from_cache=False)
        record("price_seen", now, from_cache=True)
        record("model_asked", now + timedelta(hours=12), work="c", from_cache=True)
        record("model_asked", now + timedelta(hours=16), work="of the next day in New York", from_cache=True)
        found = as_json(asked(deployment, "--json"))

    assert found["saved"]["known_answers"] == 2


# statements


def test_a_decision_is_stated_with_every_call_and_its_rung() -> None:
    with deployed() as (deployment, ports):
        a_day(ports)
        done = asked(deployment, "--decision", "cycle-1")
        found = as_json(asked(deployment, "--decision", "cycle-1", "--json"))

    assert (done.code, done.problem) == (0, "")
    assert "this decision cost $0.0231; month $0.0452 of $150.00" in done.out
    assert [call["rung"] for call in found["cycle-1"]["calls"]] == ["haiku", "sonnet"]
    assert found["cycle-1"]["cost"] == {"dollars": "0.023100", "micros": 23_100}


def test_all_statements_add_up_to_the_ledger() -> None:
    with deployed() as (deployment, ports):
        a_day(ports)
        found = as_json(asked(deployment, "--decisions", "--json"))
        spent = ports.budgets.month(DAY.replace(day=1)).spent

    assert sorted(found) == ["cycle-1", "cycle-2", "work-n1"]
    assert sum(one["cost"]["micros"] for one in found.values()) == spent


def test_a_decision_without_a_charge_is_an_error() -> None:
    with deployed() as (deployment, _):
        done = asked(deployment, "--decision", "nobody")

    assert (done.code, "no charge of 'nobody' in 2026-11" in done.problem) == (2, True)


# files


def test_charges_are_exported_and_read_back_to_the_micro_dollar(tmp_path: Path) -> None:
    path = tmp_path / "charges.csv"
    with deployed() as (deployment, ports):
        a_day(ports)
        settle(ports, reserve(ports, "=1+1"))
        done = asked(deployment, "--export", str(path))
        spent = ports.budgets.month(DAY.replace(day=1)).spent

    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert (done.code, "5 charges" in done.out) == (0, True)
    assert sum(int(row["cost_micros"]) for row in rows) == spent
    assert sum(Decimal(row["cost_dollars"]) for row in rows) * DOLLAR == spent
    assert [row["id"] for row in rows if row["id"].startswith("'")] == ["'=1+1"]
    assert {row["batch"] for row in rows} == {"yes", "no"}


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with deployed() as (deployment, _):
        assert asked(deployment, "--export", str(tmp_path / "no" / "x.csv")).code == 2


def reconciled(name: str, *, calls: int) -> tuple[Done, Done]:
    with deployed() as (deployment, ports):
        for number in range(calls):
            settle(ports, reserve(ports, f"s{number}"))
        path = str(SAMPLES / name)
        return asked(deployment, "--reconcile", path), asked(deployment, "--reconcile", path, "--json")


@pytest.mark.parametrize("name", ["usage_report.json", "usage.csv", "cost_report.json"])
def test_a_report_that_counts_what_we_counted_is_fine(name: str) -> None:
    done, found = reconciled(name, calls=2)

    assert (done.code, done.problem) == (0, "")
    assert done.out == "1 of 1 days and models are the same.\n"
    assert [one["missing"] for one in as_json(found)] == [""]


@pytest.mark.parametrize("name", ["usage_report.json", "usage.csv", "cost_report.json"])
def test_a_report_that_counts_more_than_we_did_ends_with_1(name: str) -> None:
    done, found = reconciled(name, calls=1)

    assert (done.code, found.code) == (1, 1)
    assert "2026-11-20 claude-sonnet-5-5: the provider counted" in done.out
    assert "more than recorded" in as_json(found)[0]["missing"]


@pytest.mark.parametrize("name", ["usage_report.json", "usage.csv"])
def test_a_report_that_counts_less_is_shown_and_fine(name: str) -> None:
    done, _ = reconciled(name, calls=3)

    assert done.code == 0
    assert "-6,000" in done.out
    assert "the provider counted less than we booked" in done.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column for day"),
        ("{", "no JSON"),
        ("[]", "names no day"),
        ('{"data": []}', "is not a usage or cost report"),
        (
            '{"data": [{"starting_at": 5, "results": [{"model": "x"}]}], "has_more": false}',
            "is not a usage or cost report",
        ),
        ('{"data": [], "has_more": true}', "more pages follow"),
        (
            '{"data": [{"starting_at": "2026-11-20T00:00:00Z", "results": [{"model": "x"}]}], "has_more": false}',
            "KeyError",
        ),
        (
            '{"data": [{"starting_at": "2026-11-20T00:00:00Z", "results": '
            '[{"model": "x", "uncached_input_tokens": 1.5, "output_tokens": 1}]}], "has_more": false}',
            "no number of tokens",
        ),
        (
            '{"data": [{"starting_at": "2026-11-20T00:00:00Z", "results": '
            '[{"model": null, "uncached_input_tokens": 1, "output_tokens": 1}]}], "has_more": false}',
            "group the report by model",
        ),
        ("day,model,input,output\n2026-11-20,x,1,-1\n", "line 2"),
        ("day,model,input,output\n2026-11-20,x,38a75,1\n", "line 2: '38a75' is no number of tokens"),
        (f"day,model,input,output\n{'x' * 200_000}\n", "field larger than"),
        ("day,model,input,output\nyesterday,x,1,1\n", "line 2"),
        ("day,model,input,output\n2026-01-20,x,1,1\n2026-11-20,x,1,1\n", "more than 100 days"),
    ],
)
def test_a_report_that_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "report"
    path.write_text(text)
    with deployed() as (deployment, _):
        done = asked(deployment, "--reconcile", str(path))

    assert (done.code, done.out) == (2, "")
    assert said in done.problem


def test_a_report_that_is_not_there_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xcf\x00")
    with deployed() as (deployment, _):
        missing, unreadable = (asked(deployment, "--reconcile", str(path)) for path in (tmp_path / "none", binary))

    assert missing.problem == f"{tmp_path / 'none'} cannot be read: No such file or directory"
    assert unreadable.problem == f"{binary} cannot be read: it is not text in UTF-8"


# allowances


def test_a_grant_shows_the_day_asks_once_and_prints_an_id_that_serves_once() -> None:
    with deployed() as (deployment, ports):
        a_day(ports)
        done = deployment.run("grant", "--why", "earnings night", typed=["y"])
        month = ports.budgets.month(DAY.replace(day=1))
        grant = next(iter(month.grants.values()))

        assert (done.code, done.problem, done.out.count("?")) == (0, "", 1)
        assert "Today: $0.0452 spent, $0.0566 reserved, $4.90 left of $5.00." in done.out
        assert f"Granted: {grant.id}\n" in done.out
        assert f"`ask --grant {grant.id}`" in done.out
        assert grant.id.startswith("20261120-")
        assert (grant.amount, grant.day, grant.used) == (DOLLAR, DAY, False)
        assert b"earnings night" in _journal(deployment)
        held = replace(wanted("by-grant", at=ports.clock.now()), grant=grant.id)
        bounds = Bounds.of(RULES, held.envelope, edge_down=False)
        assert isinstance(ports.budgets.reserve(held, bounds), BudgetMonth)
        assert isinstance(ports.budgets.reserve(replace(held, id=held.id + "2"), bounds), Denied)  # type: ignore[arg-type]


def _journal(deployment: Deployment) -> bytes:
    return json.dumps(deployment.items("JournalTable")).encode()


def test_a_grant_that_nobody_agrees_to_grants_nothing() -> None:
    with deployed() as (deployment, ports):
        for lines in ([], ["n"], ["grant"]):
            done = deployment.run("grant", "--why", "x", typed=lines)
            assert (done.code, "nothing was changed" in done.problem) == (2, True)
        assert ports.budgets.month(DAY.replace(day=1)).grants == {}


@pytest.mark.parametrize("why", ["", "  ", "a\nb", "x" * 401])
def test_a_grant_wants_a_reason(why: str) -> None:
    with deployed() as (deployment, ports):
        done = deployment.run("grant", "--why", why, "--yes")

        assert (done.code, "a reason is needed" in done.problem) == (2, True)
        assert ports.budgets.month(DAY.replace(day=1)).grants == {}


def test_a_fifth_grant_of_a_day_is_refused() -> None:
    with deployed() as (deployment, ports):
        for _ in range(4):
            assert deployment.run("grant", "--why", "x", "--yes").code == 0
        done = deployment.run("grant", "--why", "x", "--yes")

        assert (done.code, done.problem) == (2, "not granted: as many as a day may have were granted already")
        assert "Granted today: 4 of 4, $4.00 of today's limit are for these calls alone." in done.out
        report = asked(deployment).out
        assert "granted: 4 of 4, 0 used; $4.00 of the day's limit are for these calls alone." in report
        assert len(ports.budgets.month(DAY.replace(day=1)).grants) == 4
        assert as_json(asked(deployment, "--json"))["limits"]["day"]["limit"]["dollars"] == "9.000000"


def test_a_grant_on_a_closed_day_says_that_it_will_not_help() -> None:
    with deployed() as (deployment, ports):
        ports.budgets.close_day(DAY, "spend limit")
        done = deployment.run("grant", "--why", "x", typed=["n"])

    assert "The day is closed (spend limit): nothing is asked on it, allowed or not.\n" in done.out


def test_a_grant_beyond_the_month_is_refused() -> None:
    with deployed(BudgetMonth="0.50") as (deployment, _):
        done = deployment.run("grant", "--why", "x", "--yes")

    assert "the month has no money left for it" in done.problem


# releases


def test_open_reservations_are_listed() -> None:
    with deployed() as (deployment, ports):
        assert deployment.run("release", "--list").out == "Nothing is reserved.\n"
        reserve(ports, "lost", cycle="cycle-9")
        done = deployment.run("release", "--list")

    assert done.code == 0
    assert "lost" in done.out
    assert "$0.0566" in done.out


def test_a_released_reservation_counts_as_nothing_and_says_who_released_it() -> None:
    with deployed() as (deployment, ports):
        reserve(ports, "lost")
        deployment.clock.set(deployment.clock.now() + timedelta(minutes=2))
        done = deployment.run("release", "lost", "--why", "not in their report", typed=["y"])
        month = ports.budgets.month(DAY.replace(day=1))
        charge = ports.charges.of_day(DAY)[0]

        assert (done.code, done.problem) == (0, "")
        assert "Released: $0.0566 may be spent again." in done.out
        assert (month.committed, month.open) == (0, {})
        assert (charge.cost, charge.booked, "not in their report" in charge.note) == (0, Booked.RELEASED, True)
        assert asked(deployment).code == 0


def test_a_release_that_nobody_agrees_to_releases_nothing() -> None:
    with deployed() as (deployment, ports):
        reserve(ports, "lost")
        deployment.clock.set(deployment.clock.now() + timedelta(minutes=2))
        done = deployment.run("release", "lost", "--why", "x", typed=["n"])

        assert done.code == 2
        assert len(ports.budgets.month(DAY.replace(day=1)).open) == 1


def test_a_call_that_may_be_under_way_is_not_released() -> None:
    with deployed() as (deployment, ports):
        reserve(ports, "running")
        done = deployment.run("release", "running", "--why", "x", "--yes")

        assert (done.code, "whose call is over" in done.problem) == (2, True)
        assert len(ports.budgets.month(DAY.replace(day=1)).open) == 1


def test_a_release_of_nothing_and_one_without_a_reason_are_refused() -> None:
    with deployed() as (deployment, ports):
        reserve(ports, "lost")
        for words, said in (
            (["release"], "--list"),
            (["release", "other", "--why", "x", "--yes"], "no reservation 'other' is open"),
            (["release", "lost", "--yes"], "a reason is needed"),
        ):
            done = deployment.run(*words)
            assert (done.code, said in done.problem) == (2, True), done


def test_what_was_settled_meanwhile_keeps_its_charge() -> None:
    with deployed() as (deployment, ports):
        held = reserve(ports, "lost")
        ports.charges.put(charge_for(held, ports.clock.now(), cost=COST, booked=Booked.SETTLED, ending="complete"))
        deployment.clock.set(deployment.clock.now() + timedelta(minutes=2))
        done = deployment.run("release", "lost", "--why", "x", "--yes")

        assert (done.code, "settled meanwhile at $0.0220" in done.out) == (1, True)
        assert ports.budgets.month(DAY.replace(day=1)).spent == COST


def test_the_day_is_the_one_in_new_york() -> None:
    with deployed() as (deployment, _):
        deployment.clock.set(deployment.clock.now().replace(day=21, hour=3))

        assert exchange_date(deployment.clock.now()) == DAY
        assert as_json(asked(deployment, "--json"))["day"] == "2026-11-20"


# the run on this machine


def test_the_commands_go_into_the_run_on_this_machine(tmp_path: Path) -> None:
    with open_run(plan_run(settings(two_days(), tmp_path)), CALENDAR):
        granted = in_the_run(tmp_path, "grant", "--why", "a try", "--yes")
        report = in_the_run(tmp_path, "cost", "--json")
        listed = in_the_run(tmp_path, "release", "--list")

    assert (granted.returncode, granted.stderr) == (0, "")
    found = json.loads(report.stdout)
    assert [grant["id"] in granted.stdout for grant in found["grants"]] == [True]
    assert (found["day"], found["limits"]["day"]["limit"]["dollars"]) == ("2026-03-02", "6.000000")
    assert (listed.returncode, listed.stdout) == (0, "Nothing is reserved.\n")


def in_the_run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hearthwatch", *words, "--local", "--folder", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_commands_end_with_2_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["cost"], ["grant", "--why", "x", "--yes"], ["release", "--list"]):
        assert main([*words, "--local", "--folder", str(tmp_path)]) == 2
        assert "no run goes on in" in capsys.readouterr().err
