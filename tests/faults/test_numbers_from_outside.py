"""Any number that a provider may write goes through the real adapters into the decision to sell (fault 13).

JSON as Python reads it knows NaN and infinities; what has no bounds must end as a doubt, never as a comparison that
is quietly false.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.alpaca.prices import AlpacaPrices
from shared.adapters.alpaca.session import connect_data
from shared.adapters.alpaca.translation import to_quote
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.yahoo.prices import YahooPrices
from shared.domain.alerts import AlertKind
from shared.domain.errors import Unavailable
from shared.domain.intents import Side
from shared.domain.money import usable_price
from shared.domain.quotes import HIGHEST_PRICE, LOWEST_PRICE, FreshnessLimits, Quote, judge_quote, judge_unremembered
from shared.domain.stops import RiskAction, judge_exit
from shared.domain.times import iso
from tests.fakes.desk import Desk, held
from tests.fakes.scripted_http import ScriptedServer, reply
from tests.fakes.venue import AAPL, NOON, TSLA
from tests.fakes.yahoo import chart

ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 5e-324, 2.2e-308, 1.7976931348623157e308, 1e-9, 1e26, 94.99]
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True),
    st.sampled_from(ODD),
    st.floats(min_value=80, max_value=120),
    st.integers(-(10**30), 10**30),
    st.none(),
)
LIMITS = FreshnessLimits()
POSITION = held(TSLA, "10", "100")
AT = iso(NOON - timedelta(seconds=2))


def snapshot(bid: object, ask: object, last: object) -> Any:
    """What Alpaca would send, once through JSON."""
    body = {"latestQuote": {"bp": bid, "ap": ask, "t": AT}, "latestTrade": {"p": last, "t": AT}}
    return json.loads(json.dumps(body))


@given(bid=NUMBERS, ask=NUMBERS, last=NUMBERS, second=NUMBERS)
@settings(max_examples=400, deadline=None)
@example(bid=99.9, ask=100.1, last=math.nan, second=None)
@example(bid=math.nan, ask=math.nan, last=94.0, second=94.0)
def test_no_number_sells_or_opens_but_a_real_price_that_was_sent(
    bid: object, ask: object, last: object, second: object
) -> None:
    primary = to_quote(TSLA, snapshot(bid, ask, last), "alpaca-iex")
    backup = to_quote(TSLA, snapshot(None, None, second), "backup")
    sent = {Decimal(str(number)) for number in (last, second) if number is not None}

    for judged in (
        judge_quote(TSLA, primary, backup, None, NOON, LIMITS),
        judge_unremembered(TSLA, primary, backup, NOON, LIMITS),
    ):
        verdict = judge_exit(POSITION, judged.price)
        if judged.price is None:
            assert judged.is_blind
            assert verdict.action is RiskAction.HOLD
            assert not judged.opens_positions
            continue
        assert LOWEST_PRICE <= judged.price <= HIGHEST_PRICE
        assert judged.price in sent
        assert (verdict.action is RiskAction.SELL) == (judged.price <= POSITION.stop_price)
        if judged.opens_positions:
            assert all(usable_price(each) for each in (primary.bid, primary.ask, primary.last))
            assert primary.bid is not None
            assert primary.ask is not None
            assert primary.bid <= primary.ask


@given(path=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_no_sequence_of_numbers_prepares_an_exit_without_a_real_price_below_the_stop(
    path: list[tuple[object, object, object]],
) -> None:
    desk = Desk(POSITION)
    seen: set[Decimal] = set()
    for bid, ask, last in path:
        desk.wait()
        at = desk.clock.now()
        raw = to_quote(TSLA, snapshot(bid, ask, last), "alpaca-iex")
        desk.primary.set_quote(raw._replace(quoted_at=at, traded_at=at))
        seen |= {raw.last} if raw.last is not None else set()
        desk.poll()
        desk.check()
        intent = desk.ledger.open_for(TSLA, Side.SELL)
        if intent is not None:
            assert any(usable_price(price) and price <= POSITION.stop_price for price in seen)
            assert usable_price(intent.evidence.price)
        minute = desk.world.prices.latest()
        assert minute is not None
        assert minute.quotes[TSLA].is_blind == (not usable_price(minute.quotes[TSLA].price))


@pytest.mark.parametrize("absurd", ["1E+26", "1E-30"])
def test_a_number_that_no_share_costs_is_no_price_however_often_it_comes(absurd: str) -> None:
    """Confirmed by the next tick it would be judged, and its move would be too large to write down."""
    desk = Desk(POSITION)
    for price in (absurd, absurd, "100", "100"):
        desk.wait()
        desk.set_price(TSLA, price)
        desk.set_price(AAPL, "94" if price == absurd else "100")
        desk.poll()
        desk.check()
        minute = desk.world.prices.latest()
        assert minute is not None
        assert minute.quotes[TSLA].is_blind == (price == absurd)
    assert desk.ledger.open_for(TSLA, Side.SELL) is None
    assert {alert.subject for alert in desk.heard() if alert.kind == AlertKind.PRICE_MOVE} == {AAPL}


@given(number=NUMBERS)
@settings(max_examples=300, deadline=None)
def test_no_number_of_the_second_source_is_more_than_a_price_or_unreadable(number: object) -> None:
    body = chart("TSLA", json.dumps(number), NOON)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with httpx.Client(transport=transport) as client:
        try:
            [quote] = YahooPrices(client).quotes([TSLA]).values()
        except Unavailable:
            return
    assert quote.last is not None
    assert usable_price(quote.last)
    assert quote.last <= HIGHEST_PRICE


@pytest.mark.parametrize("last", ["NaN", "Infinity", "-Infinity", "0", "-94", "1e400", "5e-324", "null"])
def test_what_is_no_price_on_the_wire_leaves_the_symbol_blind(last: str) -> None:
    """Whether its client reads such text as a number depends on the JSON library that is installed; both are safe."""
    quote = f'{{"bp": {last}, "ap": {last}, "t": "{AT}"}}'
    body = f'{{"TSLA": {{"latestTrade": {{"p": {last}, "t": "{AT}"}}, "latestQuote": {quote}}}}}'.encode()
    with ScriptedServer(reply(200, body)) as server:
        prices = AlpacaPrices(connect_data("key", "secret", url=server.url), SimulatedClock(NOON))
        try:
            read = prices.quotes([TSLA]).get(TSLA)
        except Unavailable:
            read = None

    judged = judge_quote(TSLA, read, None, judge_quote(TSLA, sane(), None, None, NOON, LIMITS), NOON, LIMITS)
    assert judge_exit(POSITION, judged.price).action is RiskAction.HOLD
    assert not judged.opens_positions
    assert judged.price is None


def sane() -> Quote:
    return to_quote(TSLA, snapshot(99.98, 100.02, 100.0), "alpaca-iex")
