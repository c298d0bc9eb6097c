"""The Alpaca adapter against a broker that fails: what leaves the machine, and what each failure is taken for.

Faults 7 to 10: one request per attempt on the wire, and never a wrong guess about whether the broker has an order.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from hypothesis import given
from hypothesis import strategies as st

from local_stack.exchange.gate import Misbehaviour
from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca import session
from shared.adapters.alpaca.broker import ORDERS_PER_REQUEST, AlpacaBroker
from shared.adapters.alpaca.calendar import AlpacaCalendar
from shared.adapters.alpaca.prices import AlpacaPrices
from shared.adapters.alpaca.session import connect_data, connect_trading
from shared.adapters.alpaca.translation import (
    STATUSES,
    exact_float,
    to_account,
    to_asset,
    to_clock,
    to_order,
    to_position,
    to_quote,
    to_request,
    to_time,
)
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.assets import Symbol
from shared.domain.errors import (
    BrokerRefusal,
    HearthwatchError,
    InvalidValue,
    OutcomeUnknown,
    Refusal,
    Throttled,
    Unavailable,
)
from shared.domain.gate import Limits, judge_entry
from shared.domain.intents import OrderType, TimeInForce
from shared.domain.orders import LIVE_STATUSES, Asset, OrderStatus, RequestAllowance
from tests.conftest import ReferenceData
from tests.fakes.scripted_http import ScriptedServer, Step, drip, endless, hang, hang_up, reply, reset_in_body
from tests.fakes.venue import AAPL, MINUTE, NOON, TSLA, bar, order, small_exchange
from tests.unit.builders import calm_gate

ONE = order("hw-1", "buy", "1", "limit", "99")
TAKEN = {
    "id": "11111111-2222-4333-8444-000000000001",
    "client_order_id": "hw-1",
    "symbol": "TSLA",
    "side": "buy",
    "type": "limit",
    "time_in_force": "day",
    "qty": "1",
    "filled_qty": "0",
    "limit_price": "99",
    "status": "pending_new",
    "submitted_at": "2026-02-04T17:00:00.123456789Z",
}
AT_BROKER = to_order(TAKEN)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a third of a second where the real adapter waits for ten."""
    monkeypatch.setattr(session, "TRADING_READ_SECONDS", 0.3)
    monkeypatch.setattr(session, "DATA_READ_SECONDS", 0.3)


def broker_at(url: str, now: datetime = NOON) -> AlpacaBroker:
    return AlpacaBroker(connect_trading("key", "secret", url=url), SimulatedClock(now))


def error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (reply(504, b"upstream timeout"), OutcomeUnknown),
        (reply(500, error(50010000, "internal server error occurred")), OutcomeUnknown),
        (reply(502, b"<html>bad gateway</html>"), OutcomeUnknown),
        (reply(408, b""), OutcomeUnknown),
        (reply(429, error(42910000, "too many requests.")), Throttled),
        (reply(401, error(40110000, "request is not authorized")), Unavailable),
        (reply(403, error(40310000, "forbidden.")), Unavailable),
        (reply(200, b""), OutcomeUnknown),
        (reply(200, b"<html>hello</html>"), OutcomeUnknown),
        (reply(200, {"id": "no order"}), OutcomeUnknown),
        (reply(200, [1, 2]), OutcomeUnknown),
        (reply(200, TAKEN | {"client_order_id": "somebody else's"}), OutcomeUnknown),
        (reply(302, b"", Location="/elsewhere"), OutcomeUnknown),
        (hang, OutcomeUnknown),
        (hang_up, OutcomeUnknown),
        (reset_in_body, OutcomeUnknown),
        (drip, OutcomeUnknown),
    ],
)
def test_a_failed_send_leaves_the_machine_once_and_is_taken_for_what_it_is(
    step: Step, outcome: type[HearthwatchError]
) -> None:
    with ScriptedServer(step) as server:
        began = monotonic()
        with pytest.raises(outcome):
            broker_at(server.url).submit(ONE)

    assert server.count("POST") == len(server.arrived) == 1
    assert monotonic() - began < 2


