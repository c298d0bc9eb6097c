"""`ask`: one question by hand, through the same ladder and under the same budget as everything else (TIR-01, BUD-02).

Decided: it asks in the operator's own name, with the key that the parameter store holds and no other. The question may
be anything, so it is cleaned and bounded before it is sent, and the answer is cleaned before it is shown.
"""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from rich.console import Console

from hearthwatch.cost.as_json import amount, dumped
from hearthwatch.cost.show import dollars, drawn
from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.inside_run import inside_run
from hearthwatch.operator.stack import find_stack
from hearthwatch.operator.surroundings import Surroundings
from shared.adapters.system_clock.steady import SteadyClock
from shared.bootstrap.cloud import Cloud
from shared.contracts.free_answer import LONGEST as LONGEST_ANSWER
from shared.contracts.free_answer import SCHEMA, read_free_answer
from shared.domain.budget import GrantId, No, month_of
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.charges import Charge, Statement, statement
from shared.domain.day_plan import exchange_date
from shared.domain.errors import HearthwatchError, InvalidValue
from shared.domain.journal import Plain
from shared.domain.questions import Answer, Ending, Question, Step, Task
from shared.domain.text import clean, width
from shared.domain.times import iso
from shared.prompts.ask import SHA256, SYSTEM, VERSION, render
from shared.use_cases.climb_ladder import NOBODY_STANDS

ANSWERED, ABSTAINED = 0, 1
LONGEST_QUESTION: Final = 8_000
"""Characters: two pages, and far below the length from which a prompt costs more a token."""
LONGEST_WAIT: Final = 300
"""Seconds; no call of a model waits longer."""
PLAYED: Final = "Claude is played on this machine: its answer means nothing, and no real money is spent."
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.:/-]{0,99}", re.ASCII)
_UNKNOWN: Final = "it knows no answer"

_NEXT: Final[Mapping[str, str]] = {
    No.MONTH_SPENT: "The month's money is spent and nothing raises it; it begins anew with the month in New York.",
    No.DAY_SPENT: "Today's money is spent: `cost` shows on what, and `grant` allows one call more today.",
    No.ENVELOPE_SPENT: "Today's share for this is spent: `cost` shows on what, and `grant` allows one call more today.",
    No.DAY_CLOSED: "The day is closed: `cost` says why. It opens again with the next day in New York.",
    No.UNPRICED: "No model is asked without a price today: `models` names it, docs/operations.md says how to add one.",
    No.BEING_ASKED: "Somebody asks the same right now: ask again in a minute, and the answer is known.",
    No.TOO_OFTEN: "This work was charged as often as may be: leave --work out, or name another.",
    No.NO_GRANT: "That allowance is not one of today, or was used: `grant` gives another.",
    No.GRANT_TOO_SMALL: "The call may cost more than the allowance: ask with a lower --highest.",
    No.LEDGER_UNREADABLE: "The budget cannot be read or written, so nothing is asked: `preflight` says what is wrong.",
    No.NO_TIME: "Too little time was left: give more with --timeout.",
    No.SWITCHED_OFF: "Its provider is off: `models --on` lets it be asked.",
    NOBODY_STANDS: "No model serves it: `models` shows which providers are on, `models --on NAME` lets one be asked.",
    No.NOT_ASKED_BY_A_PERSON: "The dearest model wants --opus.",
    Ending.REFUSED: "The model would not answer this: put the question in other words.",
    Ending.TRUNCATED: "The answer was longer than one may be: ask for less.",
    Ending.TIMED_OUT: "No whole answer came in time and it may have been charged: give more time with --timeout.",
    Ending.REJECTED: "The provider or its key said no: `preflight` tries the key, `make secrets` stores another.",
    Ending.SPEND_LIMIT: "The provider's own limit is reached: look at its console.",
    Ending.UNREADABLE: "The answer was not in the form asked for: ask again.",
}
"""What a person does about a reason."""
_LATER: Final = "Ask again later; `preflight` tries the provider."


