"""What preflight's checks have in common: each looks at one thing and says what it saw and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from hearthwatch.operator.aws import asking
from shared.domain.errors import HearthwatchError


class Result(StrEnum):
    """How a check went; only a failure keeps the schedules from starting."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Seen(NamedTuple):
    """What a check saw, and what to do when that is not well."""

    result: Result
    text: str
    todo: str = ""


class Check(NamedTuple):
    """One thing to look at; `todo` is what to do when looking itself fails."""

    name: str
    look: Callable[[], Seen]
    todo: str


class Finding(NamedTuple):
    """What one check saw."""

    check: str
    seen: Seen


NOTHING_TO_DO: Final = ""


def ok(text: str) -> Seen:
    """Say that all is well."""
    return Seen(Result.OK, text)


def warning(text: str, todo: str) -> Seen:
    """Say what should be looked at."""
    return Seen(Result.WARNING, text, todo)


def failed(text: str, todo: str) -> Seen:
    """Say what must be mended first."""
    return Seen(Result.FAILED, text, todo)


def judged(good: str, problems: Sequence[str], todo: str) -> Seen:
    """Say that all is well, or everything that is not."""
    return failed("; ".join(problems), todo) if problems else ok(good)


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Make every check, each for itself: one that fails, however it does, hides none of the others."""
    for check in checks:
        yield Finding(check.name, _looked(check))


def _looked(check: Check) -> Seen:
    try:
        with asking("AWS"):
            return check.look()
    except HearthwatchError as problem:
        return failed(str(problem).removeprefix("AWS: "), check.todo)
    except Exception as problem:  # noqa: BLE001 -- the edge of one check: the next ones must be made all the same
        return failed(f"{type(problem).__name__}: {problem}", check.todo)