@pytest.mark.parametrize("step", [reply(504, b""), reply(429, b""), reply(503, b""), hang, hang_up, reset_in_body])
def test_a_failed_cancel_leaves_the_machine_once(step: Step) -> None:
    with ScriptedServer(step) as server, pytest.raises((OutcomeUnknown, Throttled)):
        broker_at(server.url).cancel(AT_BROKER)

    assert server.count("DELETE") == len(server.arrived) == 1


READS: list[Callable[[AlpacaBroker], object]] = [
    AlpacaBroker.account,
    AlpacaBroker.clock,
    AlpacaBroker.positions,
    AlpacaBroker.live_orders,
    lambda broker: broker.order_by_client_id("hw-1"),
    lambda broker: broker.asset(TSLA),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "step",
    [reply(504, b""), reply(403, error(40310000, "forbidden.")), reply(404, b"<html>no such page</html>"), hang,
     hang_up, reset_in_body, drip, endless, reply(200, b""), reply(200, b"{"), reply(200, {"cash": "NaN"}),
     reply(200, ["x"]), reply(200, b"null")],
)  # fmt: skip
def test_a_failed_read_is_unavailable_and_asked_once(read: Callable[[AlpacaBroker], object], step: Step) -> None:
    with ScriptedServer(step) as server, pytest.raises(Unavailable):
        read(broker_at(server.url))

    assert server.count("GET") == len(server.arrived) == 1


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_refused_connection_certainly_sent_nothing() -> None:
    broker = broker_at(closed_port())

    for call in (lambda: broker.submit(ONE), lambda: broker.cancel(AT_BROKER), broker.account):
        with pytest.raises(Unavailable):
            call()


def test_a_connection_that_is_never_made_certainly_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_SECONDS", 0.2)
    with contextlib.ExitStack() as opened:
        deaf = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())

        with pytest.raises(Unavailable):
            broker_at(f"http://127.0.0.1:{deaf.getsockname()[1]}").submit(ONE)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "17"}, 17),
        ({"Retry_After": "0"}, 0),
        ({"Retry_After": "Wed, 04 Feb 2026 17:00:25 GMT"}, 25),
        ({"Retry_After": "soon"}, 60),
        ({"X_RateLimit_Reset": str(int(NOON.timestamp()) + 42)}, 42),
        ({"X_RateLimit_Reset": str(int(NOON.timestamp()) - 5)}, 1),
        ({"X_RateLimit_Reset": "99999999999999"}, 300),
        ({"Retry_After": "3", "X_RateLimit_Reset": str(int(NOON.timestamp()) + 42)}, 3),
        ({}, 60),
    ],
)
def test_a_429_says_how_long_to_wait(headers: dict[str, str], seconds: int) -> None:
    with ScriptedServer(reply(429, error(42910000, "too many requests."), **headers)) as server:
        broker = broker_at(server.url)
        for call in (lambda: broker.submit(ONE), lambda: broker.cancel(AT_BROKER), broker.positions):
            with pytest.raises(Throttled) as caught:
                call()
            assert caught.value.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (422, 40010001, "client_order_id must be unique", Refusal.USED_ID),
        (403, 40310000, "opposite side market/stop order exists", Refusal.OPPOSITE_SIDE_RESTING),
        (403, 40310000, "potential wash trade detected. use complex orders", Refusal.OPPOSITE_SIDE_RESTING),
        (403, 40310000, "insufficient qty available for order (requested: 5, available: 0)", Refusal.SHARES_RESERVED),
        (403, 40310000, "account is not allowed to short", Refusal.SHARES_RESERVED),
        (403, 40310000, "insufficient buying power", Refusal.BUYING_POWER),
        (403, 40310000, "insufficient day trading buying power", Refusal.BUYING_POWER),
        (422, 42210000, 'asset "NOPE" not found', Refusal.UNKNOWN_SYMBOL),
        (422, 42210000, "asset TSLA is not active", Refusal.UNKNOWN_SYMBOL),
        (403, 40310000, "market is closed: market day orders are not accepted", Refusal.SESSION_CLOSED),
        (422, 42210000, "fractional orders must be DAY orders", Refusal.OTHER),
        (403, 40310000, "something new", Refusal.OTHER),
    ],
)
def test_a_refusal_is_told_by_its_message(status: int, code: int, message: str, kind: Refusal) -> None:
    with ScriptedServer(reply(status, error(code, message))) as server, pytest.raises(BrokerRefusal) as caught:
        broker_at(server.url).submit(ONE)

    assert (caught.value.kind, caught.value.code, caught.value.message) == (kind, code, message)