def run_ask(options: argparse.Namespace, here: Surroundings) -> int:
    """Ask one question; 1 when nobody had an answer."""
    wanted = _Wanted.of(options)
    with ExitStack() as opened:
        name, where = options.stack, "the deployed stack"
        if options.local:
            here, name = opened.enter_context(inside_run(here, options.folder))
            here = replace(here, clock=SteadyClock(here.clock.now()))
            where = f"the run in {options.folder}"
        stack = find_stack(here.aws, name)
        cloud = opened.enter_context(here.cloud_of(stack))
        by = _caller(here, is_local=options.local) if options.opus else ""
        question = wanted.question(here, by)
        if not options.json:
            _say_where(here, f"stack {stack.name} in {stack.region}" if not options.local else where)
        with _shown(here, wanted):
            answer = _asked(cloud, here, question, wanted.wait)
        return _Told(answer, question, cloud, here).tell(as_json=options.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What was typed, checked."""

    text: str
    highest: Rung
    work: str
    grant: str
    wait: timedelta

    @classmethod
    def of(cls, options: argparse.Namespace) -> _Wanted:
        """Check what was typed; raises InvalidValue or OperatorError before anything is asked."""
        highest = _highest(options)
        if not 1 < options.timeout <= LONGEST_WAIT:
            raise InvalidValue("timeout", options.timeout, f"2 to {LONGEST_WAIT} seconds")
        return cls(
            text=_question(options.question),
            highest=highest,
            work=_named("work", options.work),
            grant=_named("grant", options.grant),
            wait=timedelta(seconds=options.timeout),
        )

    def question(self, here: Surroundings, by: str) -> Question:
        """Put the question; every one is work of its own unless the person names it."""
        now, token = here.clock.now(), secrets.token_hex(4)
        return Question(
            work=WorkId(self.work or f"ask-{now:%Y%m%dT%H%M%S}-{token}"),
            purpose=Purpose.CHAT,
            task=Task.CHAT,
            system=SYSTEM,
            user=render(self.text),
            schema=SCHEMA,
            highest=self.highest,
            request=f"{by} at {iso(now)}, {token}" if by else "",
            grant=GrantId(self.grant) if self.grant else None,
        )


def _highest(options: argparse.Namespace) -> Rung:
    given = Rung(options.highest) if options.highest else None
    if given is Rung.OPUS and not options.opus:
        raise OperatorError("highest: opus is asked on an explicit request only: add --opus")
    if options.opus and given not in (None, Rung.OPUS):
        raise OperatorError(f"highest: {options.highest} and --opus exclude each other")
    return Rung.OPUS if options.opus else given or Rung.SONNET


def _question(typed: str) -> str:
    expected = f"1 to {LONGEST_QUESTION:,} characters"
    if len(typed) > LONGEST_QUESTION:
        raise InvalidValue("question", f"{len(typed):,} characters", expected)
    text = clean(typed, len(typed) * 20, keep_lines=True)
    if not text:
        raise InvalidValue("question", "", expected)
    if width(text) > LONGEST_QUESTION:
        raise InvalidValue("question", f"{width(text):,} characters to be shown", expected)
    return text


def _named(field: str, typed: str) -> str:
    if typed and not _NAME.fullmatch(typed):
        raise InvalidValue(field, typed[:100], "at most 100 of A-Z a-z 0-9 . : / _ -, a letter or digit first")
    return typed


def _caller(here: Surroundings, *, is_local: bool) -> str:
    if is_local:
        return "this machine"
    with asking("who asks"):
        return str(here.aws.sts.get_caller_identity()["Arn"].rpartition("/")[2])


def _say_where(here: Surroundings, where: str) -> None:
    here.terminal.say(f"Asking in {where}.")
    if here.sources.anthropic_url is not None:
        here.terminal.say(PLAYED)


def _shown(here: Surroundings, wanted: _Wanted) -> AbstractContextManager[Any]:
    """Show that it is still going on, where somebody looks."""
    if not here.terminal.interactive:
        return nullcontext()
    return Console(stderr=True).status(f"asking, for at most {wanted.wait.total_seconds():.0f} s")


def _asked(cloud: Cloud, here: Surroundings, question: Question, wait: timedelta) -> Answer:
    with asking("the answer could not be recorded, the same question has it for a while"):
        return cloud.use_cases.climb_ladder(
            question,
            here.clock.now() + wait,
            f"ask {question.work}",
            read=read_free_answer,
            suffices=_doubt,
        )


def _doubt(value: Plain) -> str:
    return "" if clean(str(value), LONGEST_ANSWER, keep_lines=True) else _UNKNOWN


@dataclass(frozen=True, slots=True)
class _Told:
    """What a person or a program is told of an answer."""

    answer: Answer
    question: Question
    cloud: Cloud
    here: Surroundings

    def tell(self, *, as_json: bool) -> int:
        if as_json:
            self._say(dumped(self._json()))
        else:
            self._say("\n".join(self._lines()))
        return ABSTAINED if self.answer.abstained else ANSWERED

    @property
    def _text(self) -> str:
        return clean(str(self.answer.value), LONGEST_ANSWER, keep_lines=True)

    def _lines(self) -> Iterator[str]:
        rows = [[s.rung.value, s.model or "-", s.outcome, _reason(s)] for s in self.answer.steps]
        yield drawn("Rungs", ["rung", "model", "outcome", "reason"], rows, words=4)
        yield ""
        if self.answer.abstained:
            yield "No answer."
            yield from self._next()
        else:
            yield self._text
        yield ""
        yield from map(_cost_line, self.answer.charges)
        if self.answer.from_cache:
            yield "The answer was known: it cost nothing."
        stated = self._statement()
        yield stated.text if stated else "What the month has cost cannot be read now; `cost` says it later."

    def _next(self) -> Iterator[str]:
        """Say what to do about the rungs that could have been asked, each thing once."""
        reasons = [_word(step) for step in self.answer.steps if step.rung not in (Rung.RULES, Rung.EDGE)]
        known = [_NEXT[reason] for reason in reasons if reason in _NEXT]
        if all(reason == _UNKNOWN for reason in reasons):
            known = ["No model knew an answer: ask with more of what it needs to know."]
        yield from dict.fromkeys(known or [_LATER])

    def _statement(self) -> Statement | None:
        try:
            month = self.cloud.budgets.month(month_of(exchange_date(self.answer.asked_at)))
        except HearthwatchError:
            return None
        return statement(self.answer.charges, month.spent, self.cloud.budget_settings.rules().month)

    def _json(self) -> dict[str, Any]:
        stated = self._statement()
        return {
            "answered": not self.answer.abstained,
            "answer": None if self.answer.abstained else self._text,
            "rung": self.answer.rung,
            "from_cache": self.answer.from_cache,
            "work": self.question.work,
            "prompt": {"version": VERSION, "sha256": SHA256},
            "steps": [
                {
                    "rung": step.rung,
                    "model": step.model,
                    "outcome": step.outcome,
                    "reason": clean(step.reason, 300),
                    "cost": amount(step.charge.cost if step.charge else 0),
                    "reservation": step.charge.id if step.charge else None,
                }
                for step in self.answer.steps
            ],
            "next": [] if not self.answer.abstained else list(self._next()),
            "cost": amount(sum(charge.cost for charge in self.answer.charges)),
            "month": amount(stated.month_spent) if stated else None,
            "statement": stated.text if stated else None,
        }

    def _say(self, text: str) -> None:
        self.here.terminal.say(text)


def _reason(step: Step) -> str:
    code = _word(step)
    return clean(code.replace("_", " ") + step.reason.removeprefix(code), 300)


def _word(step: Step) -> str:
    return step.reason.partition(":")[0]


def _cost_line(charge: Charge) -> str:
    used = charge.usage
    tokens = f"{used.prompt:,} tokens in, {used.output:,} out" if used else "tokens unknown"
    seconds = f", {charge.latency.total_seconds():.1f} s" if charge.latency is not None else ""
    return (
        f"{charge.model}: {tokens}, {dollars(charge.cost)} "
        f"({charge.booked.replace('_', ' ')}; {dollars(charge.held)} was held){seconds}"
    )
