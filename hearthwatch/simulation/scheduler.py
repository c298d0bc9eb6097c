"""Many invocations at once on one thread: each runs in a greenlet and yields at every port call.

The scheduler resumes them in the order of simulated time, which is the only time there is. A crash is a BaseException
thrown at the port call, so that no handler in the use cases can catch it, as no handler catches a killed Lambda.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Final, NoReturn

from greenlet import getcurrent, greenlet

from shared.adapters.memory.clock import SimulatedClock

LONGEST_RUN: Final = timedelta(seconds=60)
"""An invocation that lives longer is killed, as Lambda does."""


class Crash(BaseException):
    """The invocation dies here."""


class Process(greenlet):
    """One running invocation."""

    def __init__(self, run: Callable[[], None], name: str, started: datetime, after_each: Callable[[], None]) -> None:
        super().__init__(run)
        self.after_each = after_each
        self.name = name
        self.started = started
        self.killed = False


class Scheduler:
    """A queue of things to do in simulated time; things due at one instant run in the order they were planned."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self._queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()
        self._main = getcurrent()
        self._running: set[Process] = set()
        self.after_each: Callable[[], None] = lambda: None

    def at(self, when: datetime, action: Callable[[], None]) -> None:
        """Plan an action; one planned in the past runs now."""
        heapq.heappush(self._queue, (max(when, self.clock.now()), next(self._order), action))

    def start(self, name: str, run: Callable[[], None], after_each: Callable[[], None] | None = None) -> None:
        """Begin an invocation now and let it run to its first yield; `after_each` of its steps, else the usual."""
        process = Process(run, name, self.clock.now(), after_each or (lambda: self.after_each()))
        self._running.add(process)
        self._resume(process)

    def pause(self, latency: timedelta) -> bool:
        """Let the current invocation wait; called from inside it. Say whether it lived too long and must die now."""
        process = getcurrent()
        if not isinstance(process, Process):
            return False
        self.at(self.clock.now() + latency, lambda: self._resume(process))
        self._main.switch()
        process.killed = process.killed or self.clock.now() - process.started > LONGEST_RUN
        return process.killed

    def crash(self) -> NoReturn:
        """Kill the current invocation; whatever its clean-up code still tries dies as well."""
        process = getcurrent()
        if isinstance(process, Process):
            process.killed = True
        raise Crash

    def bury(self) -> None:
        """Raise again in an invocation that is dead but still unwinds."""
        process = getcurrent()
        if isinstance(process, Process) and process.killed:
            raise Crash

    def current(self) -> str:
        """Name the invocation that runs now."""
        process = getcurrent()
        return process.name if isinstance(process, Process) else "world"

    def run_until(self, end: datetime) -> None:
        """Work off the queue up to an instant."""
        while self._queue and self._queue[0][0] <= end:
            when, _, action = heapq.heappop(self._queue)
            self.clock.set(when)
            action()
        self.clock.set(end)

    def close(self) -> None:
        """Kill whatever still runs."""
        for process in self._running:
            process.killed = True
            if not process.dead:
                process.throw(Crash)
        self._running.clear()

    def _resume(self, process: Process) -> None:
        process.switch()
        if process.dead:
            self._running.discard(process)
        process.after_each()