@pytest.mark.parametrize(
    "step", [reply(422, error(42210000, 'order is already in "filled" state')), reply(422, b""),
             reply(404, error(40410000, "order not found"))],
)  # fmt: skip
def test_a_refused_cancel_is_not_cancelable(step: Step) -> None:
    with ScriptedServer(step) as server, pytest.raises(BrokerRefusal) as caught:
        broker_at(server.url).cancel(AT_BROKER)

    assert caught.value.kind is Refusal.NOT_CANCELABLE


@pytest.mark.parametrize(
    "changes",
    [{"quantity": Decimal("123456789.123456789")}, {"quantity": Decimal("NaN")}, {"quantity": Decimal("Infinity")},
     {"limit_price": Decimal("12345678901234.5678")}],
)  # fmt: skip
def test_an_order_that_would_be_sent_inexactly_never_leaves(changes: dict[str, Decimal]) -> None:
    fields = {field: getattr(ONE, field) for field in ONE.__slots__} | changes
    with ScriptedServer(reply(200, TAKEN)) as server, pytest.raises(BrokerRefusal) as caught:
        broker_at(server.url).submit(type(ONE)(**fields))

    assert caught.value.kind is Refusal.OTHER
    assert server.arrived == []


@given(value=st.decimals(min_value=0, max_value=10_000, places=9))
def test_whatever_is_sent_arrives_as_the_same_decimal(value: Decimal) -> None:
    try:
        sent = json.dumps({"qty": exact_float("qty", value)})
    except BrokerRefusal:
        return
    assert json.loads(sent, parse_float=Decimal)["qty"] == value


def test_a_limit_order_without_a_price_never_leaves() -> None:
    fields = {field: getattr(ONE, field) for field in ONE.__slots__} | {"limit_price": None}

    with pytest.raises(BrokerRefusal):
        to_request(type(ONE)(**fields))


def test_a_client_that_repeats_by_itself_is_not_taken() -> None:
    with pytest.raises(InvalidValue):
        AlpacaBroker(TradingClient("key", "secret", raw_data=True), SimulatedClock(NOON))


def test_a_list_that_may_be_cut_is_no_list() -> None:
    with ScriptedServer(reply(200, [TAKEN] * ORDERS_PER_REQUEST)) as server, pytest.raises(Unavailable):
        broker_at(server.url).live_orders()


@pytest.fixture
def simulator() -> Iterator[ExchangeSimulator]:
    with ExchangeSimulator(small_exchange(), SimulatedClock(NOON)) as simulated:
        simulated.feed(bar("100", at=NOON - MINUTE))
        yield simulated


def broker_of(simulator: ExchangeSimulator) -> AlpacaBroker:
    client = connect_trading(simulator.key_id, simulator.secret, url=simulator.url)
    return AlpacaBroker(client, SimulatedClock(NOON))


