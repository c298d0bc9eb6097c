"""Finding a deployed stack, and one line for everything that keeps it from being found."""

from __future__ import annotations

import os
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config

from hearthwatch.operator.aws import OperatorAws, OperatorError, asking
from hearthwatch.operator.stack import COMPLETE, DEAD_LETTERS, LOGS, SCHEDULES, TABLES, find_stack
from shared.domain.errors import Unavailable
from tests.architecture.deployment import FUNCTION, TABLE, deployed
from tests.conftest import PROJECT
from tests.fakes.scripted_http import ScriptedServer, reply
from tests.operator.deployment import Deployment

COMMANDS = ("secrets", "preflight", "mode", "kill", "freeze", "flatten", "clear", "teardown", "restore")
QUICK = Config(retries={"total_max_attempts": 1})
OTHER = "<CreationTime>2026-03-02T00:00:00Z</CreationTime>"


def described(status: str) -> bytes:
    return (
        '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>'
        f"<Stacks><member><StackName>hearthwatch</StackName><StackId>arn</StackId>{OTHER}"
        f"<StackStatus>{status}</StackStatus></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    ).encode()


def refusal(code: str, message: str = "no") -> bytes:
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>".encode()


def aws_at(url: str) -> OperatorAws:
    aws = OperatorAws(
        boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name="eu-west-1"),
        endpoint_url=url,
    )
    aws.__dict__["cloudformation"] = aws._session.client("cloudformation", config=QUICK, endpoint_url=url)
    return aws


def problem_of(status: int, body: bytes) -> str:
    with ScriptedServer(reply(status, body, Content_Type="text/xml")) as server, pytest.raises(OperatorError) as caught:
        find_stack(aws_at(server.url), "hearthwatch")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def hearthwatch(*words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEARTHWATCH_"))}
    nowhere = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    return subprocess.run(
        [sys.executable, "-m", "hearthwatch", *words],
        cwd=PROJECT,
        env={**clean, **nowhere, **environment},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# the stack


def test_the_names_are_those_of_the_template() -> None:
    template = deployed()
    assert template.of_type(TABLE) == TABLES
    assert set(SCHEDULES) == set(template.of_type("AWS::Scheduler::Schedule"))
    assert set(SCHEDULES.values()) == set(template.of_type(FUNCTION))
    assert set(LOGS) == set(template.of_type("AWS::Logs::LogGroup"))
    assert {*DEAD_LETTERS, *DEAD_LETTERS.values(), "FailedRuns"} == set(template.of_type("AWS::SQS::Queue"))


def test_a_stack_gives_what_every_function_sees() -> None:
    with Deployment() as served:
        stack = find_stack(served.aws, "hearthwatch")
        for function in served.cloud.functions.values():
            settings = {name: text for name, text in function.environment.items() if name.startswith("HEARTHWATCH_")}
            assert settings == stack.environment


def test_a_stack_that_is_not_there_is_named_with_its_region() -> None:
    with Deployment() as served:
        done = served.run("mode", "--stack", "elsewhere")

    assert done.code == 2
    assert done.problem.startswith("no stack 'elsewhere' in us-east-1: deploy it with `make deploy`")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("UPDATE_IN_PROGRESS", "is being changed (UPDATE_IN_PROGRESS): wait"),
        ("ROLLBACK_COMPLETE", "is not complete (ROLLBACK_COMPLETE)"),
        ("DELETE_FAILED", "is not complete (DELETE_FAILED)"),
        ("CREATE_COMPLETE", "does not name AlertsDeadLetters, AlertsQueue"),
    ],
)
def test_a_stack_that_cannot_be_used_says_why(status: str, said: str) -> None:
    assert said in problem_of(200, described(status))


def test_no_status_of_a_stack_that_changes_counts_as_complete() -> None:
    assert not [status for status in COMPLETE if "IN_PROGRESS" in status or "FAILED" in status]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("InvalidClientTokenId", "AWS does not take these credentials (InvalidClientTokenId): renew them"),
        ("ExpiredToken", "AWS does not take these credentials (ExpiredToken)"),
        ("SignatureDoesNotMatch", "see that this machine's clock is right"),
        ("AccessDenied", "these credentials may not do DescribeStacks (AccessDenied)"),
        ("Throttling", "AWS answered Throttling to DescribeStacks"),
    ],
)
def test_what_aws_refuses_is_said_with_what_to_do(code: str, said: str) -> None:
    assert said in problem_of(403, refusal(code, "quoting arn:aws:secret"))
    assert "quoting" not in problem_of(403, refusal(code, "quoting arn:aws:secret"))


def test_an_aws_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(OperatorError, match=r"no answer from AWS \(EndpointConnectionError\): check the region"):
        find_stack(aws_at("http://127.0.0.1:9"), "hearthwatch")


def test_what_a_later_try_may_mend_is_one_line_too() -> None:
    with pytest.raises(OperatorError, match=r"^the Book: not now$"), asking("the Book"):
        raise Unavailable("not now")


# the command line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = hearthwatch(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m hearthwatch {command}")
    assert "--stack" in done.stdout


def test_help_lists_every_command() -> None:
    listed = hearthwatch("--help").stdout
    assert all(f"    {command}" in listed for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mode", "live-9"), "'live-9' is not a stage, expected one of paper, live-1"),
        (("restore",), "--from"),
        (("secrets", "--value", "x"), "--value"),
        (("preflight", "now"), "now"),
    ],
)
def test_words_that_cannot_be_used_are_one_line(words: tuple[str, ...], said: str) -> None:
    done = hearthwatch(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hearthwatch: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "no region: set AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "no credentials of AWS: run `aws configure`, or set AWS_PROFILE"),
        ({"AWS_DEFAULT_REGION": "us-east-1", "AWS_PROFILE": "nobody"}, "no credentials of AWS"),
    ],
)
def test_a_machine_without_credentials_or_region_is_told_in_one_line(environment: dict[str, str], said: str) -> None:
    done = hearthwatch("preflight", **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hearthwatch: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_secrets_are_piped_into_the_program_and_never_shown() -> None:
    with Deployment() as served:
        environment = {
            **served.environment,
            "AWS_ACCESS_KEY_ID": "LOCALOWNER",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": served.cloud.url,
        }
        lines = f"ALPACA_PAPER_KEY_ID={served.exchange.key_id}\nALPACA_PAPER_SECRET={served.exchange.secret}\n"
        done = hearthwatch("secrets", given=lines, **environment)
        listed = hearthwatch("secrets", "--list", **environment)

        assert (done.returncode, done.stderr, len(served.stored())) == (0, "", 2)
        shown = done.stdout + listed.stdout
        assert "/hearthwatch/alpaca-paper-secret" in listed.stdout
        assert not [value for value in served.stored().values() if value in shown]
