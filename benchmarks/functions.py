"""How long each built function takes to load beside a bare boto3 DynamoDB client, and what it weighs packed.

Compared, each in a fresh interpreter that sees what Lambda would show it (the artefact, its layers, what Lambda brings,
the standard library): importing boto3 and making a DynamoDB client; importing a function's handler; the same with what
every run of it makes, a DynamoDB client; and, with the broker layer, with the first connection to Alpaca too, which is
made at its first use and not at the start.

To read: a cold start is this and Lambda's own half second. What grows suddenly is a module that is imported at the top
and not where it is used; `python -X importtime` names it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from benchmarks.figures import Figure, Say
from layers.measure import CORE, LAYERS, MEGABYTE, weigh
from local_stack.cloud.deployed import DeployedFunction, functions_of
from local_stack.cloud.stack import Place, Stack
from local_stack.runtime.brought import bring
from local_stack.runtime.built import Build
from local_stack.runtime.process import INTERPRETER

BUILT: Final = Path("build") / "lambda"
ROUNDS: Final = 7
BROKER: Final = LAYERS[1]
LIGHT, HEAVY, PACKED = "<= 1.5", "<= 4.5", "<= 10"
PARAMETERS: Final = dict.fromkeys(("MailFrom", "MailTo", "OperatorEmail"), "watch@example.com")
PLACE: Final = Place(stack="watch", account="000000000001", region="us-east-1", url="http://127.0.0.1:9")
VARIABLES: Final = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_DEFAULT_REGION": PLACE.region,
    "AWS_LAMBDA_FUNCTION_NAME": "watch",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "HOME": "/nonexistent",
}
_TIMED: Final = """\
import sys, time
sys.path[:0] = {path!r}
began = time.process_time()
{work}
print(time.process_time() - began)
"""
_BARE: Final = "import boto3; boto3.client('dynamodb')"
_TABLES: Final = "from shared.adapters.aws.clients import Aws; Aws().dynamodb"
_TRADING: Final = "from shared.adapters.alpaca import broker, session; session.connect_trading('key', 'secret')"
_PRICES: Final = "from shared.adapters.alpaca import prices, session; session.connect_data('key', 'secret')"
_AT_ALPACA: Final = {
    "prepare_session": (_TRADING, _PRICES, "session.connect_corporate_actions('key', 'secret')"),
    "reconcile_orders": (_TRADING,),
    "poll_prices": (_PRICES,),
    "check_risk": (_PRICES,),
    "place_orders": (_TRADING,),
}
"""What a function connects to at its first use of the broker layer."""


class _Work(NamedTuple):
    """Statements for a fresh interpreter with a search path; `hold` is of their ratio to the bare client."""

    what: str
    path: tuple[Path, ...]
    statements: tuple[str, ...]
    hold: str = ""


def measure(say: Say) -> list[Figure]:
    """Build for this machine, then time every function in turns, and weigh."""
    say("building")
    subprocess.run(["make", "build", "ARCH=host"], stdout=subprocess.DEVNULL, check=True)  # noqa: S607
    build = Build.read(BUILT, PARAMETERS)
    with TemporaryDirectory(prefix="hearthwatch-bench-") as folder:
        brought = bring(Path(folder) / "brought")
        works = _works(build, brought)
        bare = _Work("a bare boto3 DynamoDB client", (brought,), (_BARE,))
        seconds = _quickest([bare, *works], say)
    ratios = [Figure(work.what, seconds[work] / seconds[bare], "x", work.hold) for work in works]
    return [Figure(bare.what, seconds[bare] * 1000, "ms"), *ratios, *_weights(build)]


def _works(build: Build, brought: Path) -> list[_Work]:
    stack = Stack(build.template, PLACE)
    return [
        work
        for function in functions_of(stack).values()
        for work in _works_of(function, (*build.path_of(function, stack), brought), build.layers_of(function, stack))
    ]


def _works_of(function: DeployedFunction, path: tuple[Path, ...], layers: Sequence[str]) -> list[_Work]:
    name = function.handler.split(".")[1]
    handler = f"import {function.handler.rpartition('.')[0]}"
    found = [
        _Work(f"{name}: imported", path, (handler,), LIGHT),
        _Work(f"{name}: with its tables", path, (handler, _TABLES)),
    ]
    if BROKER in layers:
        found.append(_Work(f"{name}: with its broker too", path, (handler, _TABLES, *_AT_ALPACA[name]), HEAVY))
    return found


def _quickest(works: Sequence[_Work], say: Say) -> Mapping[_Work, float]:
    """Run every work once a round, so that what disturbs the machine disturbs all of them."""
    rounds = []
    for number in range(ROUNDS):
        say(f"round {number + 1} of {ROUNDS}")
        rounds.append([_seconds(work) for work in works])
    return dict(zip(works, map(min, zip(*rounds, strict=True)), strict=True))


def _seconds(work: _Work) -> float:
    program = _TIMED.format(path=[str(entry.resolve()) for entry in work.path], work="\n".join(work.statements))
    command = [*INTERPRETER, "-c", program]
    done = subprocess.run(command, env=VARIABLES, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def _weights(build: Build) -> list[Figure]:
    packed = {name: weigh(folder).packed / MEGABYTE for name, folder in build.folders.items()}
    functions = {name: weight for name, weight in packed.items() if name not in LAYERS}
    return [
        *(Figure(f"{name}, packed", weight, "MB") for name, weight in packed.items()),
        Figure("the heaviest function with the core layer", max(functions.values()) + packed[CORE], "MB", PACKED),
    ]
