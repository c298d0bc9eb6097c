"""The kill switch from the command line: kill, freeze, flatten and clear (BRK-04).

Decided: each command shows what stands and what it will do before it asks, and afterwards reads the switch back and
watches what it does. What cannot be shown keeps nobody from stopping: a kill goes on without it. A stack that is being
changed, or failed to change, is taken as it is; a kill takes one of an older version too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.inside_run import inside_run
from hearthwatch.operator.stack import DeployedStack, find_stack
from hearthwatch.operator.surroundings import Surroundings
from hearthwatch.operator.terminal import agrees
from shared.bootstrap.cloud import Cloud
from shared.domain.errors import Conflict, HearthwatchError, Stop
from shared.domain.intents import AT_BROKER, Intent
from shared.domain.money import plain
from shared.domain.trading_state import KillSwitch, SwitchMode
from shared.use_cases.check_risk import read_kill_switch

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at what is still open."""
LOOKS: Final = 15
"""Half a minute in all: the doorbell wakes the executor within seconds, else its own schedule within a minute."""
WILL: Final = {
    SwitchMode.KILL: "kill: nothing is bought from now on and open entry orders are canceled. Protective exits and "
    "stops go on.",
    SwitchMode.FREEZE: "freeze: no order leaves from now on, PROTECTIVE EXITS INCLUDED, and open entry orders are "
    "canceled. Stops that rest at the broker are left alone; nothing else protects what is held.",
    SwitchMode.FLATTEN: "flatten: every position is sold at market, whatever its price, and nothing is bought. While "
    "the market is closed the sales wait for the open.",
    SwitchMode.OFF: "clear: exits that wait leave first, then entries that still pass every gate. What was sold or "
    "canceled stays so, and orders at the broker stay there.",
}
STAYS: Final = "It stays so, whatever is started anew, until `clear`."

OK, WRONG = 0, 1

Answer = TypeVar("Answer")


def run_kill(options: argparse.Namespace, here: Surroundings) -> int:
    """Stop all new exposure."""
    return _run(SwitchMode.KILL, options, here)


def run_freeze(options: argparse.Namespace, here: Surroundings) -> int:
    """Stop everything, protective exits included."""
    return _run(SwitchMode.FREEZE, options, here)


def run_flatten(options: argparse.Namespace, here: Surroundings) -> int:
    """Stop all new exposure and sell every position."""
    return _run(SwitchMode.FLATTEN, options, here)


def run_clear(options: argparse.Namespace, here: Surroundings) -> int:
    """Let trading go on."""
    return _run(SwitchMode.OFF, options, here)


def _run(mode: SwitchMode, options: argparse.Namespace, here: Surroundings) -> int:
    with ExitStack() as opened:
        name, by = options.stack, ""
        if options.local:
            here, name = opened.enter_context(inside_run(here, options.folder))
            by = "this machine"
        stack = find_stack(here.aws, name, in_any_state=True, of_any_version=mode is SwitchMode.KILL)
        by = by or _caller(mode, here)
        cloud = opened.enter_context(here.cloud_of(stack))
        where = f"the run in {options.folder}" if options.local else f"stack {stack.name} in {stack.region}"
        change = _Change(mode, stack, cloud, here, where)
        return change.make(by=by, why=options.why, agreed=mode is SwitchMode.KILL and options.yes)