@pytest.mark.parametrize(
    "kind",
    [Misbehaviour.HANG_AFTER_ACCEPT, Misbehaviour.GATEWAY_TIMEOUT_AFTER_ACCEPT, Misbehaviour.RESET_IN_BODY,
     Misbehaviour.SLOW_DRIP],
)  # fmt: skip
def test_an_order_whose_answer_was_lost_is_found_by_its_id(simulator: ExchangeSimulator, kind: Misbehaviour) -> None:
    simulator.misbehave(kind, method="POST")
    broker = broker_of(simulator)

    with pytest.raises(OutcomeUnknown):
        broker.submit(ONE)

    found = broker.order_by_client_id("hw-1")
    assert found is not None
    assert found.is_live
    assert simulator.count("POST") == 1
    with pytest.raises(BrokerRefusal) as again:
        broker.submit(ONE)
    assert again.value.kind is Refusal.USED_ID
    assert len(simulator.exchange.orders()) == 1


@pytest.mark.parametrize(
    "kind",
    [Misbehaviour.HANG_BEFORE_ACCEPT, Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT, Misbehaviour.RESET_BEFORE_ACCEPT],
)
def test_an_order_that_never_arrived_is_none_and_can_be_sent_again(
    simulator: ExchangeSimulator, kind: Misbehaviour
) -> None:
    simulator.misbehave(kind, method="POST")
    broker = broker_of(simulator)

    with pytest.raises(OutcomeUnknown):
        broker.submit(ONE)

    assert broker.order_by_client_id("hw-1") is None
    assert broker.submit(ONE).is_live
    assert simulator.count("POST") == 2
    assert len(simulator.exchange.orders()) == 1


def test_a_throttled_order_was_not_taken(simulator: ExchangeSimulator) -> None:
    simulator.misbehave(Misbehaviour.TOO_MANY_REQUESTS, method="POST", retry_after=timedelta(seconds=7))
    broker = broker_of(simulator)

    with pytest.raises(Throttled) as caught:
        broker.submit(ONE)

    assert caught.value.retry_after == timedelta(seconds=7)
    assert broker.order_by_client_id("hw-1") is None
    assert simulator.count("POST") == 1


def test_a_cancel_whose_answer_was_lost_shows_in_the_orders_state(simulator: ExchangeSimulator) -> None:
    broker = broker_of(simulator)
    placed = broker.submit(ONE)
    simulator.misbehave(Misbehaviour.HANG_AFTER_ACCEPT, method="DELETE")

    with pytest.raises(OutcomeUnknown):
        broker.cancel(placed)

    found = broker.order_by_client_id("hw-1")
    assert found is not None
    assert found.status is OrderStatus.CANCELED


def test_one_symbol_of_a_form_alpaca_rejects_does_not_blind_the_others() -> None:
    snapshot = {"latestTrade": {"p": 100.25, "t": "2026-02-04T16:59:59.5Z"}}
    with ScriptedServer(reply(400, {"message": "invalid symbol: BRK-A"}), reply(200, {"TSLA": snapshot})) as server:
        prices = AlpacaPrices(connect_data("key", "secret", url=server.url), SimulatedClock(NOON))
        quotes = prices.quotes([TSLA, Symbol("BRK-A")])

    assert list(quotes) == [TSLA]
    assert len(server.arrived) == 2


def test_one_unreadable_snapshot_costs_the_others_nothing() -> None:
    sound = {"latestTrade": {"p": 100.25, "t": "2026-02-04T16:59:59.5Z"}, "latestQuote": {"bp": 0, "ap": 0}}
    body = {"TSLA": sound, "AAPL": {"latestTrade": {"p": [], "t": 5}}, "NVDA": None}
    with ScriptedServer(reply(200, body)) as server:
        prices = AlpacaPrices(connect_data("key", "secret", url=server.url), SimulatedClock(NOON), feed="sip")
        quotes = prices.quotes([TSLA, AAPL, Symbol("NVDA")])

    assert list(quotes) == [TSLA]
    assert (quotes[TSLA].last, quotes[TSLA].bid, quotes[TSLA].quoted_at) == (Decimal("100.25"), Decimal(0), None)
    assert quotes[TSLA].feed == "alpaca-sip"


