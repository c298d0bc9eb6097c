"""An alert as it travels on the alert queue.

Text from outside ends up in alerts, so it is bounded here: what is too long is cut rather than refused, because an
alert that cannot be sent would tell nobody. What names the alert is never cut: two alerts must not become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.domain.alerts import Alert, Severity
from shared.domain.times import require_utc

LONGEST_NAME: Final = 500
LONGEST_TEXT: Final = 4_000
LONGEST_LABEL: Final = 100
LONGEST_VALUE: Final = 500
MOST_FIELDS: Final = 25
"""All together stay below a queue's 256 KB, even when each character is written as twelve bytes."""

_SEVERITIES: Final = {severity: severity.name.lower() for severity in Severity}

Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Label = Annotated[str, Field(max_length=LONGEST_LABEL)]
Value = Annotated[str, Field(max_length=LONGEST_VALUE)]


class AlertMessageV1(BaseModel):
    """One alert; its severity travels as a word."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: Literal[1] = 1
    kind: Name
    severity: Literal["info", "warning", "critical"]
    subject: Name
    at: AwareDatetime
    text: Annotated[str, Field(max_length=LONGEST_TEXT)]
    occurrence: Name
    recovers: bool = False
    fields: Annotated[dict[Label, Value], Field(max_length=MOST_FIELDS)] = {}

    @classmethod
    def from_domain(cls, alert: Alert) -> AlertMessageV1:
        """Write an alert as a message, its text and fields cut to their bounds."""
        return cls.model_validate(
            {
                "kind": _sound(alert.kind),
                "severity": _SEVERITIES[alert.severity],
                "subject": _sound(alert.subject),
                "at": alert.at,
                "text": _cut(alert.text, LONGEST_TEXT),
                "occurrence": _sound(alert.occurrence),
                "recovers": alert.recovers,
                "fields": _bounded(alert.fields),
            }
        )

    def to_domain(self) -> Alert:
        """Read the alert; raises InvalidValue for a time that is not UTC."""
        return Alert(
            kind=self.kind,
            severity=Severity[self.severity.upper()],
            subject=self.subject,
            at=require_utc("at", self.at),
            text=self.text,
            occurrence=self.occurrence,
            recovers=self.recovers,
            fields=MappingProxyType(dict(self.fields)),
        )


def _bounded(fields: Mapping[str, str]) -> dict[str, str]:
    return {
        _cut(label, LONGEST_LABEL): _cut(value, LONGEST_VALUE) for label, value in islice(fields.items(), MOST_FIELDS)
    }


def _cut(text: str, longest: int) -> str:
    sound = _sound(text)
    return sound if len(sound) <= longest else sound[: longest - 1] + "…"


def _sound(text: str) -> str:
    """Replace halves of characters, which JSON from outside may hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
