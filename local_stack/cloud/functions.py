"""Functions as Lambda runs them: found by the handler's name in the template, called with an event and a context.

All functions of a stack share this process, so a function that builds its use case from its environment has that
environment for the length of its call and nobody else runs meanwhile. Whoever wants runs side by side hands the use
cases in.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from threading import Lock
from time import monotonic
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from local_stack.cloud.deployed import DeployedFunction
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.template import NotPlayed

Handler = Callable[..., Any]
RunOf = Callable[[str], object | None]
"""Gives the use case that a function's handler is to run, or None to let the handler build its own."""
_ENVIRONMENT: Final = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What Lambda tells a handler about its run."""

    aws_request_id: str
    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    log_group_name: str
    log_stream_name: str
    deadline: float
    function_version: str = "$LATEST"
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the run may still take."""
        return max(int((self.deadline - monotonic()) * 1000), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of a function: what it answered, or what it raised."""

    function: str
    request_id: str
    answer: Any = None
    error: Exception | None = None

    @property
    def failed(self) -> bool:
        """Say whether the run raised."""
        return self.error is not None

    def error_payload(self) -> dict[str, Any]:
        """Describe the error as Lambda does."""
        if self.error is None:
            return {}
        frames = traceback.format_tb(self.error.__traceback__)
        return {
            "errorMessage": str(self.error),
            "errorType": type(self.error).__name__,
            "requestId": self.request_id,
            "stackTrace": frames,
        }


class Functions:
    """The functions of a stack, ready to be called; `deliveries` is how often each event arrives."""

    def __init__(self, cloud: EmbeddedCloud, run_of: RunOf = lambda _: None, *, deliveries: int = 1) -> None:
        self.cloud = cloud
        self._run_of = run_of
        self._deliveries = deliveries
        self._numbers = count(1)

    def request_id(self, function: str) -> str:
        """Make the id of a new request, the same from run to run of this machine."""
        return str(uuid5(NAMESPACE_URL, f"{self.cloud.stack.arn(function)}/{next(self._numbers)}"))

    def invoke(self, function: str, event: Any, *, request_id: str | None = None) -> Invocation:
        """Run a function on an event, as often as events arrive; of several runs the first that failed counts."""
        request_id = request_id or self.request_id(function)
        runs = [self._run(function, event, request_id) for _ in range(self._deliveries)]
        return next((run for run in runs if run.failed), runs[-1])

    def _run(self, function: str, event: Any, request_id: str) -> Invocation:
        deployed = self.cloud.functions[function]
        handler, run = find_handler(deployed.handler), self._run_of(function)
        context = _context(deployed, request_id)
        try:
            if run is not None:
                answer = handler(event, context, run=run)
            else:
                with _environment(self.cloud.environment_of(function)):
                    answer = handler(event, context)
        except Exception as error:  # noqa: BLE001 -- Lambda's own edge: whatever a handler raises is the run's outcome
            return Invocation(function=function, request_id=request_id, error=error)
        return Invocation(function=function, request_id=request_id, answer=answer)


def find_handler(name: str) -> Handler:
    """Import a handler by its name in the template."""
    module, _, attribute = name.rpartition(".")
    try:
        handler: Handler = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise NotPlayed(f"the handler {name} cannot be loaded: {error}") from error
    return handler


def _context(deployed: DeployedFunction, request_id: str) -> Context:
    return Context(
        aws_request_id=request_id,
        function_name=deployed.name,
        invoked_function_arn=deployed.arn,
        memory_limit_in_mb=deployed.memory_mb,
        log_group_name=f"/aws/lambda/{deployed.name}",
        log_stream_name=f"local/{deployed.name}",
        deadline=monotonic() + deployed.timeout.total_seconds(),
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the process have a function's environment for a while."""
    with _ENVIRONMENT:
        before = dict(os.environ)
        os.environ.update(variables)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
