"""A provider's own description of its API, to hold requests and replies against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

JSON = "application/json"


class ApiDescription:
    """An OpenAPI 3.0 document; `nullable` is rewritten as today's JSON schema says it."""

    def __init__(self, path: Path) -> None:
        self._document = _modern(json.loads(path.read_text()))

    def check_reply(self, path: str, method: str, status: int, body: object) -> None:
        """Raise ValidationError when a reply is not of the described shape."""
        operation = self._document["paths"][path][method]
        self._check(operation["responses"][str(status)]["content"][JSON]["schema"], body)

    def check_body(self, path: str, method: str, body: object) -> None:
        """Raise ValidationError when a request's body is not of the described shape."""
        self._check(self._document["paths"][path][method]["requestBody"]["content"][JSON]["schema"], body)

    def check_schema(self, name: str, body: object) -> None:
        """Raise ValidationError when a value is not of a named shape."""
        self._check({"$ref": f"#/components/schemas/{name}"}, body)

    def properties(self, path: str, method: str) -> set[str]:
        """List the fields that the body of a request may have."""
        return set(self._document["paths"][path][method]["requestBody"]["content"][JSON]["schema"]["properties"])

    def parameters(self, path: str, method: str) -> set[str]:
        """List the query parameters of an operation."""
        listed = self._document["paths"][path][method].get("parameters", [])
        return {self._resolved(parameter)["name"] for parameter in listed}

    def enumeration(self, name: str) -> set[str]:
        """List the values of a named enumeration."""
        return set(self._document["components"]["schemas"][name]["enum"])

    def _check(self, schema: dict[str, Any], body: object) -> None:
        whole = {"components": self._document["components"], "allOf": [schema]}
        Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)

    def _resolved(self, parameter: dict[str, Any]) -> dict[str, Any]:
        found: Any = self._document
        if "$ref" not in parameter:
            return parameter
        for step in parameter["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return dict(found)


def _modern(part: Any) -> Any:
    if isinstance(part, list):
        return [_modern(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {key: _modern(value) for key, value in part.items()}
    if part.pop("nullable", False) is True and "type" in part:
        part["type"] = [part["type"], "null"]
        if "enum" in part:
            part["enum"] = [*part["enum"], None]
    return part
