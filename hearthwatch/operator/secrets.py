"""Store secrets: asked for without an echo, tried before they are stored, never shown (OPS-12, SEC-01).

Decided: values come from the keyboard, from lines that are piped in, or from the environment, never from the command
line, where every user of the machine can read them. Nothing replaces a stored secret before its successor has worked.
The key id is stored before its secret: a function that reads in between is refused by Alpaca, and asks again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.discord import webhook_name
from hearthwatch.operator.model_keys import models_offered, provider_of
from hearthwatch.operator.secret_kinds import EVERY_NAME, KINDS, WEBHOOK, SecretKind, Values, kind_of, require_form
from hearthwatch.operator.stack import NoSuchStack, find_stack
from hearthwatch.operator.surroundings import DEFAULT_PREFIX, Surroundings
from hearthwatch.operator.terminal import agrees
from shared.adapters.alpaca.account_facts import account_facts
from shared.adapters.alpaca.session import connect_trading
from shared.adapters.aws.parameters import LONGEST_VALUE, SHORTEST_VALUE, SsmParameters
from shared.bootstrap.cloud import DISCORD
from shared.domain.credentials import RotationRules, due_credentials
from shared.domain.errors import HearthwatchError
from shared.domain.stage import TradingMode

Ages = Mapping[str, timedelta]
_NOTHING_GIVEN: Final = (
    "nobody to ask and nothing given: pipe NAME=VALUE lines in, or use --environment; "
    f"the names are {', '.join(EVERY_NAME)}, in capitals with _ if you like"
)


def run_secrets(options: argparse.Namespace, here: Surroundings) -> int:
    """List, store or rotate secrets."""
    kinds = KINDS if options.rotate is None else (kind_of(options.rotate),)
    store = _Store(here, _prefix(options.stack, here))
    if options.list:
        _list(store, here)
    elif options.environment:
        _store_given(_from_environment(here.environment), kinds, store, here)
    elif here.terminal.interactive:
        _ask_for_all(kinds, store, here, rotating=options.rotate is not None)
    else:
        _store_given(_from_lines(here.terminal.lines()), kinds, store, here)
    return 0


def ages_text(name: str, ages: Ages) -> str:
    """Say how old a stored secret is, and whether it should be replaced."""
    if name not in ages:
        return "not stored"
    due = due_credentials({name: ages[name]}, RotationRules())
    days = max(ages[name], timedelta(0)).days
    return f"stored, {days} days old" + (
        "" if not due else ", replace it" if due[0].is_overdue else ", replace it soon"
    )


class _Store:
    """The secrets below a prefix."""

    def __init__(self, here: Surroundings, prefix: str) -> None:
        self.prefix = prefix
        self._parameters = SsmParameters(here.aws.ssm, prefix)
        self._here = here

    def ages(self) -> Ages:
        """Say how old each stored secret is, without reading any."""
        with asking("the parameter store"):
            return self._parameters.ages(EVERY_NAME, self._here.clock.now())

    def put(self, kind: SecretKind, values: Values) -> None:
        """Store the parts of a secret."""
        with asking(f"storing {', '.join(kind.names)} (store them again, part of it may be there)"):
            for name in kind.names:
                self._parameters.put(name, values[name])


def _prefix(stack: str, here: Surroundings) -> str:
    try:
        return find_stack(here.aws, stack).prefix
    except NoSuchStack:
        here.terminal.say(f"No stack {stack!r} in {here.aws.region} yet: the secrets lie below {DEFAULT_PREFIX}.")
        return DEFAULT_PREFIX


def _list(store: _Store, here: Surroundings) -> None:
    ages = store.ages()
    for name in EVERY_NAME:
        here.terminal.say(f"{store.prefix}/{name:22} {ages_text(name, ages)}")


# asked for


def _ask_for_all(kinds: Iterable[SecretKind], store: _Store, here: Surroundings, *, rotating: bool) -> None:
    say = here.terminal.say
    ages = store.ages()
    for kind in kinds:
        say()
        say(kind.title)
        say(f"  For: {kind.what_for}")
        say(f"  Where: {kind.where}")
        for name in kind.names:
            say(f"  {name}: {ages_text(name, ages)}")
        if rotating or any(name in ages for name in kind.names):
            say(f"  {kind.overlap}")
        if rotating or agrees(here.terminal, _question(kind, ages)):
            _ask_for(kind, store, here)
    say()
    say("Next: `make preflight` tries everything together.")


def _question(kind: SecretKind, ages: Ages) -> str:
    if all(name in ages for name in kind.names):
        return "Replace it?"
    return f"Store it now? {kind.without}".strip()


def _ask_for(kind: SecretKind, store: _Store, here: Surroundings) -> None:
    """Ask until the answers work; no answer leaves everything as it was."""
    while True:
        values = {}
        for name in kind.names:
            values[name] = here.terminal.ask_secret(f"{name} (not shown, empty to leave it):")
            if not values[name].get_secret_value():
                here.terminal.say("  Left as it was.")
                return
        try:
            works = _try(kind, values, here)
        except OperatorError as problem:
            here.terminal.say(f"  {problem}")
            continue
        store.put(kind, values)
        here.terminal.say(f"  {_stored(kind, store, works)}")
        return


# given


def _from_environment(environment: Mapping[str, str]) -> Values:
    named = {name: environment.get(name.upper().replace("-", "_"), "").strip() for name in EVERY_NAME}
    return {name: SecretStr(value) for name, value in named.items() if value}


def _from_lines(lines: Iterable[str]) -> Values:
    """Read NAME=VALUE lines, as files of variables have them; messages name the line, whose text may be a secret."""
    given: dict[str, SecretStr] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        name = name.strip().lower().replace("_", "-")
        if not equals or name not in EVERY_NAME:
            raise OperatorError(f"line {number}: not one of {', '.join(EVERY_NAME)} with = and its value")
        if value := _unquoted(value.strip()):
            given[name] = SecretStr(value)
    return given


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _store_given(values: Values, wanted: Iterable[SecretKind], store: _Store, here: Surroundings) -> None:
    """Store what was given, once all of it has worked; a pair of which one half is missing stores nothing at all."""
    kinds = [kind for kind in wanted if any(name in values for name in kind.names)]
    if not kinds:
        raise OperatorError(_NOTHING_GIVEN)
    missing = [name for kind in kinds for name in kind.names if name not in values]
    if missing:
        raise OperatorError(f"{', '.join(missing)} is missing: a key id and its secret are stored together")
    tried = {kind.title: _try(kind, {name: values[name] for name in kind.names}, here) for kind in kinds}
    for kind in kinds:
        store.put(kind, values)
        here.terminal.say(_stored(kind, store, tried[kind.title]))


# tried


def _try(kind: SecretKind, values: Values, here: Surroundings) -> str:
    """Say how a secret works; raises OperatorError for one that does not."""
    for name, value in values.items():
        _require_storable(name, value)
        here.told.redactor.learn(value)
    require_form(kind, values)
    if kind.mode is not None:
        return _try_pair(kind.mode, kind, values, here)
    return _try_webhook(values[DISCORD], here) if kind is WEBHOOK else _try_model(kind, values[kind.names[0]], here)


def _stored(kind: SecretKind, store: _Store, works: str) -> str:
    return f"Stored {', '.join(kind.names)} below {store.prefix}: {works}."


def _require_storable(name: str, value: SecretStr) -> None:
    text = value.get_secret_value()
    if not SHORTEST_VALUE <= len(text) <= LONGEST_VALUE or not all("!" <= character <= "~" for character in text):
        raise OperatorError(f"{name}: expected at least {SHORTEST_VALUE} visible ASCII characters without a blank")


def _try_pair(mode: TradingMode, kind: SecretKind, values: Values, here: Surroundings) -> str:
    key_id, secret = (values[name].get_secret_value() for name in kind.names)
    client = connect_trading(key_id, secret, paper=mode is TradingMode.PAPER, url=here.sources.alpaca_trading_url)
    try:
        facts = account_facts(client, here.clock)
    except HearthwatchError as problem:
        raise OperatorError(f"{kind.title}: the pair opens nothing, so it was not stored: {problem}") from None
    return f"the {mode.value} account {facts.number} is {facts.status}"


def _try_webhook(address: SecretStr, here: Surroundings) -> str:
    try:
        name = webhook_name(address, here.clock, loopback=here.sources.discord_loopback)
    except HearthwatchError as problem:
        raise OperatorError(f"Discord webhook: it does not work, so it was not stored: {problem}") from None
    return f"Discord knows it as {name}"


def _try_model(kind: SecretKind, key: SecretStr, here: Surroundings) -> str:
    """Ask for the list of models, which is free: a question would cost money."""
    try:
        offered = models_offered(provider_of(kind.names[0]), key, here.sources)
    except HearthwatchError as problem:
        raise OperatorError(f"{kind.title}: the key does not work, so it was not stored: {problem}") from None
    return f"{kind.title} lists {len(offered)} models; nothing was asked of any"
