"""The broker's word is taken over once, forwards only (ORD-04, fault 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.intents import TERMINAL, Intent, IntentState, OrderType, Reason
from shared.domain.orders import INTENT_STATE, OrderStatus, adopt, request_for
from tests.unit.builders import MINUTE, NOW, intent, order_for

S, B = IntentState, OrderStatus
LATER = NOW + MINUTE


def adopted(held: Intent, status: OrderStatus, filled: str = "0", price: str | None = None) -> Intent:
    return adopt(held, order_for(held, status, filled, price), LATER)


class TestWhatTheBrokerSays:
    @pytest.mark.parametrize(
        ("held", "status", "filled", "becomes"),
        [
            (S.SENT, B.NEW, "0", S.ACKED),
            (S.SENT, B.PARTIALLY_FILLED, "4", S.PARTIALLY_FILLED),
            (S.SENT, B.FILLED, "10", S.FILLED),
            (S.SENT, B.CANCELED, "0", S.CANCELED),
            (S.SENT, B.EXPIRED, "0", S.EXPIRED),
            (S.SENT, B.REJECTED, "0", S.REJECTED),
            (S.UNKNOWN, B.NEW, "0", S.ACKED),
            (S.UNKNOWN, B.FILLED, "10", S.FILLED),
            (S.UNKNOWN, B.REJECTED, "0", S.REJECTED),
            (S.ACKED, B.NEW, "0", S.ACKED),
            (S.ACKED, B.PARTIALLY_FILLED, "4", S.PARTIALLY_FILLED),
            (S.ACKED, B.FILLED, "10", S.FILLED),
            (S.ACKED, B.CANCELED, "4", S.CANCELED),
            (S.PARTIALLY_FILLED, B.NEW, "4", S.PARTIALLY_FILLED),
            (S.PARTIALLY_FILLED, B.PARTIALLY_FILLED, "7", S.PARTIALLY_FILLED),
            (S.PARTIALLY_FILLED, B.EXPIRED, "4", S.EXPIRED),
            (S.PARTIALLY_FILLED, B.FILLED, "10", S.FILLED),
        ],
    )
    def test_an_open_intent_follows_the_broker(
        self, held: IntentState, status: OrderStatus, filled: str, becomes: IntentState
    ) -> None:
        was = "4" if held is S.PARTIALLY_FILLED else "0"
        told = adopted(intent(state=held, filled=was, filled_value=str(100 * int(was))), status, filled, "100")
        assert (told.state, told.filled_quantity) == (becomes, Decimal(filled))

    @pytest.mark.parametrize("status", B)
    @pytest.mark.parametrize("held", sorted(TERMINAL))
    def test_a_closed_intent_hears_nothing_more(self, held: IntentState, status: OrderStatus) -> None:
        closed = intent(state=held)
        assert adopted(closed, status, "10", "100") is closed

    def test_older_news_with_fewer_fills_changes_nothing(self) -> None:
        held = intent(state=S.PARTIALLY_FILLED, filled="7", filled_value="700")
        assert adopted(held, B.PARTIALLY_FILLED, "4", "100") is held

    def test_an_order_for_an_intent_never_sent_is_an_error(self) -> None:
        with pytest.raises(InvalidValue, match="PREPARED -> ACKED"):
            adopted(intent(state=S.PREPARED), B.NEW)

    def test_every_broker_state_has_a_meaning(self) -> None:
        assert set(INTENT_STATE) == set(B)


class TestFills:
    def test_the_value_is_the_shares_at_their_average_price(self) -> None:
        assert adopted(intent(state=S.ACKED), B.PARTIALLY_FILLED, "4", "100.25").filled_value == Decimal(401)

    def test_a_cancel_keeps_the_part_that_was_filled(self) -> None:
        told = adopted(intent(state=S.ACKED), B.CANCELED, "4", "100.25")
        assert (told.filled_quantity, told.average_fill_price) == (Decimal(4), Decimal("100.25"))

    def test_more_than_was_ordered_is_refused(self) -> None:
        with pytest.raises(InvalidValue, match="filled_quantity"):
            adopted(intent("10", state=S.ACKED), B.FILLED, "11", "100")

    def test_no_price_means_no_dollars(self) -> None:
        assert order_for(intent(), B.NEW).filled_value == 0


class TestTimes:
    def test_a_closing_without_a_time_is_dated_by_the_pass(self) -> None:
        assert adopted(intent(state=S.ACKED), B.EXPIRED).closed_at == LATER

    def test_a_closing_keeps_the_broker_s_time(self) -> None:
        held = intent(state=S.ACKED)
        told = adopt(held, order_for(held, B.CANCELED, closed_at=NOW + timedelta(seconds=3)), LATER)
        assert told.closed_at == NOW + timedelta(seconds=3)

    def test_a_live_order_is_not_closed(self) -> None:
        assert adopted(intent(state=S.SENT), B.NEW).closed_at is None

    def test_the_time_of_the_last_fill_is_the_broker_s(self) -> None:
        held = replace(intent(state=S.ACKED), filled_at=NOW - MINUTE)
        assert adopted(held, B.FILLED, "10", "100").filled_at == NOW

    def test_news_without_a_fill_keeps_the_time_of_the_last_one(self) -> None:
        held = replace(intent(state=S.ACKED), filled_at=NOW - MINUTE)
        assert adopted(held, B.CANCELED).filled_at == NOW - MINUTE

    def test_the_broker_s_own_id_is_kept(self) -> None:
        assert adopted(intent(state=S.SENT), B.NEW).broker_order_id == "b-61e69015"


open_intents = st.sampled_from([S.SENT, S.UNKNOWN, S.ACKED, S.PARTIALLY_FILLED]).map(lambda s: intent("10", state=s))
news = st.tuples(st.sampled_from(B), st.integers(min_value=0, max_value=10))


@given(open_intents, news)
def test_news_taken_twice_is_news_taken_once(held: Intent, told: tuple[OrderStatus, int]) -> None:
    once = adopted(held, told[0], str(told[1]), "100")
    assert adopted(once, told[0], str(told[1]), "100") == once


@given(open_intents, st.lists(news, max_size=8))
def test_fills_never_go_back(held: Intent, story: list[tuple[OrderStatus, int]]) -> None:
    for status, filled in story:
        after = adopted(held, status, str(filled), "100")
        assert after.filled_quantity >= held.filled_quantity
        held = after


@given(open_intents, news, st.lists(news, max_size=8))
def test_a_closed_intent_stays_as_it_closed(
    held: Intent, last: tuple[OrderStatus, int], later: list[tuple[OrderStatus, int]]
) -> None:
    closed = adopted(held, last[0], str(last[1]), "100")
    assume(not closed.is_open)
    after = closed
    for status, filled in later:
        after = adopted(after, status, str(filled), "100")
    assert after == closed


class TestRequests:
    def test_the_request_carries_our_id(self) -> None:
        assert request_for(intent()).client_order_id == intent().id

    def test_the_same_intent_gives_the_same_request_in_every_state(self) -> None:
        prepared = intent(reason=Reason.STOP_LOSS)
        again = replace(prepared, sends=1, owner="run-7", note="the broker never received it")
        assert request_for(again) == request_for(prepared)

    def test_a_limit_goes_along(self) -> None:
        limited = replace(intent(), order_type=OrderType.LIMIT, limit_price=Decimal("100.01"))
        assert request_for(limited).limit_price == Decimal("100.01")


@pytest.mark.parametrize(
    ("status", "live"),
    [
        (B.NEW, True),
        (B.PARTIALLY_FILLED, True),
        (B.FILLED, False),
        (B.CANCELED, False),
        (B.EXPIRED, False),
        (B.REJECTED, False),
    ],
)
def test_only_new_and_partly_filled_orders_can_still_fill(status: OrderStatus, live: bool) -> None:
    assert order_for(intent(), status).is_live is live