@pytest.mark.parametrize("step", [reply(504, b""), hang, hang_up, drip, reply(200, b"[]"), reply(200, b"null")])
def test_failed_prices_are_unavailable_and_asked_once(step: Step) -> None:
    with ScriptedServer(step) as server:
        prices = AlpacaPrices(connect_data("key", "secret", url=server.url), SimulatedClock(NOON))
        with pytest.raises(Unavailable):
            prices.quotes([TSLA])

    assert len(server.arrived) == 1


def test_the_calendar_is_asked_once_for_what_it_already_knows() -> None:
    days = [
        {"date": "2026-11-27", "open": "09:30", "close": "13:00"},
        {"date": "2026-11-30", "open": "09:30", "close": "16:00"},
    ]
    with ScriptedServer(reply(200, days)) as server:
        calendar = AlpacaCalendar(connect_trading("key", "secret", url=server.url), SimulatedClock(NOON))
        listed = calendar.days(date(2026, 11, 26), date(2026, 11, 30))
        again = calendar.days(date(2026, 11, 27), date(2026, 11, 28))

    assert listed[0].closes == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    assert list(again) == [listed[0]]
    assert len(server.arrived) == 1


def test_a_failed_calendar_is_asked_again() -> None:
    with ScriptedServer(reply(503, b""), reply(200, [])) as server:
        calendar = AlpacaCalendar(connect_trading("key", "secret", url=server.url), SimulatedClock(NOON))
        with pytest.raises(Unavailable):
            calendar.days(date(2026, 11, 26), date(2026, 11, 26))

        assert list(calendar.days(date(2026, 11, 26), date(2026, 11, 26))) == []


@pytest.mark.parametrize("status", [*STATUSES, "never_heard_of"])
@pytest.mark.parametrize("filled", ["0", "0.4", "1"])
def test_every_status_of_alpacas_has_a_meaning(status: str, filled: str) -> None:
    read = to_order(TAKEN | {"status": status, "filled_qty": filled, "filled_avg_price": "98.7654321"})

    expected = STATUSES.get(status, OrderStatus.NEW)
    if expected in LIVE_STATUSES and filled != "0":
        expected = OrderStatus.FILLED if filled == "1" else OrderStatus.PARTIALLY_FILLED
    assert read.status is expected
    assert read.filled_quantity == Decimal(filled)


def test_an_order_by_hand_of_a_kind_we_never_send_is_still_read() -> None:
    foreign = TAKEN | {
        "type": "trailing_stop",
        "time_in_force": "opg",
        "qty": None,
        "notional": "500",
        "filled_qty": "2",
    }

    read = to_order(foreign)

    assert (read.order_type, read.time_in_force, read.quantity) == (OrderType.STOP, TimeInForce.DAY, Decimal(2))


def test_times_are_cut_to_microseconds_and_moved_to_utc() -> None:
    assert to_time("2022-03-18T10:33:58.448432999-04:00") == datetime(2022, 3, 18, 14, 33, 58, 448432, tzinfo=UTC)


RECORDED = ("data", "alpaca-responses")
TRADING = (*RECORDED, "trading-trading_client")


def recorded(reference_data: ReferenceData, *parts: str) -> Any:
    return json.loads(reference_data.path(*parts).read_text())


@pytest.mark.parametrize("name", ["market_order", "limit_order", "get_order_by_id"])
def test_recorded_orders_are_read(reference_data: ReferenceData, name: str) -> None:
    raw = recorded(reference_data, *TRADING, f"order_routes__{name}.json")

    read = to_order(raw)

    assert (read.id, read.client_order_id, read.symbol) == (raw["id"], raw["client_order_id"], raw["symbol"])
    assert (read.side, read.order_type, read.time_in_force) == (raw["side"], raw["type"], raw["time_in_force"])
    assert (read.quantity, read.filled_quantity) == (Decimal(str(raw["qty"])), Decimal(raw["filled_qty"]))
    assert (read.limit_price is None) == (raw["limit_price"] is None) == (name != "limit_order")
    assert (raw["status"], read.status, read.is_live) == ("accepted", OrderStatus.NEW, True)
    assert read.submitted_at == datetime.fromisoformat(raw["submitted_at"])


