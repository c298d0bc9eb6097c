"""Secrets: missing, rotated while the system runs, and thrown through every error path (SEC-01, fault 41)."""

from __future__ import annotations

import json
import logging
import traceback
from base64 import b64encode
from typing import NoReturn
from urllib.parse import quote, quote_plus

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session
from pydantic import SecretStr

from local_stack.cloud.asynchronous import AsynchronousRuns
from local_stack.cloud.functions import Functions, Invocation
from local_stack.exchange.gate import Misbehaviour
from shared.adapters.aws.parameters import SsmParameters
from shared.bootstrap.redaction import MARK
from shared.domain.errors import Unavailable
from tests.fakes.discord import PATH, TOKEN, DiscordDouble
from tests.fakes.house import FUNCTIONS, MINUTE, NVDA, TSLA, House, before_the_fall, specimen
from tests.fakes.log_lines import log_lines
from tests.fakes.scripted_http import reply

KEY = "PKQ7Z2X4M9T1BB3"
SECRET = "s3cr3t/with+signs=and%percent"
PAPER = {"alpaca-paper-key-id": KEY, "alpaca-paper-secret": SECRET}
NEEDS_BROKER = ("prepare_session", "reconcile_orders", "poll_prices", "check_risk", "place_orders")
FORMS = (
    KEY,
    SECRET,
    quote(SECRET, safe=""),
    quote(SECRET),
    quote_plus(SECRET),
    b64encode(f"{KEY}:{SECRET}".encode()).decode().rstrip("="),
    TOKEN,
    PATH,
)
QUEUES = (
    "AlertsQueue", "AlertsDeadLetters", "DoorbellQueue", "DoorbellDeadLetters", "CyclesQueue", "CyclesDeadLetters",
    "FailedRuns",
)  # fmt: skip


def store(house: House, **secrets: str) -> None:
    parameters = SsmParameters(house.cloud.client("ssm"), "/hearthwatch")
    for name, value in secrets.items():
        parameters.put(name, SecretStr(value))


def change_keys(house: House) -> None:
    """Let the broker take new keys beside the old ones, store them, and take the old ones away."""
    house.exchange.admit(KEY, SECRET)
    store(house, **PAPER)
    house.exchange.revoke(house.exchange.key_id)


@pytest.mark.usefixtures("quiet")
def test_missing_secret_stops_every_function_that_needs_it_by_name() -> None:
    """Fault 41: the name and what to do, never a value; functions that need no keys go on."""
    with House() as house:
        house.trade({TSLA: "321.50", NVDA: "187.00"})
        for name in PAPER:
            house.cloud.client("ssm").delete_parameter(Name=f"/hearthwatch/{name}")
            for function in NEEDS_BROKER:
                (run,) = house.run_at_once(function, [house.tick_event()])
                assert f"/hearthwatch/{name}" in str(run.error), function
                assert "make secrets" in str(run.error)
                assert house.exchange.secret not in str(run.error)
            for function in ("route_alerts", "archive_prices"):
                assert house.try_tick(function).error is None
            store(house, **{"alpaca-paper-key-id": house.exchange.key_id, "alpaca-paper-secret": house.exchange.secret})
        assert len(house.exchange.seen) == 0
        for function in NEEDS_BROKER:
            (run,) = house.run_at_once(function, [house.tick_event()])
            assert run.error is None


@pytest.mark.usefixtures("quiet")
def test_keys_rotated_between_two_minutes_cost_no_tick_and_double_no_order() -> None:
    """SEC-01: both pairs are taken for a while; then the old one is refused, and each warm function finds the new."""
    with House() as house:
        before_the_fall(house)
        change_keys(house)

        runs = [*house.go_on({TSLA: "295.50", NVDA: "187.10"}), *house.go_on()]

        assert [run.error for run in runs] == [None] * len(runs)
        assert [problem for run in runs for problem in run.answer["problems"]] == []
        assert house.owner.positions.all() == []
        assert len(house.exchange.exchange.orders()) == 1


class Boom:
    """A use case that fails as badly as it can: with secrets in its text, its cause, its notes and its arguments."""

    def __call__(self, *_: object) -> NoReturn:
        log = logging.getLogger("shared.use_cases.boom")
        log.warning("asked with %s and %r", KEY, {"secret": SECRET}, extra={"url": PATH, "raw": SECRET.encode()})
        log.info("never formatted %d", SECRET)
        try:
            raise KeyError(f"header {SECRET} at {PATH}")
        except KeyError as cause:
            error = RuntimeError(f"{KEY}:{SECRET}", {"token": TOKEN}, quote(SECRET, safe=""))
            error.add_note(b64encode(f"{KEY}:{SECRET}".encode()).decode())
            raise error from cause

    sweep = is_due = __call__


