"""The schedule clock: which schedules fire when, and with what event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from heapq import merge
from itertools import takewhile
from typing import Any, Final

from local_stack.cloud.cron import read_expression
from local_stack.cloud.deployed import DeployedSchedule
from shared.domain.times import iso

FIRST_ATTEMPT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """One firing of a schedule; two in the same minute have the same scheduled time."""

    schedule: DeployedSchedule
    at: datetime

    @property
    def execution_id(self) -> str:
        """Name the firing, the same for every delivery of it."""
        return sha256(f"{self.schedule.arn} {iso(self.at)}".encode()).hexdigest()[:16]

    def event(self) -> Any:
        """Give what the function receives: the schedule's input with its placeholders filled in."""
        text = self.schedule.input
        for name, value in (
            ("scheduled-time", iso(self.at)),
            ("schedule-arn", self.schedule.arn),
            ("execution-id", self.execution_id),
            ("attempt-number", str(FIRST_ATTEMPT)),
        ):
            text = text.replace(f"<aws.scheduler.{name}>", value)
        return json.loads(text)


class ScheduleClock:
    """The enabled schedules of a stack, in the order in which they fire together."""

    def __init__(self, schedules: Sequence[DeployedSchedule]) -> None:
        self._schedules = [
            (schedule, read_expression(schedule.expression, schedule.zone))
            for schedule in schedules
            if schedule.enabled
        ]

    def due(self, after: datetime, until: datetime) -> tuple[Fire, ...]:
        """Give what fires after one instant and not after another: by time, then in the template's order."""
        return tuple(takewhile(lambda fire: fire.at <= until, self._fires(after)))

    def next_after(self, instant: datetime) -> datetime | None:
        """Say when something fires next."""
        return next((fire.at for fire in self._fires(instant)), None)

    def upcoming(self, after: datetime) -> tuple[Fire, ...]:
        """Give the next firing of each schedule, soonest first."""
        first = [next(self._of(place, after), None) for place in range(len(self._schedules))]
        return tuple(sorted((fire for fire in first if fire is not None), key=lambda fire: fire.at))

    def _fires(self, after: datetime) -> Iterator[Fire]:
        return merge(*(self._of(place, after) for place in range(len(self._schedules))), key=lambda fire: fire.at)

    def _of(self, place: int, after: datetime) -> Iterator[Fire]:
        schedule, expression = self._schedules[place]
        return (Fire(schedule=schedule, at=at) for at in expression.after(after))
