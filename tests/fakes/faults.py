"""Trouble on demand: any port wrapped so that its calls are counted, fail as told, or end the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

Port = TypeVar("Port")


class Crash(BaseException):
    """The process ends here; nothing of it may catch this."""


@dataclass(kw_only=True)
class _Fault:
    call: str
    error: BaseException
    left: int | None
    answer_lost: bool
    when: Callable[..., bool]


@dataclass
class Faults:
    """What goes wrong on a set of ports, by the names `port.method`."""

    calls: list[str] = field(default_factory=list)
    crash_before: int | None = None
    _faults: list[_Fault] = field(default_factory=list)
    _hooks: dict[str, Callable[[], object]] = field(default_factory=dict)

    def fail(
        self,
        call: str,
        error: BaseException,
        *,
        times: int | None = None,
        answer_lost: bool = False,
        when: Callable[..., bool] = lambda *args, **kwargs: True,
    ) -> None:
        """Let calls raise, `times` of them or all; with `answer_lost` they take effect first."""
        self._faults.append(_Fault(call=call, error=error, left=times, answer_lost=answer_lost, when=when))

    def before(self, call: str, act: Callable[[], object]) -> None:
        """Do something once, right before the next such call."""
        self._hooks[call] = act

    def mend(self) -> None:
        """Let everything work again."""
        self._faults.clear()
        self._hooks.clear()
        self.crash_before = None

    def count(self, call: str) -> int:
        return self.calls.count(call)

    def around(self, name: str, port: Port) -> Port:
        """Wrap a port."""
        return cast(Port, _Wrapped(name, port, self))

    def run(self, call: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        hook = self._hooks.pop(call, None)
        if hook is not None:
            hook()
        if self.crash_before is not None and len(self.calls) >= self.crash_before:
            raise Crash(call)
        self.calls.append(call)
        fault = next((f for f in self._faults if f.call == call and f.left != 0 and f.when(*args, **kwargs)), None)
        if fault is None:
            return method(*args, **kwargs)
        if fault.left is not None:
            fault.left -= 1
        if fault.answer_lost:
            method(*args, **kwargs)
        raise fault.error


class _Wrapped:
    def __init__(self, name: str, port: object, faults: Faults) -> None:
        self._name = name
        self._port = port
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return value

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._faults.run(f"{self._name}.{name}", value, *args, **kwargs)

        return call