def _caller(mode: SwitchMode, here: Surroundings) -> str:
    """Ask AWS who asks; a kill does not wait for the answer."""
    try:
        with asking("who asks"):
            return here.aws.sts.get_caller_identity()["Arn"].rpartition("/")[2]
    except OperatorError:
        if mode is not SwitchMode.KILL:
            raise
        return "somebody whom AWS does not name"


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of the switch: shown, confirmed, made and watched."""

    mode: SwitchMode
    stack: DeployedStack
    cloud: Cloud
    here: Surroundings
    where: str

    def make(self, *, by: str, why: str, agreed: bool) -> int:
        with asking("the kill switch"):
            standing = read_kill_switch(self.cloud.controls)
        self._show(standing)
        typed = self._confirmed(standing, agreed=agreed)
        unfinished = self._write(standing, by, why, typed)
        if unfinished:
            self._say(f"Not all of it was done: {unfinished}")
        stands = self._read_back()
        done = self._watch(stands)
        return OK if done and not unfinished else WRONG

    # what stands

    def _show(self, standing: KillSwitch) -> None:
        self._say(f"{self._account()}, stage {self.stack.stage.value}: {self.where}.")
        self._say(f"Kill switch: {standing.words}")
        self._say(f"Held: {self._told(self._held)}")
        self._say(f"Open orders: {self._told(lambda: _listed(self._open()))}")
        self._say()
        self._say(WILL[self.mode])
        if self.mode is not SwitchMode.OFF:
            self._say(STAYS)

    def _account(self) -> str:
        account = self._told(lambda: str(self.cloud.account))
        number = self.stack.parameters.get("LiveAccount", "")
        return f"Account {account}{f' {number}' if account == 'live' else ''}"

    def _held(self) -> str:
        readable = self.cloud.positions.readable()
        held = [f"{plain(position.quantity)} {position.symbol}" for position in readable.positions]
        return ", ".join([*held, *(f"unreadable ({problem})" for problem in readable.problems)]) or "nothing"

    def _open(self) -> Sequence[Intent]:
        return list(self.cloud.ledgers.load(self.cloud.account).open.values())

    def _told(self, read: Callable[[], str]) -> str:
        """Read something to show; what cannot be read says why, and stops nobody."""
        try:
            with asking("unknown"):
                return read()
        except Stop as problem:
            return str(problem)

    # changing it

    def _confirmed(self, standing: KillSwitch, *, agreed: bool) -> str:
        """Ask for what the change needs, and return the words that were typed."""
        with asking("what is to be typed"):
            words = self.cloud.use_cases.set_kill_switch.words_needed(self.mode, standing)
        if words:
            if agreed:
                raise OperatorError(f'"{words}" must be typed to let go what stands: without --yes')
            return self._answered(lambda: self.here.terminal.ask(f'Type "{words}" to go on:'))
        if not agreed and not self._answered(lambda: agrees(self.here.terminal, "Set it?")):
            raise OperatorError("nothing was changed")
        return ""

    def _answered(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except OperatorError as problem:
            how = "add --yes" if self.mode is SwitchMode.KILL else "give what is to be typed on standard input"
            raise OperatorError(f"nobody answered, nothing was changed; without a terminal {how}") from problem

    def _write(self, standing: KillSwitch, by: str, why: str, typed: str) -> str:
        """Make the change and say what of it failed after the switch was written; a kill waits for nobody's news."""
        seen = None if self.mode is SwitchMode.KILL and not typed else standing
        try:
            self.cloud.use_cases.set_kill_switch(self.mode, by=by, why=why, typed=typed, seen=seen)
        except (Stop, Conflict) as problem:
            raise OperatorError(f"nothing was changed: {problem}") from problem
        except HearthwatchError as problem:
            return str(problem)
        return ""

    def _read_back(self) -> KillSwitch:
        with asking("the switch cannot be read back, look again"):
            stands = self.cloud.controls.kill_switch()
        self._say(f"Kill switch: {stands.words}")
        if stands.mode is not self.mode and self.mode is not SwitchMode.OFF:
            raise OperatorError("that is not what was asked for: run it again")
        if stands.engaged and self.mode is SwitchMode.OFF:
            self._say("Entries stay stopped all the same.")
        return stands

    # what it does

    def _watch(self, stands: KillSwitch) -> bool:
        """Show what is still open until it is gone, half a minute at most; say whether every entry order is."""
        if not stands.engaged:
            self._say("Exits that waited leave within a minute; entries follow with the next risk check.")
            return True
        before = None
        for _ in range(LOOKS):
            left = self._told(lambda: _listed(self._entries_left()))
            if left != before:
                self._say(f"Open entry orders: {left}")
            if left == _NONE:
                self._say_what_follows(stands)
                return True
            before = left
            self.here.pause(LOOK_EVERY)
        self._say("After half a minute that is not over: the executor tries again every minute.")
        self._say("Look at the orders at the broker and cancel there what stays; the log of PlaceOrders says why.")
        self._say_what_follows(stands)
        return False

    def _entries_left(self) -> Sequence[Intent]:
        """List the entries that can still buy; an order counts as gone as soon as the broker says so."""
        return [intent for intent in self._open() if intent.is_entry and self._can_fill(intent)]

    def _can_fill(self, intent: Intent) -> bool:
        if intent.state not in AT_BROKER:
            return True
        order = self.cloud.broker.order_by_client_id(intent.id)
        return order is None or order.is_live

    def _say_what_follows(self, stands: KillSwitch) -> None:
        if stands.freezes:
            self._say(f"Held back: {self._told(lambda: _listed([i for i in self._open() if _waits(i)]))}")
        if stands.flattens:
            self._say(
                "The next risk check while the market is open prepares the sales; each is told when it is filled."
            )

    def _say(self, text: str = "") -> None:
        self.here.terminal.say(text)


_NONE: Final = "none"


def _waits(intent: Intent) -> bool:
    return not intent.is_entry and intent.state not in AT_BROKER


def _listed(intents: Sequence[Intent]) -> str:
    orders = [f"{i.side.value} {plain(i.quantity)} {i.symbol} ({i.purpose.reason.words}, {i.state})" for i in intents]
    return ", ".join(orders) or _NONE