def test_a_recorded_order_list_is_read(reference_data: ReferenceData) -> None:
    raw = recorded(reference_data, *TRADING, "order_routes__get_orders.json")
    with ScriptedServer(reply(200, raw)) as server:
        [read] = broker_at(server.url).live_orders()

    assert (read.symbol, read.order_type, read.status) == (raw[0]["symbol"], raw[0]["type"], raw[0]["status"])


def test_the_recorded_account_is_read_with_and_without_its_day_trade_fields(reference_data: ReferenceData) -> None:
    raw = recorded(reference_data, *TRADING, "account_routes__get_account.json")
    retired = {key: value for key, value in raw.items() if "day" not in key and key != "multiplier"}

    read, without = to_account(raw), to_account(retired)

    assert (read.day_trades, read.pattern_day_trader) == (raw["daytrade_count"], raw["pattern_day_trader"])
    assert without == replace(read, day_trades=None, pattern_day_trader=None)
    assert (read.cash, read.equity, read.blocked) == (Decimal(raw["cash"]), Decimal(raw["equity"]), False)


@pytest.mark.parametrize(
    ("change", "check", "why"),
    [
        ({"trading_blocked": True}, "account", "trading_blocked"),
        ({"account_blocked": True}, "account", "account_blocked"),
        ({"trade_suspended_by_user": True}, "account", "trade_suspended_by_user"),
        ({"status": "ACCOUNT_CLOSED"}, "account", "status ACCOUNT_CLOSED"),
        ({"daytrade_count": 3, "equity": "24999.99"}, "day trades", "3 day trades"),
        ({"daytrade_count": "4", "equity": "24999.99"}, "day trades", "4 day trades"),
        ({"pattern_day_trader": True, "equity": "24999.99"}, "day trades", "pattern day trader"),
        ({"buying_power": "99.99"}, "buying power", "99.99 dollars left"),
        ({"buying_power": "-1"}, "buying power", "0.00 dollars left"),
    ],
)
def test_an_account_that_may_not_trade_opens_nothing(
    reference_data: ReferenceData, change: dict[str, Any], check: str, why: str
) -> None:
    raw = recorded(reference_data, *TRADING, "account_routes__get_account.json")

    free, kept_back = (replace(calm_gate(), account=to_account(told)) for told in (raw, raw | change))

    assert judge_entry(TSLA, Decimal(1), Decimal(100), free, Limits()).passes
    told = judge_entry(TSLA, Decimal(1), Decimal(100), kept_back, Limits())
    assert ([f.check for f in told.findings], told.quantity) == ([check], Decimal(0))
    assert why in told.findings[0].why


@pytest.mark.parametrize(
    ("change", "quantity", "why"),
    [
        ({"status": "inactive"}, "1", "not active"),
        ({"tradable": False}, "1", "not tradable"),
        ({"tradable": None}, "1", "not tradable"),
        ({"fractionable": False}, "0.5", "whole shares only"),
        ({"fractionable": None}, "0.5", "whole shares only"),
        ({"symbol": "AAPL.OLD"}, "1", "does not say"),
    ],
)
def test_an_asset_that_may_not_trade_opens_nothing(
    reference_data: ReferenceData, change: dict[str, Any], quantity: str, why: str
) -> None:
    raw = recorded(reference_data, *TRADING, "asset_routes__get_asset.json")

    free, kept_back = (replace(calm_gate(), asset=to_asset(told)) for told in (raw, raw | change))

    assert judge_entry(AAPL, Decimal(quantity), Decimal(100), free, Limits()).passes
    told = judge_entry(AAPL, Decimal(quantity), Decimal(100), kept_back, Limits())
    assert ([f.check for f in told.findings], told.quantity) == (["asset"], Decimal(0))
    assert why in told.findings[0].why


