"""The invariants of the budget, checked from outside: what the provider charged, beside what the ledger says (3, 10).

Each request is put down to the reservation that its own run made just before, and every charge to its request.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any, Final

from hearthwatch.simulation.invariants import Violation
from shared.adapters.memory.budget import MemoryBudgets, MemoryCharges
from shared.domain.alerts import Alert, AlertKind
from shared.domain.budget import BudgetMonth, BudgetRules, Denied, Envelope, Grant, GrantId, Reservation, ReservationId
from shared.domain.calls import Rung
from shared.domain.charges import Booked, Charge
from shared.domain.model_prices import MicroDollars
from shared.domain.questions import Attempt
from shared.ports.clock import Clock
from shared.use_cases.pay_for_answer import MOST_CHARGES

_CHANGES: Final = frozenset({"reserve", "close", "put", "prune", "grant"})


class MoneyChecks:
    """Watches what is asked, charged, booked and held in one run."""

    def __init__(
        self,
        clock: Clock,
        budgets: MemoryBudgets,
        charges: MemoryCharges,
        rules: BudgetRules,
        *,
        current: Callable[[], str],
        fail: Callable[[Violation], None],
    ) -> None:
        self._clock = clock
        self._budgets = budgets
        self._charges = charges
        self._rules = rules
        self._current = current
        self._fail = fail
        self._to_spend: dict[str, Reservation] = {}
        self._admitted: dict[ReservationId, Reservation] = {}
        self._charged: dict[ReservationId, MicroDollars] = {}
        self._under_way: set[ReservationId] = set()
        self._totals: defaultdict[tuple[str, object], MicroDollars] = defaultdict(int)
        self._records: dict[ReservationId, Charge] = {}
        self._grants: dict[GrantId, Grant] = {}
        self._charges_of: Counter[str] = Counter()
        self._closed_days: set[date] = set()
        self.seen: Counter[str] = Counter()

    def watch(self, port: str, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Look at one call of a store right after it took effect."""
        if port == "budgets":
            self.seen[f"{method} {result.why}" if isinstance(result, Denied) else method] += 1
        if (port, method) == ("budgets", "reserve") and not isinstance(result, Denied):
            self._on_admitted(arguments[0])
        elif (port, method) == ("charges", "put"):
            self._on_record(arguments[0], result)
        elif (port, method) == ("budgets", "grant") and not isinstance(result, Denied):
            self._grants.setdefault(arguments[0].id, arguments[0])
        elif (port, method) == ("budgets", "close_day"):
            self._closed_days.add(arguments[0])
        if port in ("budgets", "charges") and method in _CHANGES:
            self._compare()

    def open_bill(self, attempt: Attempt) -> Callable[[MicroDollars], None]:
        """Find the reservation of a request that leaves now: one of its own, for this very model and work (BUD-03)."""
        held = self._to_spend.pop(self._current(), None)
        question = attempt.question
        if held is None:
            self._say(f"{question.work} was asked without a reservation of its own")
            return lambda cost: None
        if (held.call.model, held.call.work) != (attempt.model, question.work):
            self._say(f"{attempt.model} was asked for {question.work} on money held for {held.call}")
        if held.call.rung is Rung.OPUS and not question.request:
            self._say(f"the dearest model was asked for {question.work} without a person's request")
        self._under_way.add(held.id)
        return lambda cost: self._on_charge(held, cost)

    def on_alert(self, alert: Alert) -> None:
        """Look for a false alarm: in a run nothing ever costs more than was held, and the ledger adds up."""
        self.seen[f"told {alert.kind}"] += 1
        if alert.kind is AlertKind.BUDGET_WRONG:
            self._say(f"the books are right, yet: {alert.text}")

    def cost_nothing(self, held: Reservation) -> bool:
        """Say what the provider's own pages show: that nothing was, or will be, charged on a reservation."""
        return held.id not in self._charged and held.id not in self._under_way

    @property
    def spread(self) -> Counter[str]:
        """Say whether money was held on two days, and in two months."""
        days = {held.day for held in self._admitted.values()}
        months = {held.month for held in self._admitted.values()}
        return Counter({"over midnight": len(days) > 1, "over the month's end": len(months) > 1})

    def at_rest(self) -> None:
        """Check what must hold some audits after the last fault: nothing is held, and the counters are the records."""
        for month in {held.month for held in self._admitted.values()}:
            self._is_settled(self._budgets.month(month))
        for held in self._admitted.values():
            record = self._charges.get(held.day, held.id)
            if record is None:
                raise Violation(10, f"reservation {held.id} left no record")
            if record.cost < self._charged.get(held.id, 0):
                raise Violation(3, f"{held.id} is booked at {record.cost} and was charged {self._charged[held.id]}")

    # one by one

    def _on_admitted(self, held: Reservation) -> None:
        if held.id in self._admitted:
            self._say(f"the reservation {held.id} was admitted a second time")
        if held.day in self._closed_days:
            self._say(f"{held.id} was admitted on {held.day}, which is closed")
        self._admitted[held.id] = held
        self._to_spend[self._current()] = held
        self._within_limits(held)

    def _within_limits(self, joined: Reservation) -> None:
        """Compare what the ledger holds for a new reservation with the limits, whatever the calls will really cost."""
        month = self._budgets.month(joined.month)
        day = month.day(joined.day)
        decisions = {
            held.decision for held in self._admitted.values() if held.day == joined.day and held.grant is None
        } - {None}
        figures = {
            ("month", joined.month): month.committed,
            ("day", joined.day): day.committed,
            ("envelope", (joined.day, joined.envelope)): day.envelopes.get(joined.envelope, 0),
        }
        if joined.grant is None:
            figures["own", joined.day] = sum(day.envelopes.values())
        else:
            figures["grant", joined.grant] = sum(
                held.amount for held in self._admitted.values() if held.grant == joined.grant
            )
        for (kind, key), committed in figures.items():
            if committed > self._limit(kind, key):
                self._say(f"{kind} {key}: {committed} are spent or held, the limit is {self._limit(kind, key)}")
        if len(decisions) > self._rules.decisions:
            self._say(f"{len(decisions)} decisions are paid for on {joined.day}")

    def _on_record(self, charge: Charge, standing: Charge) -> None:
        first = self._records.setdefault(charge.id, charge)
        if standing != first or self._charges.get(charge.day, charge.id) != first:
            self._say(f"the record of {charge.id} was {first.cost} and became {standing.cost}")
        self.seen[f"booked {standing.booked}"] += charge is first
        held = self._admitted.get(charge.id)
        if charge.booked is Booked.ASSUMED and held is not None and self._clock.now() < held.expires_at:
            self._say(f"{charge.id} was given up before its time")

    def _on_charge(self, held: Reservation, cost: MicroDollars) -> None:
        """Put a charge down; `_totals` keeps the sums that limits are compared with."""
        self.seen["charged"] += 1
        if held.id in self._charged:
            self._say(f"{held.id} was charged twice")
        self._charged[held.id] = cost
        if cost > held.amount:
            self._say(f"{held.call.model} took {cost} and {held.amount} were held for it")
        self._charges_of[held.call.work] += 1
        if self._charges_of[held.call.work] > MOST_CHARGES:
            self._say(f"{held.call.work} was charged {self._charges_of[held.call.work]} times")
        self._totals["month", held.month] += cost
        self._totals["day", held.day] += cost
        if held.grant is not None:
            self._totals["grant", held.grant] += cost
        else:
            self._totals["own", held.day] += cost
            self._totals["envelope", (held.day, held.envelope)] += cost
        self._compare()

    def _compare(self) -> None:
        """Compare every sum with its limit, and with what the ledger counts as spent or reserved."""
        for (kind, key), charged in self._totals.items():
            if charged > self._limit(kind, key):
                self._say(f"{kind} {key}: {charged} were charged, the limit is {self._limit(kind, key)}")
        for month in {held.month for held in self._admitted.values()}:
            ledger = self._budgets.month(month)
            if ledger.committed < self._totals["month", month]:
                self._say(f"{month}: {self._totals['month', month]} were charged, the ledger has {ledger.committed}")
            for day, counters in ledger.days.items():
                if counters.committed < self._totals["day", day]:
                    self._say(f"{day}: {self._totals['day', day]} were charged, the ledger has {counters.committed}")

    def _limit(self, kind: str, key: Any) -> MicroDollars:
        rules = self._rules
        if kind == "month":
            return rules.month
        if kind == "grant":
            return self._grants[key].amount if key in self._grants else 0
        if kind == "envelope":
            return max(rules.envelope(Envelope(key[1]), edge_down=down) for down in (False, True))
        granted = sum(grant.amount for grant in self._grants.values() if grant.day == key)
        return rules.day if kind == "own" else rules.day + granted

    def _is_settled(self, month: BudgetMonth) -> None:
        if month.open or month.reserved:
            raise Violation(10, f"{month.month}: {month.reserved} are still held by {sorted(month.open)}")
        for day, counters in month.days.items():
            booked = sum(charge.cost for charge in self._charges.of_day(day))
            if (counters.spent, counters.committed) != (booked, booked):
                raise Violation(3, f"{day}: the records add up to {booked}, the counters are {counters}")
        spent = sum(counters.spent for counters in month.days.values())
        if (month.spent, month.committed) != (spent, spent):
            raise Violation(3, f"{month.month}: {month.spent} are spent, its days add up to {spent}")

    def _say(self, what: str) -> None:
        self._fail(Violation(3, what))
