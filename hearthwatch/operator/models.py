"""Which models serve and what they cost today, and how to switch them without a deployment (TIR-02, BUD-04)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final, TypeVar

from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.inside_run import inside_run
from hearthwatch.operator.stack import find_stack
from hearthwatch.operator.surroundings import Surroundings
from shared.bootstrap.cloud import Cloud
from shared.bootstrap.models import KEYS
from shared.domain.calls import Rung
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import ModelId, PriceRow, PriceTable
from shared.domain.money import plain, round_to_cent
from shared.domain.providers import Catalogue, CostKind, Switches
from shared.domain.questions import Task

Slot = TypeVar("Slot", Rung, Task)

ON_REQUEST: Final = "only when a person asks for it"


def run_models(options: argparse.Namespace, here: Surroundings) -> int:
    """Change what was asked for, if anything, and show what serves."""
    wanted = _wanted(options)
    with ExitStack() as opened:
        name, by = options.stack, ""
        if options.local:
            here, name = opened.enter_context(inside_run(here, options.folder))
            by = "this machine"
        stack = find_stack(here.aws, name, in_any_state=True)
        cloud = opened.enter_context(here.cloud_of(stack))
        if options.reset or wanted != Switches():
            _switch(cloud, wanted, by or _caller(here), options)
        _show(cloud, here.terminal.say)
    return 0


def _wanted(options: argparse.Namespace) -> Switches:
    both = sorted(set(options.on) & set(options.off))
    if both:
        raise OperatorError(f"{', '.join(both)} cannot be on and off at once")
    return Switches(
        providers={**dict.fromkeys(options.on, True), **dict.fromkeys(options.off, False)},
        rungs=dict(_pairs("rung", options.rung, Rung)),
        tasks=dict(_pairs("task", options.task, Task)),
    )


def _pairs(what: str, given: Iterable[str], slots: type[Slot]) -> Iterator[tuple[Slot, ModelId]]:
    for text in given:
        name, equals, model = text.partition("=")
        if not equals or not model or name not in _values(slots):
            raise OperatorError(f"--{what} {text!r}: expected {what.upper()}=MODEL, with one of {_words(slots)}")
        yield slots(name), ModelId(model)


def _values(slots: type[Enum]) -> list[str]:
    return [slot.value for slot in slots]


def _words(slots: type[Enum]) -> str:
    return ", ".join(_values(slots))


def _caller(here: Surroundings) -> str:
    with asking("who asks"):
        return here.aws.sts.get_caller_identity()["Arn"].rpartition("/")[2]


def _switch(cloud: Cloud, wanted: Switches, by: str, options: argparse.Namespace) -> None:
    try:
        with asking("the switches of the models"):
            cloud.use_cases.switch_models(wanted, by=by, why=options.why, afresh=options.reset)
    except InvalidValue as problem:
        raise OperatorError(f"nothing was changed: {problem}") from problem


def _show(cloud: Cloud, say: Callable[[str], None]) -> None:
    with asking("the models"):
        catalogue, switches = cloud.choices.catalogue(), cloud.choices.switches()
        table, now = cloud.budget_settings.prices(), cloud.clock.now()
    say("Providers")
    for provider in catalogue.providers.values():
        state = "on" if provider.on else "off"
        kinds = f"{provider.kind.value:6} {provider.cost.value:6} {provider.latency.value}"
        say(f"  {provider.name:11} {state:4} {kinds}{'' if provider.name in KEYS else '  (nothing reaches it yet)'}")
    say("Rungs, asked from the top")
    for rung, model in catalogue.rungs.items():
        note = f"  ({ON_REQUEST})" if rung is Rung.OPUS else ""
        say(f"  {rung.value:11} {_served(catalogue, model)}: {_price(catalogue, table, model, now)}{note}")
    say("Tasks on the edge")
    for task, model in catalogue.tasks.items():
        say(f"  {task.value:11} {_served(catalogue, model)}: {_price(catalogue, table, model, now)}")
    say(f"Switched by people: {_switched(switches)}")


def _served(catalogue: Catalogue, model: ModelId) -> str:
    provider = catalogue.providers[catalogue.offers[model].provider]
    return f"{model} ({provider.name}{'' if provider.on else ', off'})"


def _price(catalogue: Catalogue, table: PriceTable, model: ModelId, now: datetime) -> str:
    if catalogue.providers[catalogue.offers[model].provider].cost is not CostKind.USAGE:
        return "nothing by use"
    if (refused := table.unusable([model], now).get(model)) is not None:
        return f"refused, {refused.removeprefix(f'{model}: ')}"
    rows = sorted({_length(row) for row in table.rows if row.model == model and row.holds_at(now)})
    return "; ".join(_written(table.row_for(model, now, length)) for length in rows)


def _length(row: PriceRow) -> int:
    return row.longest_prompt or 1 << 62


def _dollars(price: Decimal) -> str:
    """Write a price to the cent, and finer where it is."""
    return f"{price:.2f}" if price == round_to_cent(price) else plain(price)


def _written(row: PriceRow) -> str:
    """Write a row: dollars per million tokens."""
    kinds = {"in": row.input, "out": row.output, "cached": row.cache_read, "to cache": row.cache_write}
    prices = ", ".join(f"${_dollars(price)} {kind}" for kind, price in kinds.items() if price is not None)
    upto = f" up to {row.longest_prompt:,} tokens" if row.longest_prompt else ""
    until = f" until {row.until:%Y-%m-%d}" if row.until else ""
    return f"{prices} a million{upto}{until}"


def _switched(switches: Switches) -> str:
    parts = [f"{name} {'on' if on else 'off'}" for name, on in switches.providers.items()]
    parts += [f"{slot.value}={model}" for slot, model in [*switches.rungs.items(), *switches.tasks.items()]]
    return ", ".join(parts) or "nothing"