def lost(self: object, request: object) -> NoReturn:
    raise EndpointConnectionError(endpoint_url=f"https://{KEY}:{SECRET}@127.0.0.1{PATH}", error=Unavailable(SECRET))


def test_no_secret_appears_in_any_output_whatever_goes_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 41 and I13: thrown through each adapter, each handler, batches, retries and dead letters, then looked for.

    Every place that must be clean is shown to have been reached: the mark stands where the secret would.
    """
    rude = reply(500, {"message": f"no route to {PATH}", "code": 1})
    runs: list[Invocation] = []
    with House(discord=DiscordDouble(rude)) as house, log_lines() as log:
        change_keys(house)
        before_the_fall(house)
        runs += each_function(house)  # every process has read its secrets

        house.exchange.misbehave(Misbehaviour.KEYS_QUOTED, method="POST")
        runs += house.go_on({TSLA: "295.50", NVDA: "187.10"})
        house.exchange.misbehave(Misbehaviour.KEYS_QUOTED, times=1_000)
        runs += each_function(house)
        runs += house.pump()
        house.exchange.behave()

        monkeypatch.setattr(URLLib3Session, "send", lost)
        runs += each_function(house)
        runs += [house.run("route_alerts", specimen("route_alerts", "stop_triggered"))]
        monkeypatch.undo()

        for _ in range(8):  # until Discord's messages are dead letters and the refused exit is let go
            runs += house.go_on()
        runs += broken_handlers(house)

        outputs = {
            "log": log.text,
            "printed": "".join(capsys.readouterr()),
            "runs": "\n".join(told_by(run) for run in runs),
            **written_by(house),
        }

    found = {place: [form for form in FORMS if form in text] for place, text in outputs.items()}
    assert {place: forms for place, forms in found.items() if forms} == {}
    for place in ("log", "runs", "Discord", "mail", "BookTable", "JournalTable", "AlertsDeadLetters", "FailedRuns"):
        assert MARK in outputs[place].replace("\\", ""), place  # Discord's form escapes it


def each_function(house: House) -> list[Invocation]:
    return [house.try_tick(function) for function in FUNCTIONS]


def broken_handlers(house: House) -> list[Invocation]:
    """Run each handler on a use case that throws secrets, as a tick with its retries and as a batch."""
    broken = Functions(house.cloud, lambda _: Boom())
    late = AsynchronousRuns(broken)
    runs = [late.run(name, house.tick_event()) for name in FUNCTIONS.values()]
    for _ in range(3):
        house.clock.set(house.clock.now() + 2 * MINUTE)
        runs += late.run_due()
    for function, situation in (("place_orders", "rings_at_once"), ("route_alerts", "stop_triggered")):
        runs.append(broken.invoke(FUNCTIONS[function], specimen(function, situation)))
    runs.append(house.run("check_risk", {"version": SECRET, KEY: PATH}))
    return runs


def told_by(run: Invocation) -> str:
    """Give everything that a caller can see of a run."""
    shown = [repr(run.answer), json.dumps(run.error_payload(), default=str)]
    if run.error is not None:
        shown += [repr(run.error), *traceback.format_exception(run.error)]
    return "\n".join(shown)


def written_by(house: House) -> dict[str, str]:
    """Give everything that is stored or was sent."""
    dynamodb, s3 = house.cloud.client("dynamodb"), house.cloud.client("s3")
    tables = {
        name: json.dumps(dynamodb.scan(TableName=house.cloud.physical(name))["Items"])
        for name in ("BookTable", "PricesTable", "JournalTable")
    }
    bucket = house.cloud.physical("ArchiveBucket")
    objects = [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in house.archived()]
    return {
        **tables,
        **{queue: "\n".join(house.waiting(queue)) for queue in QUEUES},
        "archive": "\n".join(objects),
        "Discord": "\n".join(json.dumps(body) for body in house.discord.posted),
        "mail": "\n".join(f"{mail.subject}\n{mail.body}" for mail in house.cloud.sent_mail()),
    }
