"""Several telemetries in one process: the one that took over writes, whichever was made first."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from local_stack.cloud.functions import Context
from shared.bootstrap.telemetry import SERVICE, RunFailed, Telemetry
from tests.fakes.house import specimen

CONTEXT = Context(
    aws_request_id="7a1c",
    function_name="check",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:check",
    memory_limit_in_mb=512,
    log_group_name="check",
    log_stream_name="one",
    deadline=0.0,
)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger(SERVICE)
    kept = (root.handlers[:], root.level, own.handlers[:], own.propagate)
    level = own.level
    yield
    own.setLevel(level)
    root.handlers[:], own.handlers[:], own.propagate = kept[0], kept[2], kept[3]
    root.setLevel(kept[1])


@pytest.mark.parametrize("which", [0, 1])
def test_the_telemetry_that_took_over_writes_under_the_ids_of_its_run(which: int) -> None:
    streams = [io.StringIO(), io.StringIO()]
    Telemetry("ERROR", io.StringIO())
    both = [Telemetry("INFO", stream) for stream in streams]
    told = both[which]
    told.take_over()

    with told.run(specimen("check_risk", "tick"), CONTEXT):  # type: ignore[arg-type]
        told.logger.info("from the function")
        logging.getLogger("shared.use_cases.check_risk").warning("from the use case")

    lines = [json.loads(line) for line in streams[which].getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["from the function", "from the use case"]
    assert {line["correlation_id"] for line in lines} == {"2026-06-10T16:03:00Z"}
    assert streams[1 - which].getvalue() == ""


def test_a_failed_run_is_told_by_whichever_took_over() -> None:
    first, second = io.StringIO(), io.StringIO()
    Telemetry("INFO", first)
    told = Telemetry("INFO", second)
    told.take_over()

    with pytest.raises(RunFailed, match="ValueError: broken"), told.run({}, CONTEXT):  # type: ignore[arg-type]
        raise ValueError("broken")

    assert json.loads(second.getvalue())["message"] == "run failed"
    assert first.getvalue() == ""
