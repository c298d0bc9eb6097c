"""Each hazard of the simulation really strikes, and a guard that only it can reach is missed when it is taken away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hearthwatch.simulation.asking import Asking
from hearthwatch.simulation.chance import CALM
from hearthwatch.simulation.versions import Shelf, Version
from hearthwatch.simulation.world import Outcome, Scenario, run
from shared.bootstrap.offline import OFFLINE_ACCOUNT
from shared.contracts.stored import TRADING_STATE, NewerSchema
from shared.domain import protection, reconciliation
from shared.domain.budget import No
from shared.domain.charges import Booked
from shared.domain.positions import Position
from shared.domain.protection import Standing, Step, Traffic
from shared.domain.questions import Ending
from shared.domain.reconciliation import DifferenceKind
from shared.domain.trading_state import trading_state
from shared.use_cases import reconcile_orders
from shared.use_cases.reconcile_orders import ReconcileOrders
from tests.fakes.desk import Desk

SEEDS = 60
STRIKES = {
    "by_hand": (0.3, ("sold some by hand", "sold all by hand", "bought by hand", "bought what nobody watches",
                      "left an order resting", "canceled one of ours", "paid in", "took out")),
    "action": (1.0, ("split known in time", "split known late", "split known never", "dividend known in time",
                     "dividend known late", "dividend known never", "over night", "since yesterday")),
    "thin": (1.0, ("order partially_filled", "order expired after a part", "stop canceled after a part")),
    "older": (0.5, ("older version kept from reading: ledger", "older version kept from reading: position",
                    "older version kept from reading: broker_facts", "older version kept from reading: trading_state")),
    "lag": (4.0, ("read behind the truth", "index behind the table")),
    "bad_stops": (0.6, ("stop rejected", "stops taken as rejected", "stops taken as pending")),
    "kill": (1.0, ("switch kill", "switch freeze", "switch flatten")),
}  # fmt: skip


def outcomes(**hazards: float) -> list[Outcome]:
    """Run seeds in which nothing goes wrong but these hazards."""
    return [run(Scenario(seed=seed, hazards=replace(CALM, **hazards))) for seed in range(SEEDS)]


def found(**hazards: float) -> str:
    """Give the first violation; empty when every invariant held."""
    return next((str(o.violation) for o in outcomes(**hazards) if o.violation is not None), "")


@pytest.mark.parametrize("hazard", STRIKES)
def test_a_hazard_strikes_alone_in_all_its_ways_and_breaks_nothing(hazard: str) -> None:
    rate, ways = STRIKES[hazard]
    runs = outcomes(**{hazard: rate})
    assert [str(o.violation) for o in runs if o.violation is not None] == []
    seen: Counter[str] = sum((outcome.seen for outcome in runs), Counter())
    assert [way for way in ways if not seen[way]] == []


def test_without_hazards_nobody_acts_past_the_book() -> None:
    seen: Counter[str] = sum((outcome.seen for outcome in outcomes()), Counter())
    assert {way.split()[0] for way in seen} <= {"order", "stop"}


def test_orders_by_hand_that_no_pass_sees_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_ours(*given: Any) -> list[reconciliation.Difference]:
        return [d for d in reconciliation.foreign_orders(*given) if d.kind is not DifferenceKind.FOREIGN_ORDER]

    monkeypatch.setattr(reconcile_orders, "foreign_orders", only_ours)
    assert "no pass sees it" in found(by_hand=0.3)


def test_an_action_that_is_not_applied_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Position, "caught_up", lambda self, known, today: replace(self, adjusted_through=today))
    assert found(action=1.0)


def test_a_stop_that_is_not_resized_after_a_part_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protection.STEPS, (Standing.WRONG, Traffic.NONE), Step.WAIT)
    assert "should rest" in found(thin=1.0, by_hand=0.3, action=1.0)


ASKED = (
    *(f"answer {ending}" for ending in Ending if ending not in (Ending.OTHER_STOP, Ending.UNREADABLE)),
    *(f"booked {booked}" for booked in Booked if booked is not Booked.FREE),
    *(f"reserve {why}" for why in (No.USED_ID, No.DAY_CLOSED, No.MONTH_SPENT, No.ENVELOPE_SPENT)),
    *(f"reserve {why}" for why in (No.DECISIONS_COUNTED, No.NO_GRANT)),
    "told budget_warning", "told budget_spent", "told model_unpriced", "told work_parked",
    "over midnight", "over the month's end",
)  # fmt: skip


def test_questions_end_in_all_their_ways_and_meet_every_limit_and_break_nothing() -> None:
    runs = outcomes(bad_models=0.9, duplicate=0.25, crash=0.02, lose=0.05, refuse=0.05)
    assert [str(o.violation) for o in runs if o.violation is not None] == []
    asked: Counter[str] = sum((outcome.asked for outcome in runs), Counter())
    assert [way for way in ASKED if not asked[way]] == []


def test_whatever_becomes_of_questions_the_watch_decides_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = [run(Scenario(seed=seed)).decisions for seed in range(20)]
    monkeypatch.setattr(Asking, "plan", lambda *given, **named: None)
    assert [run(Scenario(seed=seed)).decisions for seed in range(20)] == decisions


def test_an_older_version_can_neither_read_nor_overwrite_what_a_newer_one_wrote() -> None:
    shelf, world = Shelf(), Desk().world
    newer, older = Version(shelf, [TRADING_STATE]).over(world.ports()), Version(shelf).over(world.ports())
    older.controls.publish_trading_state(trading_state([]))
    assert newer.controls.trading_state() == trading_state([])
    newer.controls.publish_trading_state(trading_state([]))
    with pytest.raises(NewerSchema):
        older.controls.trading_state()
    with pytest.raises(NewerSchema):
        older.controls.publish_trading_state(trading_state([]))
    assert older.ledgers.load(OFFLINE_ACCOUNT) == newer.ledgers.load(OFFLINE_ACCOUNT)


def test_late_answers_that_are_believed_at_once_are_taken_for_trades_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReconcileOrders, "_may_be_late", lambda *given: False)
    assert "nobody traded by hand" in found(lag=4.0)


@pytest.mark.parametrize(
    "guard",
    [
        lambda patch: patch.setitem(protection.STEPS, (Standing.REFUSED, Traffic.NONE), Step.WAIT),
        lambda patch: patch.setattr(protection, "is_stuck", lambda *given: False),
    ],
    ids=["refused", "pending"],
)
def test_stops_that_the_broker_does_not_work_are_missed(
    monkeypatch: pytest.MonkeyPatch, guard: Callable[[pytest.MonkeyPatch], None]
) -> None:
    guard(monkeypatch)
    assert found(bad_stops=0.6).startswith("invariant 7: ")
