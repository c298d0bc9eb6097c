"""A function as Lambda starts it: what the Runtime API says, and a process that sees what it was given and no more."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import time
from typing import Any

import pytest

from local_stack.runtime.api import Done, Failure, Lost, Offer, Ready, RuntimeApi
from local_stack.runtime.brought import bring
from local_stack.runtime.process import FunctionProcess, Launch

ARN = "arn:aws:lambda:us-east-1:000000000001:function:bell"
NEXT = "/2018-06-01/runtime/invocation/next"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as api:
        yield api


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bring(tmp_path_factory.mktemp("lambda") / "brought")


@pytest.fixture
def launch(tmp_path: Path, brought: Path) -> Launch:
    """Start nothing yet: an artefact whose one handler each test writes."""
    (tmp_path / "artefact").mkdir()
    return Launch(
        handler="bell.handler",
        arn=ARN,
        timeout=timedelta(seconds=30),
        path=[tmp_path / "artefact", brought],
        environment={"BELL": "ring", "AWS_LAMBDA_FUNCTION_NAME": "bell"},
    )


def written(launch: Launch, *lines: str) -> FunctionProcess:
    artefact = launch.path[0]
    (artefact / "bell.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return FunctionProcess(launch, artefact.parent)


def answering(launch: Launch, expression: str, *lines: str) -> FunctionProcess:
    return written(launch, *lines, "def handler(event, context):", f"    return {expression}")


def asked(api: RuntimeApi, method: str, path: str, body: object = None) -> tuple[int, dict[str, str], Any]:
    connection = HTTPConnection(api.address, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), json.loads(response.read())
    finally:
        connection.close()


def offer(request_id: str, event: object) -> Offer:
    return Offer(request_id=request_id, arn=ARN, deadline_ms=1_780_000_000_000, event=event)


# the protocol


def test_an_event_comes_with_its_id_its_deadline_and_the_function_it_is_for(api: RuntimeApi) -> None:
    api.offer(offer("first", {"bell": 1}))
    status, headers, event = asked(api, "GET", NEXT)
    assert (status, event) == (200, {"bell": 1})
    assert headers["Lambda-Runtime-Aws-Request-Id"] == "first"
    assert headers["Lambda-Runtime-Deadline-Ms"] == "1780000000000"
    assert headers["Lambda-Runtime-Invoked-Function-Arn"] == ARN


def test_the_first_request_for_an_event_says_that_the_function_is_loaded_and_later_ones_do_not(api: RuntimeApi) -> None:
    for number in (1, 2):
        api.offer(offer(str(number), number))
        asked(api, "GET", NEXT)
        assert asked(api, "POST", f"/2018-06-01/runtime/invocation/{number}/response", -number)[0] == 202
    reports = [api.reports.get_nowait() for _ in range(api.reports.qsize())]
    assert reports == [Ready(), Done(request_id="1", answer=-1), Done(request_id="2", answer=-2)]


def test_a_failed_run_is_reported_with_its_type_and_message(api: RuntimeApi) -> None:
    api.offer(offer("first", {}))
    asked(api, "GET", NEXT)
    trouble = {"errorType": "ValueError", "errorMessage": "no bell", "stackTrace": []}
    assert asked(api, "POST", "/2018-06-01/runtime/invocation/first/error", trouble)[0] == 202
    assert api.reports.get_nowait() == Ready()
    failure = Failure(kind="ValueError", message="no bell")
    assert api.reports.get_nowait() == Done(request_id="first", failure=failure)


def test_a_function_that_cannot_be_loaded_is_reported(api: RuntimeApi) -> None:
    trouble = {"errorType": "Runtime.ImportModuleError", "errorMessage": "No module named 'bell'"}
    assert asked(api, "POST", "/2018-06-01/runtime/init/error", trouble)[0] == 202
    failure = Failure(kind="Runtime.ImportModuleError", message="No module named 'bell'")
    assert api.reports.get_nowait() == Lost(failure=failure)


@pytest.mark.parametrize("what", ["response", "error"])
def test_the_end_of_a_run_that_is_not_under_way_is_refused(api: RuntimeApi, what: str) -> None:
    api.offer(offer("first", {}))
    asked(api, "GET", NEXT)
    for request_id, status in (("another", 400), ("first", 202), ("first", 400)):
        assert asked(api, "POST", f"/2018-06-01/runtime/invocation/{request_id}/{what}", {})[0] == status
    assert api.reports.qsize() == 2


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", NEXT), ("POST", "/2018-06-01/runtime/restore/next")]
)
def test_another_path_is_not_found(api: RuntimeApi, method: str, path: str) -> None:
    assert asked(api, method, path, {} if method == "POST" else None)[0] == 404


def test_who_waits_for_an_event_is_let_go_when_there_will_be_none() -> None:
    answers: list[int] = []
    with RuntimeApi() as api:
        waiting = Thread(target=lambda: answers.append(asked(api, "GET", NEXT)[0]))
        waiting.start()
        assert api.reports.get(timeout=10) == Ready()
    waiting.join(10)
    assert answers == [410]


# the process


def test_one_process_handles_one_event_after_the_other_under_the_ids_it_was_given(launch: Launch) -> None:
    answer = "[event['n'], len(seen.append(0) or seen), context.aws_request_id, context.invoked_function_arn]"
    with answering(launch, answer, "seen = []") as process:
        assert process.cold_start is not None
        assert process.invoke({"n": 7}, "first").answer == [7, 1, "first", ARN]
        assert process.invoke({"n": 8}, "second").answer == [8, 2, "second", ARN]


def test_the_function_knows_how_long_it_may_take(launch: Launch) -> None:
    with answering(launch, "context.get_remaining_time_in_millis()") as process:
        assert 0 < process.invoke({}, "first").answer <= 30_000


def test_a_handler_that_raises_is_reported_and_the_process_goes_on(launch: Launch) -> None:
    lines = ("def handler(event, context):", "    if event == 'bad': raise LookupError('no bell')", "    return 'fine'")
    with written(launch, *lines) as process:
        assert process.invoke("bad", "first").failure == Failure(kind="LookupError", message="no bell")
        assert process.invoke("good", "second") == Done(request_id="second", answer="fine")


@pytest.mark.parametrize(
    ("lines", "kind", "words"),
    [
        (("import moto",), "Runtime.ImportModuleError", "No module named 'moto'"),
        (("import shared",), "Runtime.ImportModuleError", "No module named 'shared'"),
        (("import awscrt",), "Runtime.ImportModuleError", "No module named 'awscrt'"),
        (("raise RuntimeError('BELL_URL is not set')",), "RuntimeError", "BELL_URL is not set"),
        (("def handler(",), "Runtime.UserCodeSyntaxError", "Syntax error in module 'bell'"),
        (("ring = 1",), "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'bell'"),
        (("import os", "os._exit(3)"), "Runtime.ExitError", "exit status 3"),
    ],
)
def test_a_function_that_does_not_load_says_why(launch: Launch, lines: tuple[str, ...], kind: str, words: str) -> None:
    with written(launch, *lines) as process:
        assert process.cold_start is None
        assert process.failure is not None
        assert process.failure.kind == kind
        assert words in process.failure.message
        assert process.invoke({}, "first").failure == process.failure


def test_a_process_that_ends_in_the_middle_fails_the_run(launch: Launch) -> None:
    with answering(launch, "os._exit(4)", "import os") as process:
        failure = Failure(kind="Runtime.ExitError", message="Runtime exited with error: exit status 4")
        assert process.invoke({}, "first") == Done(request_id="first", failure=failure)
        assert process.invoke({}, "second") == Done(request_id="second", failure=failure)


def test_a_run_that_takes_too_long_fails(launch: Launch) -> None:
    quick = replace(launch, timeout=timedelta(milliseconds=50))
    with answering(quick, "Event().wait()", "from threading import Event") as process:
        failure = process.invoke({}, "first").failure
        assert failure is not None
        assert failure.kind == "Sandbox.Timedout"


def test_nothing_of_this_environment_is_on_the_search_path(launch: Launch) -> None:
    with answering(launch, "sys.path", "import sys") as process:
        path = process.invoke({}, "first").answer
    given, standard = [str(entry) for entry in launch.path], str(Path(sysconfig.get_path("stdlib")).parent)
    assert path[:2] == given
    assert path[2:]
    assert all(entry.startswith(standard) and "site-packages" not in entry for entry in path[2:])


def test_only_the_given_variables_and_those_of_lambda_are_set(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEARTHWATCH_BOOK_TABLE", "leaked")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with answering(launch, "dict(os.environ)", "import os") as process:
        found = process.invoke({}, "first").answer
    assert found["BELL"] == "ring"
    assert set(found) - {"BELL", "AWS_LAMBDA_FUNCTION_NAME", "LC_CTYPE", "_X_AMZN_TRACE_ID"} == {
        "AWS_LAMBDA_RUNTIME_API",
        "HOME",
        "LAMBDA_TASK_ROOT",
        "LANG",
        "PATH",
        "TZ",
        "_HANDLER",
    }
    assert not Path(found["HOME"]).exists()


def test_what_the_function_writes_is_kept(launch: Launch) -> None:
    with answering(launch, "print('ding')") as process:
        process.invoke({}, "first")
        assert "ding" in process.log


def test_the_runtime_brings_boto3_from_its_own_folder(launch: Launch, brought: Path) -> None:
    with answering(launch, "boto3.__file__", "import boto3") as process:
        assert process.invoke({}, "first").answer == str(brought / "boto3" / "__init__.py")


@pytest.mark.parametrize("instant", [datetime(2026, 6, 10, 16, 3, tzinfo=UTC), None])
def test_the_system_clock_stands_where_it_is_told_and_else_runs(launch: Launch, instant: datetime | None) -> None:
    clock = launch.path[0] / "shared" / "adapters" / "system_clock"
    clock.mkdir(parents=True)
    for folder in (clock, clock.parent, clock.parent.parent):
        (folder / "__init__.py").touch()
    lines = ("from datetime import UTC, datetime", "class SystemClock:", "    def now(self): return datetime.now(UTC)")
    (clock / "clock.py").write_text("\n".join(lines), encoding="utf-8")
    told = replace(launch, now=instant)
    line = "from shared.adapters.system_clock.clock import SystemClock"
    with answering(told, "SystemClock().now().isoformat()", line) as process:
        now = datetime.fromisoformat(process.invoke({}, "first").answer)
    assert now == instant if instant else now.timestamp() == pytest.approx(time(), abs=600)


def test_the_interpreter_is_this_one(launch: Launch) -> None:
    with answering(launch, "list(sys.version_info[:3])", "import sys") as process:
        assert process.invoke({}, "first").answer == list(sys.version_info[:3])
