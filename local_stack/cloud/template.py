"""The template as CloudFormation would see it: SAM's short forms translated, parameters given.

The translator is AWS's own. Where the code of a function or layer lies is replaced before it runs, because it takes
only places in S3 and nothing here is uploaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import boto3
from samtranslator.metrics.metrics import Metrics  # type: ignore[import-untyped]
from samtranslator.model.exceptions import InvalidDocumentException  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from shared.domain.errors import Stop

MANAGED_POLICIES: Final = "arn:aws:iam::aws:policy/service-role/"
REGION: Final = "us-east-1"
"""Where the translation is done; it decides the partition of ARNs and nothing else."""
TEXT_TYPES: Final = frozenset({"String", "Number"})
LIST_TYPES: Final = frozenset({"CommaDelimitedList", "List<String>", "List<Number>"})
_CODE: Final = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_NOWHERE: Final = "s3://not-uploaded/code"
_TRANSLATED: Final = {
    name: f"{MANAGED_POLICIES}{name}" for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole")
}


class NotPlayed(Stop):
    """The template says something that this machine does not play; the message names it."""


class Template:
    """One plain template and the values of its parameters."""

    def __init__(self, plain: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self.resources: Mapping[str, dict[str, Any]] = plain["Resources"]
        self.conditions: Mapping[str, Any] = plain.get("Conditions", {})
        self.outputs: Mapping[str, dict[str, Any]] = plain.get("Outputs", {})
        self.parameters = _given(plain.get("Parameters", {}), parameters)

    @classmethod
    def read(cls, path: Path, parameters: Mapping[str, str] | None = None) -> Template:
        """Read a SAM template file and translate it."""
        return cls.from_text(path.read_text(encoding="utf-8"), parameters)

    @classmethod
    def from_text(cls, text: str, parameters: Mapping[str, str] | None = None) -> Template:
        """Translate a SAM template."""
        given = dict(parameters or {})
        return cls(_translate(yaml_parse(text), given), given)

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the resources of a type by logical id, in the template's order."""
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}


def _translate(sam: dict[str, Any], parameters: dict[str, str]) -> Mapping[str, Any]:
    metrics = Metrics()
    session = boto3.Session(region_name=REGION)
    translator = Translator(_TRANSLATED, Parser(), boto_session=session, metrics=metrics)
    try:
        plain: Mapping[str, Any] = translator.translate(_without_code(sam), parameters)
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes)
        raise NotPlayed(f"the template cannot be translated: {causes}") from error
    finally:
        metrics.publish()  # nowhere; unpublished metrics are warned about
    return plain


def _without_code(sam: dict[str, Any]) -> dict[str, Any]:
    sam = deepcopy(sam)
    sam.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for resource in sam["Resources"].values():
        if (place := _CODE.get(resource["Type"])) is not None:
            resource.setdefault("Properties", {})[place] = _NOWHERE
    return sam


def _given(declared: Mapping[str, dict[str, Any]], overrides: Mapping[str, str]) -> Mapping[str, str | list[str]]:
    if unknown := sorted(overrides.keys() - declared.keys()):
        raise NotPlayed(f"parameters that the template does not declare: {', '.join(unknown)}")
    return {name: _parameter(name, slot, overrides.get(name, slot.get("Default"))) for name, slot in declared.items()}


def _parameter(name: str, slot: Mapping[str, Any], value: object) -> str | list[str]:
    if value is None:
        raise NotPlayed(f"parameter {name} has neither a default nor a value")
    if slot["Type"] in TEXT_TYPES:
        return str(value)
    if slot["Type"] in LIST_TYPES:
        return [part.strip() for part in str(value).split(",")]
    raise NotPlayed(f"parameter {name} is of type {slot['Type']}")
