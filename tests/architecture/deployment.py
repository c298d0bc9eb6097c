"""The template as one deployment, and how its rules look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from local_stack.cloud.stack import Place, Stack
from local_stack.cloud.template import Template

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "template.yaml").read_text(encoding="utf-8")
SENDER: Final = "watch@example.com"
RECIPIENT: Final = "owner@example.org"
PARAMETERS: Final = {"MailFrom": SENDER, "MailTo": RECIPIENT, "OperatorEmail": RECIPIENT}
PLACE: Final = Place(stack="watch", account="123456789012", region="us-east-1", url="https://queues.example.com")

FUNCTION: Final = "AWS::Lambda::Function"
QUEUE: Final = "AWS::SQS::Queue"
TABLE: Final = "AWS::DynamoDB::Table"
ALARM: Final = "AWS::CloudWatch::Alarm"
LOGS: Final = "AWS::Logs::LogGroup"
ROLE: Final = "AWS::IAM::Role"

Rule = Callable[[Stack], Iterator[str]]


@cache
def deployed(text: str = TEXT, **parameters: str) -> Stack:
    """Translate a template and evaluate it as one stack."""
    return Stack(Template.from_text(text, {**PARAMETERS, **parameters}), PLACE)


def differences(name: str, properties: Mapping[str, Any], wanted: Mapping[str, object]) -> Iterator[str]:
    """Name every property that is not what it should be."""
    for path, value in wanted.items():
        if (found := look(properties, path)) != value:
            yield f"{name}: {path} is {found!r}, not {value!r}"


def look(properties: Mapping[str, Any], path: str) -> Any:
    """Follow a path of names with dots; None where it leads nowhere."""
    found: Any = properties
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def as_list(value: Any) -> list[Any]:
    """Give what may be one or several as several."""
    return value if isinstance(value, list) else [] if value is None else [value]
