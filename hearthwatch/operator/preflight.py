"""Check everything before anything trades (OPS-03): each check for itself, each failure with what to do about it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final

from hearthwatch.operator.checks import Check, Finding, Result, Seen, failed, findings, ok, warning
from hearthwatch.operator.checks_of_alerts import checks_of_alerts
from hearthwatch.operator.checks_of_market import checks_of_market, quotes_now
from hearthwatch.operator.checks_of_models import checks_of_models
from hearthwatch.operator.checks_of_running import checks_of_running
from hearthwatch.operator.checks_of_stores import checks_of_stores
from hearthwatch.operator.discord import webhook_name
from hearthwatch.operator.fractional_probe import ProbeFractions
from hearthwatch.operator.secret_kinds import KINDS, LIVE, SecretKind
from hearthwatch.operator.secrets import ages_text
from hearthwatch.operator.stack import DeployedStack, find_stack
from hearthwatch.operator.surroundings import Surroundings
from shared.adapters.alpaca.account_facts import takes_fractions
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.aws.parameters import SsmParameters
from shared.bootstrap.cloud import DISCORD, LIVE_KEYS, Cloud
from shared.domain.credentials import RotationRules, due_credentials
from shared.domain.stage import TradingMode, judge_mode, trades_live
from shared.settings import AccountSettings, MailSettings

STORE: Final = "store it with `make secrets`"


def run_preflight(options: argparse.Namespace, here: Surroundings) -> int:
    """Make every check of a stack, say what was seen, and fail when anything did."""
    stack = find_stack(here.aws, options.stack)
    here.terminal.say(f"Preflight of {stack.name} in {stack.region}, stage {stack.stage.value}")
    here.terminal.say()
    found = []
    with here.cloud_of(stack) as cloud:
        for finding in findings(checks_of(stack, cloud, here, quiet=options.quiet)):
            found.append(finding)
            here.terminal.say(f"{finding.seen.result.value:8} {finding.check:24} {finding.seen.text}")
    _conclude(found, here)
    return int(any(finding.seen.result is Result.FAILED for finding in found))


def checks_of(stack: DeployedStack, cloud: Cloud, here: Surroundings, *, quiet: bool) -> Iterator[Check]:
    """Yield every check of a stack, what the others rest on first."""
    account, mail = AccountSettings.read(stack.environment), MailSettings.read(stack.environment)
    secrets = SsmParameters(here.aws.ssm, stack.prefix)
    mode = _mode_of(cloud, account)

    def webhook() -> str:
        address = secrets.read([DISCORD])[DISCORD].value
        here.told.redactor.learn(address)
        return webhook_name(address, here.clock, loopback=here.sources.discord_loopback)

    def broker_time() -> datetime:
        return AlpacaBroker(cloud.trading_client(TradingMode.PAPER), cloud.clock).clock().at

    return chain(
        checks_of_running(here.aws, stack, here.clock, broker_time),
        _checks_of_secrets(secrets, stack, cloud),
        checks_of_stores(here.aws, stack),
        checks_of_market(cloud, account, mode),
        [Check("fractions", lambda: _probe(cloud, here)(quotes_now(cloud)), "see status.alpaca.markets")],
        checks_of_models(cloud, secrets, here),
        checks_of_alerts(cloud, here.aws, mail, stack.stage, webhook, quiet=quiet),
    )


def secret_there(parameters: SsmParameters, kind: SecretKind, name: str, stack: DeployedStack, cloud: Cloud) -> Seen:
    """Look whether a secret is stored, and how old it is."""
    ages = parameters.ages([name], cloud.clock.now())
    if name not in ages:
        needed = kind.required or (kind is LIVE and stack.stage.is_live)
        spared = "not stored, and not needed on paper" if kind is LIVE else f"not stored. {kind.without}"
        return failed("not stored", STORE) if needed else ok(spared)
    text = ages_text(name, ages)
    if due_credentials(ages, RotationRules()):
        return warning(text, f"make a new one, then: make secrets ROTATE={name}")
    return ok(text)


def mode_there(parameters: SsmParameters, stack: DeployedStack, cloud: Cloud) -> Seen:
    """Look whether stage, confirmation and keys fit together (ORD-02)."""
    account = AccountSettings.read(stack.environment)
    ages = parameters.ages(LIVE_KEYS, cloud.clock.now())
    confirmation = cloud.confirmations.get()
    keys = {name: name in ages for name in LIVE_KEYS}
    mode = judge_mode(account.stage, confirmation, account.live_account, keys, cloud.clock.now())
    if account.stage.is_live and mode is TradingMode.PAPER:
        return warning(f"on paper, though the stage is {account.stage.value}", f"make mode STAGE={account.stage.value}")
    if mode is TradingMode.LIVE and confirmation is not None and confirmation.ends_soon(cloud.clock.now()):
        todo = f"confirm it again: make mode STAGE={account.stage.value}"
        return warning(f"with real money, confirmed until {confirmation.expires_at:%Y-%m-%d} only", todo)
    return ok("with real money" if mode is TradingMode.LIVE else "on paper")


def _checks_of_secrets(parameters: SsmParameters, stack: DeployedStack, cloud: Cloud) -> list[Check]:
    there = [
        Check(name, partial(secret_there, parameters, kind, name, stack, cloud), STORE)
        for kind in KINDS
        for name in kind.names
    ]
    todo = f"see `make mode`; delete {LIVE.title} keys that are not meant to trade"
    return [*there, Check("trading", lambda: mode_there(parameters, stack, cloud), todo)]


def _mode_of(cloud: Cloud, account: AccountSettings) -> TradingMode:
    """Say which account the switches point to; whether everything fits is a check of its own."""
    try:
        confirmation = cloud.confirmations.get() if account.stage.is_live else None
    except Exception:  # noqa: BLE001 -- the Book's own checks say what is wrong with it
        return TradingMode.PAPER
    live = trades_live(account.stage, confirmation, account.live_account, cloud.clock.now())
    return TradingMode.LIVE if live else TradingMode.PAPER


def _probe(cloud: Cloud, here: Surroundings) -> ProbeFractions:
    client = cloud.trading_client(TradingMode.PAPER)
    return ProbeFractions(
        broker=AlpacaBroker(client, here.clock),
        fractionable=lambda symbol: takes_fractions(client, symbol, here.clock),
        probes=cloud.probes,
        clock=here.clock,
        pause=here.pause,
    )


def _conclude(found: list[Finding], here: Surroundings) -> None:
    wrong = [finding for finding in found if finding.seen.result is not Result.OK]
    for finding in sorted(wrong, key=lambda finding: finding.seen.result is not Result.FAILED):
        here.terminal.say()
        here.terminal.say(f"{finding.check} ({finding.seen.result.value}): {finding.seen.text}")
        here.terminal.say(f"  What to do: {finding.seen.todo}.")
    counts = Counter(finding.seen.result for finding in found)
    here.terminal.say()
    here.terminal.say(", ".join(f"{counts[result]} {result.value}" for result in Result))
