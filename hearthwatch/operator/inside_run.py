"""A run on this machine as the operator's commands see it: like a deployed stack, at addresses of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx

from hearthwatch.operator.aws import OperatorAws
from hearthwatch.operator.surroundings import Surroundings
from local_stack.cloud.identities import OWNER_KEY, Identities
from local_stack.loopback import past_proxies
from local_stack.run.way_in import NoRun, RunClock, read_way_in
from shared.domain.errors import Unavailable


class InsideRun(NamedTuple):
    """The surroundings of a command in a run, and the name of the run's stack."""

    here: Surroundings
    stack: str


@contextmanager
def inside_run(here: Surroundings, folder: Path) -> Iterator[InsideRun]:
    """Enter the run of a folder; raises NoRun when none goes on there. Nothing outside this machine is asked."""
    way_in = read_way_in(folder)
    with past_proxies(), httpx.Client(trust_env=False) as client:
        clock = RunClock(client, way_in)
        try:
            clock.now()
        except Unavailable as problem:
            raise NoRun(f"the run in {folder} does not answer: start it again with `make run`") from problem
        owner = Identities(way_in.aws, way_in.region).session(OWNER_KEY)
        inside = replace(
            here,
            aws=OperatorAws(owner, endpoint_url=way_in.aws),
            clock=clock,
            environment=way_in.stand_ins,
        )
        yield InsideRun(inside, way_in.stack)
