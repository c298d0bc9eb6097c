"""Checks of the models and their money: prices, the key, and the ledger of the month (fault 31).

Decided: a missing price or a refused key is a warning. What protects needs no model, so neither keeps a schedule from
starting; the model is not asked until it is mended. A parameter that cannot be read is a failure like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hearthwatch.operator.checks import Check, Seen, ok, warning
from hearthwatch.operator.model_keys import models_offered
from hearthwatch.operator.surroundings import Surroundings
from shared.adapters.aws.parameters import SsmParameters
from shared.bootstrap.cloud import Cloud
from shared.bootstrap.models import KEYS
from shared.domain.budget import month_of
from shared.domain.day_plan import exchange_date
from shared.domain.errors import HearthwatchError
from shared.domain.model_prices import ModelId, in_dollars
from shared.domain.providers import Catalogue

PRICES: Final = "give it a price with `make deploy PRICES=prices.json`, or put another on its rung with `make models`"
KEY: Final = "store a working key with `make secrets`"
BUDGET: Final = 'mend the parameter: make deploy PARAMETERS="BudgetDay=5 BudgetMonth=150"'


def checks_of_models(cloud: Cloud, parameters: SsmParameters, here: Surroundings) -> list[Check]:
    """List the checks of the models and of what they may cost."""
    return [
        Check("models", lambda: prices(cloud), PRICES),
        Check("model keys", lambda: keys(cloud, parameters, here), KEY),
        Check("budget", lambda: budget(cloud), BUDGET),
    ]


def prices(cloud: Cloud) -> Seen:
    """Name every paid model on a rung that has no price today; one that only people ask for is a note."""
    catalogue, table = cloud.choices.catalogue(), cloud.budget_settings.prices()
    unusable = table.unusable(catalogue.paid(), cloud.clock.now())
    refused = [why for model, why in unusable.items() if model in catalogue.routable()]
    noted = [why for model, why in unusable.items() if model not in catalogue.routable()]
    if refused:
        return warning(f"not asked until it has a price: {'; '.join([*refused, *noted])}", PRICES)
    priced = [model for model in catalogue.paid() if model not in unusable]
    note = f"; not asked: {'; '.join(noted)}" if noted else ""
    return ok(f"{', '.join(priced) or 'none'} priced today{note}")


def keys(cloud: Cloud, parameters: SsmParameters, here: Surroundings) -> Seen:
    """Ask every provider that is on and has a key what it offers, which is free."""
    catalogue = cloud.choices.catalogue()
    wanted = {name: KEYS[name] for name, provider in catalogue.providers.items() if provider.on and name in KEYS}
    stored = parameters.ages(list(wanted.values()), cloud.clock.now())
    said, problems = [], []
    for provider, secret in wanted.items():
        if secret not in stored:
            said.append(f"{secret} is not stored, so {provider} is not asked")
            continue
        key = parameters.read([secret])[secret].value
        here.told.redactor.learn(key)
        try:
            offered = models_offered(provider, key, here.sources)
        except HearthwatchError as problem:
            problems.append(str(problem))
            continue
        missing = _missing(catalogue, provider, offered)
        problems += [f"{provider} does not offer {', '.join(missing)}"] if missing else []
        said.append(f"{provider} takes the key and offers {len(offered)} models")
    return warning("; ".join([*problems, *said]), KEY) if problems else ok("; ".join(said) or "no provider is on")


def budget(cloud: Cloud) -> Seen:
    """Read the ledger of the month and show the limits; a day is New York's."""
    rules, day = cloud.budget_settings.rules(), exchange_date(cloud.clock.now())
    month = cloud.budgets.month(month_of(day))
    today = month.day(day)
    text = (
        f"today ${in_dollars(today.committed)} of ${in_dollars(rules.day)}, "
        f"this month ${in_dollars(month.committed)} of ${in_dollars(rules.month)}"
    )
    if today.closed:
        return warning(f"{text}; nothing more today: {today.closed}", "look at the provider's own limit and balance")
    return ok(text)


def _missing(catalogue: Catalogue, provider: str, offered: Sequence[str]) -> list[ModelId]:
    """Name what serves and is not offered; a dated form of a name is the same model."""
    serving = [model for model in catalogue.routable() if catalogue.offers[model].provider == provider]
    return [model for model in serving if not any(name == model or name.startswith(f"{model}-") for name in offered)]
