"""Forms: how a value of the domain is written as JSON types and read back the same, digit for digit.

A form follows from the type hints of a dataclass or named tuple, so that there is one place for each rule. Decided:

- Decimals and times travel as text and never meet a float; what is not finite, or not UTC, is refused in both
  directions. Spans of time are whole microseconds.
- Every field is written under its name, none is left out, and a reader wants exactly these: a field more or less is
  another schema, which the items' schema number must say.
- Sets are written in order, so that one value has one text, and a reader takes no other; mappings keep their order.
- Members of a StrEnum are written by value and those of an IntEnum by name: its numbers are ranks that may move.

pydantic does not do this: it cannot write read-only mappings, reads decimals through floats, writes NaN that it then
refuses, writes sets in the order of a hash seed, and ignores fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import IntEnum, StrEnum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, NamedTuple, NewType, Union, cast, get_args, get_origin, get_type_hints

from shared.domain.errors import InvalidValue
from shared.domain.times import iso

_NO_OFFSET: Final = timedelta(0)
_MICROSECOND: Final = timedelta(microseconds=1)


class Misfit(Exception):
    """A value does not fit its form; says where in it and what was expected there, never the value itself."""

    def __init__(self, expected: str, *place: str) -> None:
        super().__init__(expected, *place)
        self.expected = expected
        self.place = place

    def __str__(self) -> str:
        where = ".".join(self.place)
        return f"{where}: expected {self.expected}" if where else f"expected {self.expected}"

    def within(self, name: str) -> Misfit:
        """Give the same misfit as seen from outside the part of this name."""
        return Misfit(self.expected, name, *self.place)


Step = Callable[[Any], Any]


class Form(NamedTuple):
    """How values of one type become JSON types and come back; both raise Misfit."""

    write: Step
    read: Step


def form_of(kind: Any) -> Form:
    """Give the form of a type; raises InvalidValue for types that are never stored, floats among them."""
    return _form_of(kind)


@cache
def _form_of(kind: Any) -> Form:
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _union(get_args(kind))
    if origin is Mapping:
        return _mapping(*map(_form_of, get_args(kind)))
    if origin is frozenset:
        return _set(_form_of(get_args(kind)[0]))
    if origin is tuple and get_args(kind)[1:] == (...,):
        return _sequence(_form_of(get_args(kind)[0]))
    if not isinstance(kind, type):
        raise InvalidValue("stored type", kind, "a type that has an exact text")
    if issubclass(kind, StrEnum | IntEnum):
        return _enum(kind)
    if is_dataclass(kind):
        return _dataclass(kind)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple(kind)
    raise InvalidValue("stored type", kind, "a type that has an exact text")


def _exactly(kind: type, expected: str) -> Step:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(expected)
        return value

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit("text")
    return value


def _write_decimal(value: Any) -> str:
    if type(value) is not Decimal or not value.is_finite():
        raise Misfit("a finite decimal number")
    return str(value)


def _read_decimal(text: Any) -> Decimal:
    try:
        value = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or str(value) != text:
        raise Misfit("a finite decimal number as text")
    return value


def _write_time(value: Any) -> str:
    if type(value) is not datetime or value.utcoffset() != _NO_OFFSET:
        raise Misfit("an aware UTC time")
    return iso(value)


def _read_time(text: Any) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        value = None
    if value is None or value.tzinfo is not UTC or iso(value) != text:
        raise Misfit("an aware UTC time as text")
    return value


def _write_span(value: Any) -> int:
    if type(value) is not timedelta:
        raise Misfit("a span of time")
    return value // _MICROSECOND


def _read_span(count: Any) -> timedelta:
    try:
        return timedelta(microseconds=_exactly(int, "whole microseconds")(count))
    except OverflowError:
        raise Misfit("whole microseconds") from None


def _write_day(value: Any) -> str:
    if type(value) is not date:
        raise Misfit("a day")
    return value.isoformat()


def _read_day(text: Any) -> date:
    try:
        value = date.fromisoformat(text)
    except (TypeError, ValueError):
        value = None
    if value is None or value.isoformat() != text:
        raise Misfit("a day as text")
    return value


_PLAIN: Final[Mapping[Any, Form]] = {
    str: Form(_text, _text),
    bool: Form(_exactly(bool, "true or false"), _exactly(bool, "true or false")),
    int: Form(_exactly(int, "a whole number"), _exactly(int, "a whole number")),
    Decimal: Form(_write_decimal, _read_decimal),
    datetime: Form(_write_time, _read_time),
    date: Form(_write_day, _read_day),
    timedelta: Form(_write_span, _read_span),
}


def _enum(kind: type[StrEnum] | type[IntEnum]) -> Form:
    by_text = {member.value if isinstance(member, StrEnum) else member.name: member for member in kind}
    texts = {member: text for text, member in by_text.items()}

    def write(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(f"a {kind.__name__}")
        return texts[value]

    def read(text: Any) -> Any:
        member = by_text.get(_text(text))
        if member is None:
            raise Misfit(f"one of {sorted(by_text)}")
        return member

    return Form(write, read)


def _union(kinds: tuple[Any, ...]) -> Form:
    """Allow None beside one form: names of one type, such as two ids that are text, share it."""
    forms = {_form_of(kind) for kind in kinds if kind is not NoneType}
    if len(forms) != 1:
        raise InvalidValue("stored type", kinds, "one type, or that type or None")
    write, read = forms.pop()
    if NoneType not in kinds:
        return Form(write, read)
    return Form(
        lambda value: None if value is None else write(value), lambda plain: None if plain is None else read(plain)
    )


def _mapping(keys: Form, values: Form) -> Form:
    def write(mapping: Any) -> Any:
        return {keys.write(key): _within(key, values.write, value) for key, value in mapping.items()}

    def read(plain: Any) -> Any:
        items = _exactly(dict, "an object")(plain).items()
        return MappingProxyType({keys.read(key): _within(key, values.read, value) for key, value in items})

    return Form(write, read)


def _set(members: Form) -> Form:
    def write(values: Any) -> Any:
        return sorted(members.write(value) for value in values)

    def read(plain: Any) -> Any:
        values = _exactly(list, "a list")(plain)
        found = frozenset(_within(place, members.read, value) for place, value in enumerate(values))
        if write(found) != values:
            raise Misfit("a sorted list that names each once")
        return found

    return Form(write, read)


def _sequence(members: Form) -> Form:
    def write(values: Any) -> Any:
        return [_within(place, members.write, value) for place, value in enumerate(values)]

    def read(plain: Any) -> Any:
        values = enumerate(_exactly(list, "a list")(plain))
        return tuple(_within(place, members.read, value) for place, value in values)

    return Form(write, read)


def _dataclass(kind: type) -> Form:
    """Write the fields that the constructor takes; what it derives from them is derived again."""
    hints = get_type_hints(kind)
    forms = {field.name: _form_of(hints[field.name]) for field in fields(cast(Any, kind)) if field.init}

    def write(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(f"a {kind.__name__}")
        return {name: _within(name, form.write, getattr(value, name)) for name, form in forms.items()}

    def read(plain: Any) -> Any:
        found = _fields(plain, forms)
        return kind(**{name: _within(name, form.read, found[name]) for name, form in forms.items()})

    return Form(write, read)


def _named_tuple(kind: Any) -> Form:
    hints = get_type_hints(kind)
    forms = {name: _form_of(hints[name]) for name in kind._fields}

    def write(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(f"a {kind.__name__}")
        return {name: _within(name, form.write, part) for (name, form), part in zip(forms.items(), value, strict=True)}

    def read(plain: Any) -> Any:
        found = _fields(plain, forms)
        return kind._make(_within(name, form.read, found[name]) for name, form in forms.items())

    return Form(write, read)


def _fields(plain: Any, forms: Mapping[str, Form]) -> Any:
    found = _exactly(dict, "an object")(plain)
    if found.keys() != forms.keys():
        raise Misfit(f"the fields {sorted(forms)}")
    return found


def _within(name: object, step: Step, value: Any) -> Any:
    try:
        return step(value)
    except Misfit as misfit:
        raise misfit.within(str(name)) from misfit
