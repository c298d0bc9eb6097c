"""Intents: an id made from content, and states that change only along the table (ORD-04, ORD-05)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.intents import (
    ENTRY_REASONS,
    ID_LIMIT,
    TERMINAL,
    TRANSITIONS,
    AccountId,
    CycleId,
    IntentState,
    OrderType,
    Purpose,
    Reason,
    Side,
    intent_id,
    is_ours,
)
from tests.unit.builders import AAPL, LOT, NOW, TSLA, dollars, intent, purpose

texts = st.text(max_size=200)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|"), max_size=200)
purposes = st.builds(
    Purpose,
    account=names.map(AccountId),
    symbol=names.map(Symbol),
    side=st.sampled_from(Side),
    reason=st.sampled_from(Reason),
    origin=texts.map(CycleId),
)

STOP = Purpose(account=AccountId("PA3ALPHA"), symbol=TSLA, side=Side.SELL, reason=Reason.STOP_LOSS, origin=LOT)


class TestTheId:
    @given(purposes, st.integers(min_value=0, max_value=10**9))
    def test_an_id_fits_the_broker_s_limit(self, wanted: Purpose, generation: int) -> None:
        assert len(intent_id(wanted, generation)) <= ID_LIMIT

    @given(purposes, st.integers(min_value=0, max_value=10**9))
    def test_an_id_is_plain_and_recognised_as_ours(self, wanted: Purpose, generation: int) -> None:
        made = intent_id(wanted, generation)
        assert (bool(re.fullmatch("hw-[0-9a-f]{40}", made)), is_ours(made)) == (True, True)

    def test_the_same_content_gives_the_same_id_under_every_hash_seed(self) -> None:
        program = (
            "import json\n"
            "from tests.unit.test_intents import STOP\n"
            "from shared.domain.intents import intent_id\n"
            "print(json.dumps([intent_id(STOP, generation) for generation in range(5)]))\n"
        )
        told = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", program],
                    env={**os.environ, "PYTHONHASHSEED": seed},
                    capture_output=True,
                    check=True,
                    text=True,
                ).stdout
            )
            for seed in ("1", "4242")
        ]
        assert told == [[intent_id(STOP, generation) for generation in range(5)]] * 2

    def test_an_id_never_changes_from_release_to_release(self) -> None:
        fixed = replace(STOP, origin=CycleId("2026-03-04T15:30:00Z"))
        assert intent_id(fixed, 0) == "hw-59f18c2627c4feeb5ab3bdd1d31355a2c3c82484"

    @pytest.mark.parametrize(
        "other",
        [
            replace(STOP, account=AccountId("PA3BETA")),
            replace(STOP, symbol=AAPL),
            replace(STOP, side=Side.BUY),
            replace(STOP, reason=Reason.TAKE_PROFIT),
            replace(STOP, origin=CycleId("another lot")),
        ],
        ids=["account", "symbol", "side", "reason", "origin"],
    )
    def test_every_part_of_the_purpose_enters_the_id(self, other: Purpose) -> None:
        assert intent_id(other, 0) != intent_id(STOP, 0)

    def test_every_generation_has_its_own_id(self) -> None:
        assert len({intent_id(STOP, generation) for generation in range(1_000)}) == 1_000

    @given(purposes, purposes)
    def test_two_purposes_never_share_an_id(self, one: Purpose, other: Purpose) -> None:
        assert (intent_id(one, 0) == intent_id(other, 0)) == (one == other)

    @pytest.mark.parametrize("change", [{"account": AccountId("A|B")}, {"symbol": Symbol("A|B")}])
    def test_the_separator_is_refused_inside_a_part(self, change: dict[str, str]) -> None:
        with pytest.raises(InvalidValue, match=r"A\|B"):
            replace(STOP, **change)  # type: ignore[arg-type]

    def test_an_origin_may_hold_the_separator(self) -> None:
        assert replace(STOP, origin=CycleId("a|b")).key.endswith("|stop_loss|a|b")

    @pytest.mark.parametrize("text", ["", "6f0c8e2a-manual", "HW-123", "hw-" + "a" * 46, " hw-1"])
    def test_an_order_placed_by_hand_is_not_ours(self, text: str) -> None:
        assert not is_ours(text)

    def test_an_id_of_exactly_the_limit_can_be_ours(self) -> None:
        assert is_ours("hw-" + "a" * 45)

    def test_quantity_price_and_time_do_not_enter_the_id(self) -> None:
        assert intent("10", "100").id == intent("3", "99", created_at=NOW.replace(hour=16)).id


S = IntentState
ALLOWED = {
    S.PREPARED: "SENT ABANDONED",
    S.SENT: "UNKNOWN PREPARED ACKED PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED",
    S.UNKNOWN: "PREPARED ABANDONED ACKED PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED",
    S.ACKED: "PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED",
    S.PARTIALLY_FILLED: "FILLED CANCELED EXPIRED REJECTED",
    S.FILLED: "",
    S.CANCELED: "",
    S.EXPIRED: "",
    S.REJECTED: "",
    S.ABANDONED: "",
}
"""Every step an intent may take; whatever is not listed is refused."""

PAIRS = [(before, after) for before, after in product(S, S) if before is not after]
LISTED = [(before, after) for before, after in PAIRS if after in ALLOWED[before].split()]
UNLISTED = [pair for pair in PAIRS if pair not in LISTED]


class TestStates:
    @pytest.mark.parametrize(("before", "after"), LISTED)
    def test_a_listed_step_is_taken(self, before: IntentState, after: IntentState) -> None:
        assert intent(state=before).moved_to(after).state is after

    @pytest.mark.parametrize(("before", "after"), UNLISTED)
    def test_an_unlisted_step_is_refused(self, before: IntentState, after: IntentState) -> None:
        with pytest.raises(InvalidValue, match="state"):
            intent(state=before).moved_to(after)

    @pytest.mark.parametrize("state", S)
    def test_staying_is_no_step(self, state: IntentState) -> None:
        assert intent(state=state).moved_to(state) == intent(state=state)

    def test_every_state_has_its_row(self) -> None:
        assert set(TRANSITIONS) == set(S)

    @pytest.mark.parametrize("state", S)
    def test_exactly_the_terminal_states_lead_nowhere(self, state: IntentState) -> None:
        assert (not TRANSITIONS[state]) == (state in TERMINAL)

    @pytest.mark.parametrize("state", S)
    def test_exactly_the_terminal_states_are_closed(self, state: IntentState) -> None:
        assert intent(state=state).is_open == (state not in TERMINAL)

    @pytest.mark.parametrize("state", sorted(TERMINAL))
    def test_a_terminal_intent_takes_no_more_changes(self, state: IntentState) -> None:
        with pytest.raises(InvalidValue, match="state"):
            intent(state=state).moved_to(state, note="told again")

    def test_a_step_carries_its_changes(self) -> None:
        assert intent().moved_to(S.SENT, owner="run-7", sends=1).owner == "run-7"


class TestExposure:
    def test_an_open_entry_commits_what_it_may_cost(self) -> None:
        assert intent("10", "100.50").committed == Decimal("1005.00")

    @pytest.mark.parametrize("reason", sorted(set(Reason) - ENTRY_REASONS))
    def test_an_exit_commits_nothing(self, reason: Reason) -> None:
        assert intent(reason=reason).committed == 0

    @pytest.mark.parametrize("reason", Reason)
    def test_only_entry_and_dip_buy_open_exposure(self, reason: Reason) -> None:
        assert purpose(reason=reason).is_entry == (reason in (Reason.ENTRY, Reason.DIP_BUY))


class TestRefusals:
    @pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity"])
    def test_an_intent_wants_a_real_quantity(self, quantity: str) -> None:
        with pytest.raises(InvalidValue, match="quantity"):
            intent(quantity)

    @pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
    def test_an_intent_has_a_real_worst_price(self, price: str) -> None:
        with pytest.raises(InvalidValue, match="worst_price"):
            intent("10", price)

    def test_everything_ordered_may_be_filled(self) -> None:
        assert intent("10", filled="10").filled_quantity == 10

    def test_no_more_fills_than_were_ordered(self) -> None:
        with pytest.raises(InvalidValue, match="filled_quantity"):
            intent("10", filled="10.000000001")

    @pytest.mark.parametrize(
        ("order_type", "limit", "stop"),
        [
            (OrderType.LIMIT, None, None),
            (OrderType.STOP, None, None),
            (OrderType.MARKET, "100", None),
            (OrderType.MARKET, None, "80"),
            (OrderType.LIMIT, "100", "80"),
            (OrderType.STOP, "100", "80"),
        ],
    )
    def test_prices_fit_the_order_type(self, order_type: OrderType, limit: str | None, stop: str | None) -> None:
        with pytest.raises(InvalidValue, match="price"):
            replace(
                intent(),
                order_type=order_type,
                limit_price=dollars(limit),
                stop_price=dollars(stop),
            )


@pytest.mark.parametrize(("side", "other"), [(Side.BUY, Side.SELL), (Side.SELL, Side.BUY)])
def test_each_side_has_its_opposite(side: Side, other: Side) -> None:
    assert side.opposite is other


def test_the_average_fill_is_the_value_over_the_shares() -> None:
    assert intent("10", filled="4", filled_value="402").average_fill_price == Decimal("100.5")


def test_without_a_fill_there_is_no_average() -> None:
    assert intent().average_fill_price is None
