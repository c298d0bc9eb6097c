"""What rests at the broker for a position, and each next step towards it (RSK-05, faults 11 and 12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.intents import Intent, IntentState, OrderType, Reason, TimeInForce
from shared.domain.ledger import Ledger, Tried
from shared.domain.positions import LotId, Position
from shared.domain.protection import (
    EXIT_FIRST,
    STEPS,
    ProtectionRules,
    Standing,
    Step,
    Traffic,
    WantedStop,
    emergency_exit,
    is_settled,
    is_stuck,
    plan_stops,
    refused_lately,
    stop_intent,
    stop_purpose,
    under_broker_stops,
    wanted_stops,
)
from tests.unit.builders import ACCOUNT, LOT, MINUTE, NOW, SECOND, TSLA, holding, intent

RULES = ProtectionRules()
FRACTIONS = ProtectionRules(fraction_stops=True)
NONE: frozenset[Reason] = frozenset()
_S = IntentState


def resting(position: Position, rules: ProtectionRules = RULES, which: int = 0, **changes: object) -> Intent:
    """The stop that is wanted for a position, working at the broker."""
    wanted = wanted_stops(position, rules)[which]
    purpose = stop_purpose(ACCOUNT, position, wanted.reason)
    stop = stop_intent(position, wanted, purpose, 0, NOW - MINUTE)
    return replace(stop, **{"state": _S.ACKED, "sends": 1, "sent_at": NOW - MINUTE, "confirmed": True, **changes})  # type: ignore[arg-type]


def steps(
    position: Position | None,
    *stops: Intent,
    trade: Intent | None = None,
    refused: frozenset[Reason] = NONE,
    rules: ProtectionRules = RULES,
    after: timedelta = timedelta(0),
) -> list[tuple[Step, str]]:
    return [(s.step, s.why) for s in plan_stops(position, stops, trade, refused, NOW + after, rules)]


EXIT = intent("10.4", reason=Reason.STOP_LOSS, origin=LOT)
ENTRY = intent("5")


def test_the_table_has_a_step_for_every_standing_beside_every_trade() -> None:
    assert set(STEPS) == {(standing, traffic) for standing in Standing for traffic in Traffic}


def test_whole_shares_get_one_stop_until_canceled_and_the_rest_is_software() -> None:
    assert wanted_stops(holding("10.4", "184.82"), RULES) == [
        WantedStop(Reason.BROKER_STOP, Decimal(10), Decimal("147.86"))
    ]


def test_a_fraction_gets_a_stop_for_the_day_where_the_account_takes_one() -> None:
    stops = wanted_stops(holding("10.4", "184.82"), FRACTIONS)

    assert [(s.reason, s.quantity, s.time_in_force) for s in stops] == [
        (Reason.BROKER_STOP, Decimal(10), TimeInForce.GTC),
        (Reason.BROKER_STOP_DAY, Decimal("0.4"), TimeInForce.DAY),
    ]


@pytest.mark.parametrize(
    ("position", "rules"),
    [
        (holding("0.4"), RULES),
        (holding("10", "0.0001", stop_loss="0.9"), RULES),
        (holding("10.4"), ProtectionRules(at_broker=False, fraction_stops=True)),
    ],
    ids=["a fraction nobody takes", "a stop at zero", "the owner wants none"],
)
def test_nothing_rests_where_nothing_can(position: Position, rules: ProtectionRules) -> None:
    assert wanted_stops(position, rules) == []


@pytest.mark.parametrize(("high", "price"), [("150.00", "147.86"), ("300.00", "270.00")])
def test_the_tighter_of_stop_and_trailing_stop_rests(high: str, price: str) -> None:
    position = holding("10", "184.82", trailing="0.10", high=high)

    assert wanted_stops(position, RULES)[0].price == Decimal(price)


HELD = holding("10.4")
WORKS = resting(HELD)


@pytest.mark.parametrize(
    ("position", "stops", "trade", "step"),
    [
        (HELD, [], None, Step.PLACE),
        (HELD, [], ENTRY, None),
        (HELD, [], EXIT, None),
        (HELD, [WORKS], None, None),
        (HELD, [WORKS], ENTRY, None),
        (HELD, [WORKS], EXIT, Step.WITHDRAW),
        (holding("11.4"), [WORKS], None, Step.WITHDRAW),
        (holding("9"), [WORKS], None, Step.WITHDRAW),
        (holding("10.9"), [WORKS], None, None),
        (holding("10.4", "170.00"), [WORKS], None, Step.WITHDRAW),
        (None, [WORKS], None, Step.WITHDRAW),
        (None, [], None, None),
        (replace(HELD, lot=LotId("TSLA:another")), [WORKS], None, Step.WITHDRAW),
        (HELD, [replace(WORKS, withdrawn="gone")], None, None),
        (HELD, [replace(WORKS, withdrawn="gone")], EXIT, None),
        (holding("7.4"), [replace(WORKS, state=_S.PARTIALLY_FILLED, filled_quantity=Decimal(2))], None, None),
        (HELD, [replace(WORKS, state=_S.PARTIALLY_FILLED, filled_quantity=Decimal(2))], EXIT, Step.WITHDRAW),
        (HELD, [replace(WORKS, state=_S.UNKNOWN, confirmed=False)], None, None),
        (HELD, [replace(WORKS, state=_S.PREPARED, confirmed=False, sends=0)], EXIT, Step.WITHDRAW),
    ],
    ids=[
        "nothing rests",
        "an entry first",
        "an exit first",
        "it rests",
        "the executor withdraws it for the entry",
        "an exit takes it away",
        "shares were bought",
        "shares were sold",
        "a fraction was bought",
        "the entry moved",
        "nothing is held",
        "nothing at all",
        "another lot",
        "on its way out",
        "on its way out beside an exit",
        "it fills",
        "an exit while it fills",
        "nobody knows yet",
        "not sent yet, an exit came",
    ],
)
def test_the_next_step_for_a_symbol(
    position: Position | None, stops: list[Intent], trade: Intent | None, step: Step | None
) -> None:
    assert [taken for taken, _ in steps(position, *stops, trade=trade)] == ([] if step is None else [step])


def test_a_stop_is_renewed_before_the_broker_ends_it() -> None:
    age = RULES.renew_after - MINUTE

    assert steps(HELD, WORKS, after=age - SECOND) == []
    assert steps(HELD, WORKS, after=age) == [(Step.WITHDRAW, "renewed before the broker ends it")]
    assert RULES.renew_after < timedelta(days=90)


def test_a_stop_that_trails_may_lag_by_half_a_percent_and_is_moved_from_there() -> None:
    low = holding("10", "100", trailing="0.10", high="200.00")
    stop = resting(low)

    assert stop.stop_price == Decimal("180.00")
    assert steps(replace(low, high_since_entry=Decimal("200.90")), stop) == []
    assert [s for s, _ in steps(replace(low, high_since_entry=Decimal("201.00")), stop)] == [Step.WITHDRAW]


def test_a_stop_above_what_is_wanted_never_stays() -> None:
    low = holding("10", "100", trailing="0.10", high="200.00")

    assert [s for s, _ in steps(replace(low, high_since_entry=Decimal("199.99")), resting(low))] == [Step.WITHDRAW]


@pytest.mark.parametrize(("waited", "stuck"), [(120, False), (121, True)])
def test_a_stop_that_the_broker_takes_and_does_not_work_is_stuck_after_two_ticks(waited: int, stuck: bool) -> None:
    stop = replace(WORKS, confirmed=False, sent_at=NOW - waited * SECOND)

    assert is_stuck(stop, NOW, RULES) is stuck
    assert [s for s, _ in steps(HELD, stop)] == ([Step.SELL] if stuck else [])


def test_a_stuck_stop_beside_an_exit_is_only_withdrawn() -> None:
    stop = replace(WORKS, confirmed=False, sent_at=NOW - 10 * MINUTE)

    assert steps(HELD, stop, trade=EXIT) == [(Step.WITHDRAW, EXIT_FIRST)]


def test_a_stuck_stop_for_a_fraction_falls_back_to_the_software_stop() -> None:
    whole = resting(HELD, FRACTIONS)
    fraction = resting(HELD, FRACTIONS, which=1, confirmed=False, sent_at=NOW - 10 * MINUTE)

    assert [s for s, _ in steps(HELD, whole, fraction, rules=FRACTIONS)] == [Step.WITHDRAW]


def test_a_refused_stop_becomes_a_sale_and_a_refused_fraction_does_not() -> None:
    whole, fraction = frozenset({Reason.BROKER_STOP}), frozenset({Reason.BROKER_STOP_DAY})

    assert steps(HELD, refused=whole) == [(Step.SELL, "the broker refused the stop")]
    assert steps(HELD, refused=whole, trade=EXIT) == []
    assert steps(HELD, resting(HELD, FRACTIONS), refused=fraction, rules=FRACTIONS) == []


@pytest.mark.parametrize(
    ("reason", "minutes", "lately"),
    [
        (Reason.BROKER_STOP, 4, True),
        (Reason.BROKER_STOP, 5, False),
        (Reason.BROKER_STOP_DAY, 719, True),
        (Reason.BROKER_STOP_DAY, 720, False),
    ],
)
def test_a_refusal_is_remembered_for_a_while(reason: Reason, minutes: int, lately: bool) -> None:
    key = stop_purpose(ACCOUNT, HELD, reason).key
    ledger = Ledger(account=ACCOUNT, generations={key: Tried(1, NOW - minutes * MINUTE, refused=True)})

    assert (reason in refused_lately(ledger, ACCOUNT, HELD, NOW, RULES)) is lately


def test_a_stop_that_ended_otherwise_was_not_refused() -> None:
    key = stop_purpose(ACCOUNT, HELD, Reason.BROKER_STOP).key
    ledger = Ledger(account=ACCOUNT, generations={key: Tried(1, NOW)})

    assert refused_lately(ledger, ACCOUNT, HELD, NOW, RULES) == frozenset()


def test_the_sale_of_an_unprotected_position_takes_all_of_it_at_market() -> None:
    sale = emergency_exit(HELD, "the broker refused the stop", ACCOUNT, Ledger(account=ACCOUNT), NOW)

    assert (sale.quantity, sale.order_type, sale.is_entry, sale.rests) == (
        Decimal("10.4"),
        OrderType.MARKET,
        False,
        False,
    )
    assert sale.evidence.text == "TSLA: the stop at 147.86 does not protect: the broker refused the stop"


def test_only_a_stop_that_works_covers_shares() -> None:
    half = replace(WORKS, state=_S.PARTIALLY_FILLED, filled_quantity=Decimal(4))

    assert under_broker_stops([WORKS, resting(HELD, FRACTIONS, which=1)]) == {TSLA: Decimal("10.4")}
    assert under_broker_stops([half]) == {TSLA: Decimal(6)}
    assert under_broker_stops([replace(WORKS, confirmed=False), replace(WORKS, state=_S.UNKNOWN), EXIT]) == {}


quantities = st.sampled_from(["0.4", "1", "3", "10", "10.4", "11"]).map(Decimal)
entries = st.sampled_from(["0.02", "1.00", "184.82", "90.10"]).map(Decimal)


@given(quantities, entries, quantities, entries, st.booleans(), st.integers(0, 100))
def test_the_quick_look_agrees_with_the_plan(
    quantity: Decimal, entry: Decimal, covered: Decimal, at: Decimal, confirmed: bool, days: int
) -> None:
    position = replace(HELD, quantity=quantity, average_entry_price=entry)
    other = replace(HELD, quantity=covered, average_entry_price=at)
    stops = [resting(other, confirmed=confirmed)] if wanted_stops(other, RULES) else []
    now = NOW + timedelta(days=days)

    if is_settled(position, stops, now, RULES):
        assert plan_stops(position, stops, None, NONE, now, RULES) == []


@given(quantities, st.booleans())
def test_what_is_wanted_never_covers_more_than_is_held(quantity: Decimal, fractions: bool) -> None:
    wanted = wanted_stops(replace(HELD, quantity=quantity), ProtectionRules(fraction_stops=fractions))

    assert sum(stop.quantity for stop in wanted) <= quantity
    if fractions:
        assert sum(stop.quantity for stop in wanted) == quantity


@pytest.mark.parametrize(
    "wrong", [{"patience": timedelta(0)}, {"renew_after": timedelta(-1)}, {"trail_step": Decimal("1.5")}]
)
def test_rules_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValue, match=next(iter(wrong))):
        ProtectionRules(**wrong)  # type: ignore[arg-type]


def test_a_stop_belongs_to_the_symbol_and_lot_of_its_position() -> None:
    assert (WORKS.symbol, WORKS.purpose.origin, WORKS.rests, WORKS.is_entry) == (TSLA, LOT, True, False)
