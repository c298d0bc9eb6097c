"""One built function, fed with all its specimens in a house brought to the right moment, beside the same in-process.

Two houses live through the same story. In one of them the function under check is a process started from the build; in
the other it runs in this process, as in every other test. Answers, refusals and effects must be the same. Whatever the
build, the template or the policy lacks is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from local_stack.cloud.deployed import DeployedFunction
from local_stack.runtime.api import Done
from local_stack.runtime.built import PYTHON, Build
from local_stack.runtime.process import FunctionProcess, Launch
from tests.fakes.house import EVENTS, FUNCTIONS, PARAMETERS, STAGES, House, effects, specimen
from tests.runtime_check.grants import grants_of, outlived, unexplained, unseen

_MODULE: Final = re.compile(r"No module named '([\w.]+)'")
_VARIABLE: Final = re.compile(r"\b([A-Z][A-Z0-9_]+) is not set\b")
_LOADED: Final = "Unable to import module"


@dataclass(slots=True, kw_only=True)
class Checked:
    """What became of one function; without problems it is ready to be deployed."""

    function: str
    specimens: int = 0
    cold_start: timedelta | None = None
    granted: int = 0
    seen: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Site:
    """A build, with what Lambda brings laid beside it, and a folder for logs."""

    build: Build
    brought: Path
    logs: Path


def read_build(folder: Path) -> Build:
    """Read a build with the values that the houses give its parameters."""
    return Build.read(folder, PARAMETERS)


def specimens_of(function: str) -> list[str]:
    """Name the situations in a function's folder of events."""
    return sorted(path.stem for path in (EVENTS / function).glob("*.json"))


def check(site: Site, function: str, situations: Iterable[str] | None = None) -> Checked:
    """Check a function, by the name of its folder, on all its specimens or on some."""
    chosen = specimens_of(function) if situations is None else list(situations)
    checked = Checked(function=function)
    prepare, begins = STAGES[function]
    with House(now=begins) as reference, House(now=begins, template=site.build.template) as house:
        deployed = house.cloud.functions[FUNCTIONS[function]]
        checked.problems += _left_out(site.build, deployed, house)
        if not checked.problems and _brought(prepare, reference, house, checked):
            _feed(site, _Pair(function, reference, house, deployed), chosen, checked)
    return checked


@dataclass(frozen=True, slots=True)
class _Pair:
    """A function in two houses."""

    function: str
    reference: House
    house: House
    deployed: DeployedFunction

    @property
    def caller(self) -> str:
        """Name the process apart from the in-process runs that brought the house to its moment."""
        return f"{self.deployed.logical_id}, built"


def _left_out(build: Build, deployed: DeployedFunction, house: House) -> Iterator[str]:
    """Name what the template wants and the build does not hold."""
    layers = build.layers_of(deployed, house.cloud.stack)
    for name in (deployed.logical_id, *layers):
        if not build.folders[name].is_dir():
            yield f"{'layer' if name in layers else 'function'}: {name} is not in the build"


def _brought(prepare: Callable[[House], None], reference: House, house: House, checked: Checked) -> bool:
    """Bring both houses to their moment; what the build's template lacks for that is named too."""
    prepare(reference)
    try:
        prepare(house)
    except AssertionError as problem:
        missing = [*_variables(str(problem)), *_refused(house)]
        checked.problems += missing or [f"the house cannot be brought to its moment: {problem}"]
    return not checked.problems


def _feed(site: Site, pair: _Pair, situations: list[str], checked: Checked) -> None:
    with _started(site, pair) as process:
        checked.cold_start = process.cold_start
        differing = []
        if process.failure is None:
            differing = [line for situation in situations for line in _compared(pair, process, situation)]
            checked.specimens = len(situations)
        told = [process.log, *differing, process.failure.message if process.failure else ""]
    checked.problems += _named(site.build, pair, "\n".join(told))
    if not checked.problems:
        checked.problems += differing
        if process.failure is not None:
            checked.problems.append(f"not started: {process.failure.kind}: {process.failure.message}")
        elif effects(pair.house) != effects(pair.reference):
            checked.problems.append("its effects are not those of the same function in-process")
    _judge_policy(pair, checked)


@contextmanager
def _started(site: Site, pair: _Pair) -> Iterator[FunctionProcess]:
    cloud, deployed = pair.house.cloud, pair.deployed
    key = f"BUILT{deployed.logical_id.upper()}"
    cloud.door.admit(key, pair.caller, deployed.statements)
    logs = site.logs / deployed.logical_id
    logs.mkdir(parents=True, exist_ok=True)
    launch = Launch(
        handler=deployed.handler,
        arn=deployed.arn,
        timeout=deployed.timeout,
        path=[*site.build.path_of(deployed, cloud.stack), site.brought],
        environment={**pair.house.environment_of(deployed.logical_id), "AWS_ACCESS_KEY_ID": key},
        now=pair.house.clock.now(),
    )
    with FunctionProcess(launch, logs) as process:
        yield process


def _compared(pair: _Pair, process: FunctionProcess, situation: str) -> Iterator[str]:
    event = specimen(pair.function, situation)
    built = _told(process.invoke(event, pair.house.functions.request_id(pair.deployed.logical_id)))
    run = pair.reference.run(pair.function, event)
    expected = f"{type(run.error).__name__}: {run.error}" if run.error else json.dumps(run.answer, sort_keys=True)
    if built != expected:
        yield f"{situation}: {built}, and in-process {expected}"


def _told(done: Done) -> str:
    if done.failure is not None:
        return f"{done.failure.kind}: {done.failure.message}"
    return json.dumps(done.answer, sort_keys=True)


def _named(build: Build, pair: _Pair, text: str) -> list[str]:
    """Name what is missing, wherever the process has said so."""
    modules = dict.fromkeys(_MODULE.findall(text))
    return [*(_module(build, pair, module) for module in modules), *_variables(text), *_refused(pair.house)]


def _module(build: Build, pair: _Pair, module: str) -> str:
    """Name a missing module: it lies in a layer that the function does not have, or nowhere."""
    layers = build.layers_of(pair.deployed, pair.house.cloud.stack)
    for layer in build.layers:
        if layer not in layers and _holds(build.folders[layer] / PYTHON, module):
            return f"layer: {layer} is none of the function's layers, and holds {module}"
    return f"dependency: {module} is in none of the function's layers"


def _holds(folder: Path, module: str) -> bool:
    name = module.partition(".")[0]
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def _variables(text: str) -> list[str]:
    return [f"variable: {name} is not set" for name in dict.fromkeys(_VARIABLE.findall(text))]


def _refused(house: House) -> list[str]:
    return list(
        dict.fromkeys(
            f"permission: {call.caller.removesuffix(', built')} may not {call.action} on {call.resource}"
            for call in house.cloud.door.refused
        )
    )


def _judge_policy(pair: _Pair, checked: Checked) -> None:
    """Hold the calls that were seen against what is granted."""
    cloud = pair.house.cloud
    calls, grants = cloud.door.calls_of(pair.caller), grants_of(cloud, pair.deployed.logical_id)
    idle = unseen(grants, calls)
    checked.granted, checked.seen = len(grants), len(grants) - len(idle)
    if checked.problems:
        return
    for grant in sorted(unexplained(pair.deployed.logical_id, idle)):
        checked.problems.append(f"granted but not seen: {grant.action} on {grant.resource}")
    for reason in outlived(pair.deployed.logical_id, idle):
        checked.problems.append(f"no longer unseen, take it off the list: {reason}")
