"""`cost`: what models cost, from the records of a stack or of the run on this machine (BUD-08, BEY-01, DSH-03).

Exit code 1 says that something does not agree: counters with records, either with a limit, or ours with the provider's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from hearthwatch.cost.as_json import compared_json, decisions_json, dumped, report_json
from hearthwatch.cost.files import export_charges, read_report
from hearthwatch.cost.reading import read_month, report_of
from hearthwatch.cost.show import compared_text, decisions_text, report_text
from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.inside_run import inside_run
from hearthwatch.operator.stack import DeployedStack, find_stack
from hearthwatch.operator.surroundings import Surroundings
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.table import Table
from shared.bootstrap.cloud import Cloud
from shared.domain.budget import BudgetMonth
from shared.domain.charges import Charge
from shared.domain.cost_report import charges_of, compare, disagreements
from shared.domain.day_plan import exchange_date
from shared.settings import BudgetSettings

OK, WRONG = 0, 1
ASKED: Final = "model_asked"
"""The fact that every answer leaves in the journal."""
MOST_DAYS: Final = 100
"""Days that a provider's report may cover."""


def run_cost(options: argparse.Namespace, here: Surroundings) -> int:
    """Report, list statements, export or reconcile."""
    with ExitStack() as opened:
        name = options.stack
        if options.local:
            here, name = opened.enter_context(inside_run(here, options.folder))
        stack = find_stack(here.aws, name, in_any_state=True, of_any_version=True)
        cloud = opened.enter_context(here.cloud_of(stack))
        with asking("the budget"):
            return _Asked(options, here, stack, cloud).answer()


class _Asked:
    """One question about costs, and what it is answered from."""

    def __init__(self, options: argparse.Namespace, here: Surroundings, stack: DeployedStack, cloud: Cloud) -> None:
        self.options = options
        self.here = here
        self.stack = stack
        self.cloud = cloud
        self.settings = BudgetSettings.read(stack.environment)

    def answer(self) -> int:
        if self.options.reconcile is not None:
            return self._reconcile()
        day = self._day()
        month, records = read_month(self.cloud.budgets, self.cloud.charges, day)
        period = records if self._whole_month else [charge for charge in records if charge.day == day]
        if self.options.export is not None:
            self._say(f"{export_charges(self.options.export, period)} charges: {self.options.export}")
            return self._agreed(month, records)
        if self.options.decision is not None or self.options.decisions:
            return self._statements(month, records, period)
        return self._report(day, month, records)

    @property
    def _whole_month(self) -> bool:
        return self.options.month is not None

    def _day(self) -> date:
        today = exchange_date(self.here.clock.now())
        if self.options.month is None:
            return self.options.day or today
        first: date = self.options.month
        following = (first + timedelta(days=31)).replace(day=1)
        return min(max(first, today), following - timedelta(days=1))

    def _report(self, day: date, month: BudgetMonth, records: Sequence[Charge]) -> int:
        report = report_of(
            month,
            records,
            day=day,
            whole_month=self._whole_month,
            now=self.here.clock.now(),
            rules=self.settings.rules(),
            prices=self.settings.prices(),
            catalogue=self.cloud.choices.catalogue(),
        )
        if not self._whole_month:
            report = replace(report, known_answers=self._known_answers(day))
        self._say(dumped(report_json(report)) if self.options.json else report_text(report))
        return WRONG if report.disagreements else OK

    def _known_answers(self, day: date) -> int:
        """Count the calls that a known answer made needless; the journal's days are those of UTC."""
        journal = DynamoJournal(Table(self.here.aws.dynamodb, self.stack.physical["JournalTable"]))
        facts = [json.loads(link.body) for each in (day, day + timedelta(days=1)) for link in journal.links(each)]
        return sum(
            fact["kind"] == ASKED
            and bool(fact["fields"].get("from_cache"))
            and exchange_date(datetime.fromisoformat(fact["at"])) == day
            for fact in facts
        )

    def _statements(self, month: BudgetMonth, records: Sequence[Charge], period: Sequence[Charge]) -> int:
        found = period
        if self.options.decision is not None:
            found = charges_of(records, self.options.decision)
            if not found:
                raise OperatorError(
                    f"no charge of {self.options.decision!r} in {month.month:%Y-%m}: give the month with --month"
                )
        rules = self.settings.rules()
        if self.options.json:
            self._say(dumped(decisions_json(found, month, rules)))
        else:
            self._say(decisions_text(found, month, rules))
        return self._agreed(month, records)

    def _agreed(self, month: BudgetMonth, records: Sequence[Charge]) -> int:
        found = disagreements(month, records, self.settings.rules())
        for line in found if not self.options.json else []:
            self._say(f"DOES NOT AGREE: {line}")
        return WRONG if found else OK

    def _reconcile(self) -> int:
        report = read_report(self.options.reconcile)
        days = sorted({one.day for one in report})
        if (days[-1] - days[0]).days >= MOST_DAYS:
            raise OperatorError(f"{self.options.reconcile} covers more than {MOST_DAYS} days: give less at a time")
        # a day of theirs, in UTC, begins on the New York day before
        ours = [
            charge
            for number in range(-1, (days[-1] - days[0]).days + 1)
            for charge in self.cloud.charges.of_day(days[0] + timedelta(days=number))
        ]
        compared = compare(ours, report, self.settings.prices())
        self._say(dumped(compared_json(compared)) if self.options.json else compared_text(compared))
        return WRONG if any(one.missing for one in compared) else OK

    def _say(self, text: str) -> None:
        self.here.terminal.say(text)
