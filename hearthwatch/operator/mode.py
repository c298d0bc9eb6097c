"""Show the two switches of live trading, and set the one that is typed (ORD-02)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.secret_kinds import EVERY_NAME
from hearthwatch.operator.secrets import ages_text
from hearthwatch.operator.stack import DeployedStack, find_stack
from hearthwatch.operator.surroundings import Surroundings
from shared.adapters.alpaca.account_facts import account_facts
from shared.adapters.aws.parameters import SsmParameters
from shared.bootstrap.cloud import LIVE_KEYS, Cloud
from shared.domain.errors import StartRefused
from shared.domain.stage import LiveConfirmation, Stage, TradingMode, judge_mode, words_to_type
from shared.domain.times import iso
from shared.settings import AccountSettings


def run_mode(options: argparse.Namespace, here: Surroundings) -> int:
    """Show how a stack trades; with a live stage, ask for the confirmation of it and store that."""
    stack = find_stack(here.aws, options.stack)
    with here.cloud_of(stack) as cloud:
        if options.stage is not None:
            _confirm(options.stage, stack, cloud, here)
            here.terminal.say()
        _show(stack, cloud, here)
    return 0


def _confirm(stage: Stage, stack: DeployedStack, cloud: Cloud, here: Surroundings) -> None:
    if not stage.is_live:
        raise OperatorError("paper needs no confirmation: `make deploy STAGE=paper`, and delete the live keys")
    account = _live_account(stack, cloud)
    words = words_to_type(stage, account)
    here.terminal.say(f"From now on orders may go out with real money: {words}.")
    here.terminal.say("docs/compliance.md says what must be settled before. This holds for 30 days.")
    typed = here.terminal.ask(f'Type "{words}" to confirm:')
    with asking("confirming"):
        by = here.aws.sts.get_caller_identity()["Arn"].rpartition("/")[2]
        cloud.use_cases.confirm_live(typed, stage=stage, account=account, by=by)
    here.terminal.say("Confirmed.")


def _live_account(stack: DeployedStack, cloud: Cloud) -> str:
    """Ask Alpaca which account the live keys open, and hold it against the configured one."""
    with asking("the live account"):
        number = account_facts(cloud.trading_client(TradingMode.LIVE), cloud.clock).number
    configured = stack.parameters["LiveAccount"]
    if number != configured:
        raise OperatorError(
            f"the live keys open account {number}, configured is {configured}: "
            f'make deploy PARAMETERS="LiveAccount={number}", then confirm again'
        )
    return number


def _show(stack: DeployedStack, cloud: Cloud, here: Surroundings) -> None:
    with asking(f"stack {stack.name}"):
        account = AccountSettings.read(stack.environment)
        confirmation = cloud.confirmations.get()
        ages = SsmParameters(here.aws.ssm, stack.prefix).ages(EVERY_NAME, here.clock.now())
    say = here.terminal.say
    say(f"first switch, the stage:         {account.stage.value} (account {account.live_account})")
    say(f"second switch, the confirmation: {_confirmation_text(confirmation, cloud)}")
    for name in EVERY_NAME:
        say(f"{name + ':':33}{ages_text(name, ages)}")
    keys = {name: name in ages for name in LIVE_KEYS}
    try:
        mode = judge_mode(account.stage, confirmation, account.live_account, keys, here.clock.now())
    except StartRefused as problem:
        say(f"orders:                          none, nothing starts. {problem}")
        return
    say(f"orders:                          {'with real money' if mode is TradingMode.LIVE else 'on paper'}")
    for missing in _missing(account, confirmation, keys, cloud):
        say(f"missing for real money:          {missing}")


def _confirmation_text(confirmation: LiveConfirmation | None, cloud: Cloud) -> str:
    if confirmation is None:
        return "none"
    words = words_to_type(confirmation.stage, confirmation.account)
    if not confirmation.holds_at(cloud.clock.now()):
        return f"{words}, ended on {iso(confirmation.expires_at)}"
    return f"{words}, by {confirmation.by}, until {iso(confirmation.expires_at)}"


def _missing(
    account: AccountSettings, confirmation: LiveConfirmation | None, keys: Mapping[str, bool], cloud: Cloud
) -> Iterator[str]:
    """Name what real money still needs, in the order in which it is done."""
    if not account.stage.is_live:
        yield 'a live stage: make deploy STAGE=live-1 PARAMETERS="LiveAccount=<number>"'
    absent = [name for name, is_there in keys.items() if not is_there]
    if absent:
        yield f"{', '.join(absent)}: make secrets"
    wanted = account.stage if account.stage.is_live else Stage.LIVE_1
    holds = confirmation is not None and confirmation.holds_at(cloud.clock.now())
    if (
        not holds
        or confirmation is None
        or (confirmation.stage, confirmation.account)
        != (
            wanted,
            account.live_account,
        )
    ):
        yield f"the confirmation: make mode STAGE={wanted.value}"
