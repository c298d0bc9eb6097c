"""A built function as a process of its own, under the real `awslambdaric`.

It sees its artefact, its layers, what Lambda brings and the standard library: no environment variable, package or file
of ours comes along by itself, so what is missing here is missing at AWS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty
from time import monotonic, time_ns
from types import TracebackType
from typing import Any, Final, Self

from local_stack.runtime import launch
from local_stack.runtime.api import Done, Failure, Lost, Offer, Report, RuntimeApi
from shared.domain.times import iso

INTERPRETER: Final = (sys.executable, "-I", "-S", "-B")
"""No variables, no packages of the environment, and nothing written beside the code."""
LOAD_SECONDS: Final = 60.0
"""Lambda waits ten; this machine may be busy with other things."""
LOOK_SECONDS: Final = 0.05
STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a process is started with; `now` is where its clock stands, None lets it run."""

    handler: str
    arn: str
    timeout: timedelta
    path: Sequence[Path]
    environment: Mapping[str, str]
    now: datetime | None = None


class FunctionProcess:
    """One process of one function; `folder` is empty, and takes the process's log."""

    def __init__(self, launch_with: Launch, folder: Path) -> None:
        self._with = launch_with
        self._folder = folder
        self._api = RuntimeApi()
        self._process: subprocess.Popen[bytes] | None = None
        self.cold_start: timedelta | None = None
        self.failure: Failure | None = None

    def __enter__(self) -> Self:
        """Start the process, and wait until it is loaded or has `failure` to say why not."""
        self._api.__enter__()
        began = monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- this interpreter on our own script
                [*INTERPRETER, launch.__file__, self._search_path(), self._with.handler],
                cwd=self._with.path[0],
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        report = self._report(LOAD_SECONDS)
        if isinstance(report, Lost):
            self.failure = report.failure
        else:
            self.cold_start = timedelta(seconds=monotonic() - began)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._process is not None:
            self._end(self._process)
        self._api.__exit__(kind, error, trace)

    def invoke(self, event: Any, request_id: str) -> Done:
        """Deliver an event, and wait for the answer as long as Lambda would; a process that failed takes no more."""
        if self.failure is not None:
            return Done(request_id=request_id, failure=self.failure)
        deadline = time_ns() // 1_000_000 + int(self._with.timeout.total_seconds() * 1000)
        self._api.offer(Offer(request_id=request_id, arn=self._with.arn, deadline_ms=deadline, event=event))
        report = self._report(self._with.timeout.total_seconds())
        if isinstance(report, Lost):
            self.failure = report.failure
        return report if isinstance(report, Done) else Done(request_id=request_id, failure=self.failure)

    @property
    def log(self) -> str:
        """Give what the process has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _search_path(self) -> str:
        now = None if self._with.now is None else iso(self._with.now)
        return json.dumps({"path": [str(entry) for entry in self._with.path], "now": now})

    def _variables(self) -> dict[str, str]:
        """Give what Lambda sets besides the function's own; a home that is not there keeps this machine's files out."""
        return {
            **self._with.environment,
            "_HANDLER": self._with.handler,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "HOME": str(self._folder / "home"),
            "LAMBDA_TASK_ROOT": str(self._with.path[0]),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "TZ": ":UTC",
        }

    def _report(self, seconds: float) -> Report:
        """Wait for what the process reports; one that ends or says nothing has failed, in Lambda's words."""
        began = monotonic()
        while monotonic() - began < seconds:
            over = self._process.poll() if self._process else None
            try:
                return self._api.reports.get(timeout=LOOK_SECONDS)
            except Empty:
                if over is not None:
                    return _lost("Runtime.ExitError", f"Runtime exited with error: exit status {over}")
        return _lost("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _lost(kind: str, message: str) -> Lost:
    return Lost(failure=Failure(kind=kind, message=message))
