"""What a run says of itself: JSON lines with one correlation id, metrics, and never a secret (REC-03, SEC-01).

A scheduled run's correlation id is its tick; a message carries the id of the run that sent it, so one search shows a
trade from the price that triggered it to the message about its fill. Every line passes the redactor as finished text,
tracebacks included. An error that leaves a function is redacted too, because Lambda's own runtime prints it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.adapters.powertools.metrics import EmbeddedMetrics
from shared.bootstrap.redaction import Redactor
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.domain.errors import InvalidValue

SERVICE: Final = "hearthwatch"
NAMESPACE: Final = "Hearthwatch"
LOUD: Final = ("botocore", "boto3", "urllib3", "httpx", "httpcore", "requests")
"""Libraries whose chatter may hold headers and addresses; only their warnings are kept."""


class RunFailed(Exception):
    """A run failed; the text is that of the error behind it, without secrets."""


class Telemetry:
    """The logger, the metrics and the redactor of one process."""

    def __init__(self, level: str = "INFO", stream: IO[str] | None = None) -> None:
        self.redactor = Redactor()
        self.metrics = EmbeddedMetrics(Metrics(namespace=NAMESPACE, service=SERVICE))
        formatter = _RedactedJson(self.redactor)
        self._handler = logging.StreamHandler(stream or sys.stdout)
        own = logging.getLogger(SERVICE)
        own.handlers.clear()
        own.init = False  # type: ignore[attr-defined]  # Powertools sets a logger up once, whoever asks for it later
        self.logger = Logger(service=SERVICE, level=level, logger_handler=self._handler, logger_formatter=formatter)
        self._level = level

    def take_over(self) -> None:
        """Send every log line of the process through the redactor; for processes that run functions only."""
        root = logging.getLogger()
        root.handlers[:] = [self._handler]
        root.setLevel(self._level)
        own = logging.getLogger(SERVICE)
        own.handlers[:], own.propagate = [self._handler], False
        own.setLevel(self._level)
        for name in LOUD:
            logging.getLogger(name).setLevel(logging.WARNING)

    @contextmanager
    def run(self, event: object, context: LambdaContext) -> Iterator[None]:
        """Log under the run's ids, write its metrics, and let no error leave with a secret in its text."""
        self.logger.append_keys(
            function=context.function_name, request_id=context.aws_request_id, correlation_id=correlation_of(event)
        )
        try:
            yield
        except Exception as error:  # the edge of the process: logged in full without secrets, then raised
            self.logger.exception("run failed")
            raise RunFailed(self.redactor.redact(f"{type(error).__name__}: {error}")) from None
        finally:
            self.metrics.flush()
            self.logger.remove_keys(["function", "request_id", "correlation_id"])

    def correlate(self, correlation_id: str) -> None:
        """Log what follows under a message's own correlation id, and never under that of the message before."""
        self.logger.append_keys(correlation_id=correlation_id)

    def correlation_id(self) -> str:
        """Give the id that messages sent by this run carry."""
        return str(self.logger.get_current_keys().get("correlation_id") or "")


class _RedactedJson(LambdaPowertoolsFormatter):
    """Powertools' JSON lines, redacted as finished text."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.line(record, super().format)


def correlation_of(event: object) -> str:
    """Name the run: its tick, or the id that the first message carries; empty when there is neither."""
    if not isinstance(event, Mapping):
        return ""
    records = event.get("Records")
    if isinstance(records, list):
        return next((found for record in records if (found := carried_by(record))), "")
    try:
        return ScheduledRunV1.read(event).tick.id
    except InvalidValue:
        return ""


def carried_by(record: Mapping[str, Any]) -> str:
    """Read the correlation id that a queue record carries; empty when it has none."""
    attribute = record.get("messageAttributes", {}).get("correlation_id", {})
    found = attribute.get("stringValue", "") if isinstance(attribute, Mapping) else ""
    return found if isinstance(found, str) and len(found) <= _LONGEST_ID else ""


_LONGEST_ID: Final = 100
