"""CloudFormation's functions in values: those the template uses, each by its documented meaning.

moto's own resolver lets what it does not know pass as it is, and SAM's resolves parameters only. Here anything unknown
is an error that names it, so that a value is never half evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from local_stack.cloud.template import NotPlayed

_REFERENCE: Final = re.compile(r"\$\{(!?)([^}]*)\}")


class Scope(Protocol):
    """What names stand for in one stack."""

    def ref(self, name: str) -> object:
        """Give the value of a parameter, a pseudo parameter or a resource."""
        ...

    def attribute(self, name: str, attribute: str) -> object:
        """Give an attribute of a resource."""
        ...

    def holds(self, condition: str) -> bool:
        """Say whether a condition of the template is true."""
        ...


class Nothing:
    """What AWS::NoValue stands for: the property, or the member of a list, is not there."""


NOTHING: Final = Nothing()


def evaluate(expression: Any, scope: Scope) -> Any:
    """Give the plain value of an expression."""
    if isinstance(expression, Mapping):
        if (name := _function_name(expression)) is not None:
            return _FUNCTIONS[name](expression[name], scope)
        members = {key: evaluate(value, scope) for key, value in expression.items()}
        return {key: value for key, value in members.items() if value is not NOTHING}
    if isinstance(expression, list):
        return [value for value in (evaluate(part, scope) for part in expression) if value is not NOTHING]
    return expression


def condition_holds(expression: Any, scope: Scope) -> bool:
    """Say whether a condition's expression is true."""
    name, value = _single(expression)
    match name:
        case "Condition":
            return scope.holds(value)
        case "Fn::Equals":
            left, right = (evaluate(side, scope) for side in value)
            return bool(left == right)
        case "Fn::And":
            return all(condition_holds(part, scope) for part in value)
        case "Fn::Or":
            return any(condition_holds(part, scope) for part in value)
        case "Fn::Not":
            return not condition_holds(value[0], scope)
        case _:
            raise NotPlayed(f"{name} in a condition")


def references(expression: Any) -> set[str]:
    """Name everything that an expression refers to, by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(expression, list):
        return {name for part in expression for name in references(part)}
    if not isinstance(expression, Mapping):
        return set()
    match expression:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::GetAtt": target}:
            return {_attribute_parts(target)[0]}
        case {"Fn::Sub": str(text)}:
            return {name.split(".")[0] for literal, name in _REFERENCE.findall(text) if not literal}
        case {"Fn::Sub": [str(text), values]}:
            return references({"Fn::Sub": text}) - set(values) | references(list(values.values()))
        case _:
            return references(list(expression.values()))


def _function_name(expression: Mapping[str, Any]) -> str | None:
    names = [name for name in expression if name in ("Ref", "Condition") or name.startswith("Fn::")]
    if len(expression) != 1 or not names:
        return None
    if names[0] in _FUNCTIONS:
        return names[0]
    if names[0] == "Condition" and isinstance(expression["Condition"], Mapping):
        return None  # a policy's own word
    raise NotPlayed(names[0])


def _ref(name: str, scope: Scope) -> Any:
    return NOTHING if name == "AWS::NoValue" else scope.ref(name)


def _get_att(target: Any, scope: Scope) -> Any:
    return scope.attribute(*_attribute_parts(target))


def _attribute_parts(target: Any) -> tuple[str, str]:
    name, attribute = target.split(".", 1) if isinstance(target, str) else target
    return name, attribute


def _sub(given: Any, scope: Scope) -> str:
    text, values = (given, {}) if isinstance(given, str) else given

    def replaced(found: re.Match[str]) -> str:
        literal, name = found.groups()
        if literal:
            return f"${{{name}}}"
        if name in values:
            return str(evaluate(values[name], scope))
        return str(_get_att(name, scope) if "." in name else scope.ref(name))

    return _REFERENCE.sub(replaced, text)


def _join(given: Any, scope: Scope) -> str:
    between, parts = given
    return str(between).join(str(part) for part in evaluate(parts, scope))


def _if(given: Any, scope: Scope) -> Any:
    condition, then, otherwise = given
    return evaluate(then if scope.holds(condition) else otherwise, scope)


def _select(given: Any, scope: Scope) -> Any:
    index, parts = given
    return evaluate(parts, scope)[int(evaluate(index, scope))]


def _split(given: Any, scope: Scope) -> list[str]:
    between, text = given
    return str(evaluate(text, scope)).split(between)


def _single(expression: Any) -> tuple[str, Any]:
    if not isinstance(expression, Mapping) or len(expression) != 1:
        raise NotPlayed(f"{expression!r} as a condition")
    return next(iter(expression.items()))


_FUNCTIONS: Final[Mapping[str, Callable[[Any, Scope], Any]]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::If": _if,
    "Fn::Select": _select,
    "Fn::Split": _split,
}
