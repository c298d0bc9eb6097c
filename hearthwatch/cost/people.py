"""`grant` and `release`: what a person decides about the budget, shown first and recorded (BUD-02, BUD-07)."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from hearthwatch.cost.show import LONGEST_CELL, dollars, drawn
from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.inside_run import inside_run
from hearthwatch.operator.stack import find_stack
from hearthwatch.operator.surroundings import Surroundings
from hearthwatch.operator.terminal import agrees
from shared.bootstrap.cloud import Cloud
from shared.domain.budget import BudgetRules, Denied, GrantId, No, Reservation, ReservationId, month_of
from shared.domain.cost_report import Left, day_left, month_left
from shared.domain.day_plan import exchange_date
from shared.domain.text import clean
from shared.domain.times import iso
from shared.settings import BudgetSettings

OK, WRONG = 0, 1
TOKEN_BYTES: Final = 6
LONGEST_REASON: Final = 400
REFUSED: Final = {
    No.NO_GRANT: "as many as a day may have were granted already",
    No.MONTH_SPENT: "the month has no money left for it, and nothing raises the month",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """Somebody who decides, and where."""

    by: str
    cloud: Cloud
    rules: BudgetRules
    here: Surroundings

    def say(self, text: str = "") -> None:
        self.here.terminal.say(text)

    def agreed(self, question: str, *, already: bool) -> None:
        """Raise OperatorError unless somebody says yes."""
        if already:
            return
        try:
            yes = agrees(self.here.terminal, question)
        except OperatorError as problem:
            raise OperatorError("nobody answered, nothing was changed; without a terminal add --yes") from problem
        if not yes:
            raise OperatorError("nothing was changed")


def run_grant(options: argparse.Namespace, here: Surroundings) -> int:
    """Allow one call more than today's money, once."""
    why = _reason(options.why)
    with _person(options, here) as person:
        today = exchange_date(person.here.clock.now())
        with asking("the budget"):
            month = person.cloud.budgets.month(month_of(today))
        granted = [grant for grant in month.grants.values() if grant.day == today]
        for left in (day_left(month, today, person.rules), month_left(month, person.rules)):
            person.say(_words(left))
        of_them = f", {dollars(month.granted(today))} of today's limit are for these calls alone" if granted else ""
        person.say(f"Granted today: {len(granted)} of {person.rules.grants_a_day}{of_them}.")
        closed = month.day(today).closed
        if closed:
            person.say(f"The day is closed ({clean(closed, LONGEST_CELL)}): nothing is asked on it, allowed or not.")
        person.say(f"This allows one call of up to {dollars(person.rules.grant)} today; it never raises the month.")
        person.agreed("Grant it?", already=options.yes)
        grant = GrantId(f"{today:%Y%m%d}-{secrets.token_hex(TOKEN_BYTES)}")
        with asking("the allowance"):
            found = person.cloud.use_cases.grant_allowance(grant, person.by, why)
        if isinstance(found, Denied):
            raise OperatorError(f"not granted: {REFUSED.get(found.why, found.why.value)}")
        person.say(f"Granted: {grant}")
        person.say(f"It serves one question, today: `ask --grant {grant}`.")
        return OK


def run_release(options: argparse.Namespace, here: Surroundings) -> int:
    """List what is reserved, or release one reservation at no cost on a person's word."""
    if options.list:
        with _person(options, here) as person:
            _list(person)
            return OK
    if options.reservation is None:
        raise OperatorError("name the reservation, or list them with --list")
    why = _reason(options.why)
    with _person(options, here) as person:
        held = {one.id: one for one in _open(person)}.get(ReservationId(options.reservation))
        if held is None:
            raise OperatorError(
                f"no reservation {options.reservation!r} is open; `release --list` names those that are"
            )
        person.say(_table([held]))
        person.say("Released, it counts as nothing. Do this only when the provider's own report shows no such call.")
        person.agreed("Release it?", already=options.yes)
        with asking("the reservation"):
            charge = person.cloud.use_cases.release_reservation(held.id, person.by, why)
        if charge.cost:
            person.say(f"It was settled meanwhile at {dollars(charge.cost)}, and that stands.")
            return WRONG
        person.say(f"Released: {dollars(held.amount)} may be spent again.")
        return OK


@contextmanager
def _person(options: argparse.Namespace, here: Surroundings) -> Iterator[_Person]:
    with ExitStack() as opened:
        name, by = options.stack, ""
        if options.local:
            here, name = opened.enter_context(inside_run(here, options.folder))
            by = "this machine"
        stack = find_stack(here.aws, name)
        if not by:
            with asking("who asks"):
                by = here.aws.sts.get_caller_identity()["Arn"].rpartition("/")[2]
        cloud = opened.enter_context(here.cloud_of(stack))
        yield _Person(by=by, cloud=cloud, rules=BudgetSettings.read(stack.environment).rules(), here=here)


def _list(person: _Person) -> None:
    held = _open(person)
    person.say(_table(held) if held else "Nothing is reserved.")


def _open(person: _Person) -> list[Reservation]:
    with asking("the budget"):
        return person.cloud.use_cases.release_reservation.open()


def _table(held: list[Reservation]) -> str:
    rows = [
        [
            one.id,
            iso(one.issued_at)[:19] + "Z",
            iso(one.expires_at)[:19] + "Z",
            one.call.purpose.value,
            one.call.model,
            one.call.work,
            dollars(one.amount),
        ]
        for one in held
    ]
    return drawn("Reserved", ["reservation", "since", "spent at", "for", "model", "work", "amount"], rows, words=6)


def _words(left: Left) -> str:
    reserved = f", {dollars(left.reserved)} reserved" if left.reserved else ""
    name = "Today" if left.name == "day" else "This month"
    return f"{name}: {dollars(left.spent)} spent{reserved}, {dollars(left.left)} left of {dollars(left.limit)}."


def _reason(why: str | None) -> str:
    text = (why or "").strip()
    if not text or len(text) > LONGEST_REASON or not text.isprintable():
        raise OperatorError(f"a reason is needed with --why, of at most {LONGEST_REASON} printable letters")
    return text