def test_the_recorded_asset_is_read_from_its_reply(reference_data: ReferenceData) -> None:
    raw = recorded(reference_data, *TRADING, "asset_routes__get_asset.json")
    with ScriptedServer(reply(200, raw)) as server:
        read = broker_at(server.url).asset(AAPL)

    assert read == Asset(symbol=AAPL, active=True, tradable=True, fractionable=True)
    assert server.arrived[0].target == "/v2/assets/AAPL"


@pytest.mark.parametrize("body", [b"", b"<html>not here</html>"])
def test_an_asset_is_unknown_when_something_between_us_says_so(body: bytes) -> None:
    with ScriptedServer(reply(404, body)) as server, pytest.raises(Unavailable):
        broker_at(server.url).asset(AAPL)


RESETS = datetime.fromtimestamp(1770224460, UTC)


@pytest.mark.parametrize(
    ("headers", "allowance"),
    [
        ({"X_RateLimit_Remaining": "7", "X_RateLimit_Reset": "1770224460"}, RequestAllowance(7, RESETS)),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1770224460"}, RequestAllowance(0, RESETS)),
        ({"X_RateLimit_Remaining": "7"}, None),
        ({"X_RateLimit_Remaining": "many", "X_RateLimit_Reset": "1770224460"}, None),
        ({"X_RateLimit_Remaining": "-1", "X_RateLimit_Reset": "1770224460"}, None),
        ({}, None),
    ],
)
def test_what_is_left_of_the_rate_window_is_read_from_any_reply(
    headers: dict[str, str], allowance: RequestAllowance | None
) -> None:
    for step in (reply(200, [], **headers), reply(500, {}, **headers)):
        with ScriptedServer(step) as server:
            broker = broker_at(server.url)
            assert broker.allowance() is None
            with contextlib.suppress(Unavailable):
                broker.positions()
            assert broker.allowance() == allowance
            assert len(server.arrived) == 1


def test_a_reply_that_says_nothing_leaves_what_is_known_of_the_window() -> None:
    known = {"X_RateLimit_Remaining": "7", "X_RateLimit_Reset": "1770224460"}
    with ScriptedServer(reply(200, [], **known), reply(200, [])) as server:
        broker = broker_at(server.url)
        broker.positions()
        broker.positions()

    assert broker.allowance() == RequestAllowance(7, RESETS)


def test_recorded_positions_are_read(reference_data: ReferenceData) -> None:
    [raw] = recorded(reference_data, *TRADING, "position_routes__get_all_positions.json")

    read = to_position(raw)

    quantity = Decimal(raw["qty"])
    assert (read.symbol, read.quantity, read.available) == (raw["symbol"], quantity, quantity)
    assert read.average_entry_price == Decimal(raw["avg_entry_price"])


def test_a_recorded_snapshot_is_read(reference_data: ReferenceData) -> None:
    raw = recorded(reference_data, *RECORDED, "data", "historical_stock_data__get_snapshot.json")
    [(symbol, snapshot)] = raw.items()
    quote, trade = snapshot["latestQuote"], snapshot["latestTrade"]

    read = to_quote(Symbol(symbol), snapshot, "alpaca-iex")

    assert (read.bid, read.ask, read.last) == tuple(
        Decimal(str(number)) for number in (quote["bp"], quote["ap"], trade["p"])
    )
    assert (read.quoted_at, read.traded_at) == (datetime.fromisoformat(quote["t"]), datetime.fromisoformat(trade["t"]))


def test_a_clock_with_new_yorks_offset_is_read() -> None:
    read = to_clock(
        {
            "timestamp": "2026-02-04T12:00:00.000000001-05:00",
            "is_open": True,
            "next_open": "2026-02-05T09:30:00-05:00",
            "next_close": "2026-02-04T16:00:00-05:00",
        }
    )

    assert (read.at, read.is_open) == (NOON, True)
