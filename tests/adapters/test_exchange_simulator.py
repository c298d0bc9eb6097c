"""The exchange simulator against Alpaca's description of its API, and its misbehaviour on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from local_stack.exchange.gate import Misbehaviour
from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.alpaca.calendar import AlpacaCalendar
from shared.adapters.alpaca.prices import AlpacaPrices
from shared.adapters.alpaca.session import connect_data, connect_trading
from shared.adapters.alpaca.translation import STATUSES
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import OutcomeUnknown, Unavailable
from shared.domain.orders import PlaceOrder
from tests.conftest import ReferenceData
from tests.fakes.openapi import ApiDescription
from tests.fakes.scripted_http import ScriptedServer, reply
from tests.fakes.venue import AAPL, CASH, CLOSE, MINUTE, NIGHT, NOON, OPEN, TSLA, bar, order, small_exchange

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def trading_api(reference_data: ReferenceData) -> ApiDescription:
    return ApiDescription(reference_data.path("specs", "alpaca-trading-api.json"))


@pytest.fixture(scope="module")
def data_api(reference_data: ReferenceData) -> ApiDescription:
    return ApiDescription(reference_data.path("specs", "alpaca-market-data-api.json"))


class Desk:
    """A simulator with yesterday's and this morning's bars, and plain HTTP to talk to it."""

    def __init__(self, simulator: ExchangeSimulator, clock: SimulatedClock, http: httpx.Client) -> None:
        self.simulator = simulator
        self.clock = clock
        self.http = http

    def get(self, path: str, **query: str | int) -> httpx.Response:
        return self.http.get(path, params=query)

    def json(self, path: str, **query: str | int) -> Any:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def place(self, **fields: object) -> httpx.Response:
        wanted = {"symbol": "TSLA", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        return self.http.post("/v2/orders", json=wanted | fields)


@pytest.fixture
def desk() -> Iterator[Desk]:
    clock = SimulatedClock(NOON)
    with ExchangeSimulator(small_exchange(), clock) as simulator:
        headers = {"APCA-API-KEY-ID": simulator.key_id, "APCA-API-SECRET-KEY": simulator.secret}
        simulator.feed(
            bar("90 95 89 94", at=OPEN - DAY, volume="10"),
            bar("94 96 93 95", at=OPEN - DAY + MINUTE, volume="20"),
            bar("97 99 96 98", at=OPEN, volume="30"),
            bar("50 50 50 50", at=OPEN, symbol=AAPL, volume=None),
            bar("98 101 98 100.25", at=NOON - MINUTE, volume="40"),
        )
        with httpx.Client(base_url=simulator.url, headers=headers, trust_env=False, timeout=1) as http:
            yield Desk(simulator, clock, http)


def test_every_order_has_the_described_shape(desk: Desk, trading_api: ApiDescription) -> None:
    placed = [
        desk.place(client_order_id="filled"),
        desk.place(client_order_id="resting", type="limit", limit_price="50.5", time_in_force="gtc"),
        desk.place(client_order_id="canceled", qty=1.5, symbol="AAPL"),
    ]
    for answer in placed:
        trading_api.check_reply("/v2/orders", "post", answer.status_code, answer.json())
    desk.simulator.feed(bar("100", at=NOON))
    desk.clock.advance(MINUTE)
    canceled = desk.http.delete(f"/v2/orders/{placed[2].json()['id']}")
    assert (canceled.status_code, canceled.content) == (204, b"")

    listed = desk.json("/v2/orders", status="all", direction="asc")

    trading_api.check_reply("/v2/orders", "get", 200, listed)
    assert [one["status"] for one in listed] == ["filled", "new", "canceled"]
    for one in listed:
        by_id = desk.json(f"/v2/orders/{one['id']}")
        trading_api.check_reply("/v2/orders/{order_id}", "get", 200, by_id)
        by_client_id = desk.json("/v2/orders:by_client_order_id", client_order_id=one["client_order_id"])
        trading_api.check_reply("/v2/orders:by_client_order_id", "get", 200, by_client_id)
        assert one == by_id == by_client_id


def test_account_clock_calendar_assets_and_positions_have_the_described_shapes(
    desk: Desk, trading_api: ApiDescription
) -> None:
    for path in ("/v2/account", "/v2/clock", "/v2/assets", "/v2/positions"):
        trading_api.check_reply(path, "get", 200, desk.json(path))
    calendar = desk.json("/v2/calendar", start="2026-02-04", end="2026-02-09")
    trading_api.check_reply("/v2/calendar", "get", 200, calendar)
    for name in ("TSLA", desk.json("/v2/assets/TSLA")["id"]):
        trading_api.check_reply("/v2/assets/{symbol_or_asset_id}", "get", 200, desk.json(f"/v2/assets/{name}"))
        held = desk.json(f"/v2/positions/{name}")
        trading_api.check_reply("/v2/positions/{symbol_or_asset_id}", "get", 200, held)

    assert [day["settlement_date"] for day in calendar] == ["2026-02-05", "2026-02-06", "2026-02-09", "2026-02-10"]
    assert (held["lastday_price"], held["current_price"], held["unrealized_pl"]) == ("95", "100.25", "102.5")


def test_snapshots_and_bars_have_the_described_shapes(desk: Desk, data_api: ApiDescription) -> None:
    for path in ("snapshots", "quotes/latest", "trades/latest", "bars/latest"):
        answer = desk.json(f"/v2/stocks/{path}", symbols="TSLA,AAPL,NOPE")
        data_api.check_reply(f"/v2/stocks/{path}", "get", 200, answer)
        assert set(next(iter(answer.values())) if path != "snapshots" else answer) == {"TSLA", "AAPL"}
    query = {"timeframe": "1Min", "start": "2026-02-03", "end": "2026-02-05"}
    data_api.check_reply("/v2/stocks/bars", "get", 200, desk.json("/v2/stocks/bars", symbols="TSLA", **query))
    data_api.check_reply("/v2/stocks/{symbol}/bars", "get", 200, desk.json("/v2/stocks/TSLA/bars", **query))


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"qty": "0"}, 422, 42210000),
        ({"qty": "lots"}, 422, 42210000),
        ({"qty": None}, 422, 42210000),
        ({"notional": "100"}, 422, 42210000),
        ({"side": "short"}, 422, 42210000),
        ({"type": "trailing_stop"}, 422, 42210000),
        ({"time_in_force": "opg"}, 422, 42210000),
        ({"order_class": "bracket"}, 422, 42210000),
        ({"extended_hours": True}, 422, 42210000),
        ({"symbol": "NOPE"}, 422, 42210000),
        ({"side": "sell", "qty": "11"}, 403, 40310000),
        ({"qty": "9999"}, 403, 40310000),
        ({"client_order_id": "x" * 129}, 422, 42210000),
    ],
)
def test_a_refusal_has_alpacas_status_code_and_shape(
    desk: Desk, trading_api: ApiDescription, fields: dict[str, object], status: int, code: int
) -> None:
    answer = desk.place(**fields)

    assert answer.status_code == status
    trading_api.check_schema("Error", answer.json())
    assert answer.json()["code"] == code


def test_a_used_id_is_a_422_with_a_code_of_its_own(desk: Desk) -> None:
    desk.place(client_order_id="hw-1")

    answer = desk.place(client_order_id="hw-1")

    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v2/orders/11111111-0000-4000-8000-000000000000", {}, 404),
        ("/v2/orders:by_client_order_id", {"client_order_id": "never"}, 404),
        ("/v2/positions/AAPL", {}, 404),
        ("/v2/assets/NOPE", {}, 404),
        ("/v2/nothing", {}, 404),
        ("/v2/orders", {"status": "half"}, 400),
        ("/v2/orders", {"limit": "many"}, 400),
        ("/v2/orders", {"after": "noon"}, 400),
        ("/v2/calendar", {"start": "someday"}, 400),
        ("/v2/stocks/snapshots", {}, 400),
        ("/v2/stocks/bars", {"symbols": "TSLA", "timeframe": "1Blink"}, 400),
        ("/v2/stocks/bars", {"symbols": "TSLA", "timeframe": "1Min", "page_token": "?"}, 400),
    ],
)
def test_what_is_not_there_or_not_readable_is_an_error_body(
    desk: Desk, trading_api: ApiDescription, path: str, query: dict[str, str], status: int
) -> None:
    answer = desk.get(path, **query)

    assert answer.status_code == status
    trading_api.check_schema("Error", answer.json())


def test_a_body_that_is_not_json_is_a_400(desk: Desk) -> None:
    for body in (b"{", b"[]", b"\xff"):
        assert desk.http.post("/v2/orders", content=body).status_code == 400


def test_without_keys_nobody_is_served(desk: Desk) -> None:
    assert httpx.get(f"{desk.simulator.url}/v2/account", trust_env=False).status_code == 401
    wrong = {"APCA-API-KEY-ID": desk.simulator.key_id, "APCA-API-SECRET-KEY": "guess"}
    assert httpx.get(f"{desk.simulator.url}/v2/account", headers=wrong, trust_env=False).status_code == 403


def test_orders_are_filtered_as_asked(desk: Desk) -> None:
    for number in range(3):
        desk.place(client_order_id=f"t{number}", type="limit", limit_price="50", time_in_force="gtc")
        desk.place(client_order_id=f"a{number}", symbol="AAPL", type="limit", limit_price="40", time_in_force="gtc")
        desk.clock.advance(MINUTE)

    def ids(**query: str | int) -> list[str]:
        return [one["client_order_id"] for one in desk.json("/v2/orders", **query)]

    assert ids() == ["a2", "t2", "a1", "t1", "a0", "t0"]
    assert ids(direction="asc", limit=2) == ["t0", "a0"]
    assert ids(symbols="AAPL", direction="asc") == ["a0", "a1", "a2"]
    assert ids(after=NOON.isoformat(), until=(NOON + 2 * MINUTE).isoformat()) == ["a1", "t1"]
    assert ids(status="closed") == []
    assert desk.http.delete("/v2/orders").status_code == 207
    assert ids() == []
    assert len(ids(status="closed")) == 6


def test_a_snapshot_knows_minute_day_and_the_day_before(desk: Desk) -> None:
    snapshot = desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]

    assert snapshot["minuteBar"]["c"] == snapshot["latestTrade"]["p"] == 100.25
    day, before = snapshot["dailyBar"], snapshot["prevDailyBar"]
    assert [day[field] for field in "ohlcv"] == [97, 101, 96, 100.25, 70]
    assert [before[field] for field in "ohlcv"] == [90, 96, 89, 95, 30]
    assert (day["t"], before["t"]) == ("2026-02-04T05:00:00Z", "2026-02-03T05:00:00Z")


def test_quotes_live_on_without_trades_and_stop_at_the_close(desk: Desk) -> None:
    def quoted_at() -> str:
        quote = desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]["latestQuote"]
        return str(quote["t"])

    desk.clock.set(NOON + 5 * MINUTE)
    assert quoted_at() == "2026-02-04T17:05:00Z"
    desk.clock.set(NIGHT)
    assert quoted_at() == "2026-02-04T21:00:00Z"
    desk.clock.set(OPEN + DAY + MINUTE)
    assert quoted_at() == "2026-02-04T17:00:00Z"


def test_bars_come_in_pages_and_longer_timeframes(desk: Desk) -> None:
    query: dict[str, str | int] = {
        "symbols": "TSLA,AAPL",
        "start": "2026-02-03T00:00:00Z",
        "end": "2026-02-05T00:00:00Z",
    }

    pages: list[list[tuple[str, float]]] = []
    token = None
    while token is not None or not pages:
        page = desk.json(
            "/v2/stocks/bars", **query, timeframe="1Min", limit=2, **({"page_token": token} if token else {})
        )
        pages.append([(symbol, one["c"]) for symbol, bars in page["bars"].items() for one in bars])
        token = page["next_page_token"]

    assert pages == [[("AAPL", 50), ("TSLA", 94)], [("TSLA", 95), ("TSLA", 98)], [("TSLA", 100.25)]]
    daily = desk.json("/v2/stocks/bars", **query, timeframe="1Day", sort="desc")["bars"]["TSLA"]
    assert [(one["t"], one["c"], one["v"]) for one in daily] == [
        ("2026-02-04T05:00:00Z", 100.25, 70), ("2026-02-03T05:00:00Z", 95, 30)
    ]  # fmt: skip
    quarters = desk.json("/v2/stocks/bars", **query, timeframe="15Min")["bars"]["TSLA"]
    assert [one["t"][11:16] for one in quarters] == ["14:30", "14:30", "16:45"]


def test_a_bar_is_not_known_before_its_end(desk: Desk) -> None:
    desk.simulator.feed(bar("200", at=NOON))

    assert desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]["latestTrade"]["p"] == 100.25
    desk.clock.advance(MINUTE)

    assert desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]["latestTrade"]["p"] == 200


def test_history_is_known_without_anything_filling_in_it(desk: Desk) -> None:
    desk.place(type="limit", limit_price="50", time_in_force="gtc")

    desk.simulator.know(bar("40", at=NOON))
    desk.clock.advance(MINUTE)

    assert desk.json("/v2/stocks/TSLA/bars", timeframe="1Min")["bars"][-1]["c"] == 40
    assert desk.simulator.exchange.fills == []


def test_the_rate_is_told_and_held(desk: Desk) -> None:
    with ExchangeSimulator(small_exchange(), desk.clock, rate_limit=2) as strict:
        answers = [desk.http.get(f"{strict.url}/v2/account") for _ in range(3)]
        data = desk.http.get(f"{strict.url}/v2/stocks/snapshots", params={"symbols": "TSLA"})
        desk.clock.advance(MINUTE)
        later = desk.http.get(f"{strict.url}/v2/account")

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [one.headers["X-RateLimit-Remaining"] for one in answers] == ["1", "0", "0"]
    assert {one.headers["X-RateLimit-Limit"] for one in answers} == {"2"}
    assert answers[2].headers["X-RateLimit-Reset"] == str(int((NOON + MINUTE).timestamp()))
    assert answers[2].headers["Retry-After"] == "60"
    assert (data.status_code, later.status_code) == (200, 200)


def test_a_frozen_feed_answers_with_what_it_knew_while_the_market_goes_on(desk: Desk) -> None:
    desk.place()
    desk.simulator.freeze_feed()
    desk.simulator.feed(bar("200", at=NOON))
    desk.clock.advance(MINUTE)

    frozen = desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]
    assert (frozen["latestTrade"]["p"], frozen["latestQuote"]["t"]) == (100.25, "2026-02-04T17:00:00Z")
    assert len(desk.simulator.exchange.fills) == 1
    desk.simulator.thaw_feed()

    assert desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]["latestTrade"]["p"] == 200


def test_stale_quotes_carry_old_times(desk: Desk) -> None:
    desk.simulator.date_quotes_back(timedelta(minutes=10))

    quote = desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]["latestQuote"]
    assert quote["t"] == "2026-02-04T16:50:00Z"
    desk.simulator.behave()

    assert desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]["latestQuote"]["t"] == "2026-02-04T17:00:00Z"


def test_a_halted_symbol_neither_trades_nor_quotes(desk: Desk) -> None:
    desk.place()
    desk.simulator.halt(TSLA)
    desk.simulator.feed(bar("50", at=NOON))
    desk.clock.advance(MINUTE)

    halted = desk.json("/v2/stocks/snapshots", symbols="TSLA")["TSLA"]
    assert (halted["latestTrade"]["p"], halted["latestQuote"]["t"]) == (100.25, "2026-02-04T17:00:00Z")
    assert desk.simulator.exchange.fills == []
    desk.simulator.resume(TSLA)
    desk.simulator.feed(bar("60", at=NOON + MINUTE))

    assert [fill.price for fill in desk.simulator.exchange.fills] == [Decimal(60)]


def test_a_split_shows_in_the_position(desk: Desk) -> None:
    desk.simulator.apply(
        CorporateAction(symbol=TSLA, ex_date=date(2026, 2, 5), kind=ActionKind.SPLIT, ratio=Decimal(5))
    )

    assert desk.json("/v2/positions/TSLA")["qty"] == "50"
    assert desk.json("/v2/account")["equity"] == str(CASH + Decimal("1002.5"))


def test_a_misbehaviour_is_for_the_requests_it_was_planned_for(desk: Desk) -> None:
    desk.simulator.misbehave(Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT, method="GET", path="/v2/positions", times=2)

    statuses = [desk.get(path).status_code for path in ("/v2/account", *["/v2/positions"] * 3)]

    assert statuses == [200, 504, 504, 200]
    assert desk.simulator.count("GET", "/v2/positions") == 3


def test_a_hanging_exchange_stops_all_the_same(desk: Desk) -> None:
    desk.simulator.misbehave(Misbehaviour.HANG_BEFORE_ACCEPT)
    with pytest.raises(httpx.ReadTimeout):
        desk.http.get("/v2/account", timeout=0.1)

    desk.simulator.stop()
    desk.simulator.stop()

    with pytest.raises(httpx.ConnectError):
        desk.get("/v2/account")


def test_a_reset_is_a_reset(desk: Desk) -> None:
    desk.simulator.misbehave(Misbehaviour.RESET_IN_BODY)

    with pytest.raises(httpx.ReadError):
        desk.get("/v2/account")


def test_the_last_bar_of_a_session_fills_what_lives_to_the_close(desk: Desk) -> None:
    desk.clock.set(CLOSE - MINUTE)
    desk.place(client_order_id="hw-late")

    desk.simulator.feed(bar("100", at=CLOSE - MINUTE))
    desk.clock.set(CLOSE)

    found = desk.json("/v2/orders:by_client_order_id", client_order_id="hw-late")
    assert (found["status"], found["filled_at"]) == ("filled", "2026-02-04T21:00:00Z")


REQUESTS = [
    order("hw-1", "buy", "0.4"),
    order("hw-2", "buy", "10", "limit", "99.50"),
    order("hw-3", "sell", "10", "stop", "95", tif="gtc"),
    order("hw-4", "buy", "0.000000001", "limit", "0.0123"),
]


@pytest.mark.parametrize("request_made", REQUESTS, ids=lambda one: one.client_order_id)
def test_what_we_send_has_the_described_shape(trading_api: ApiDescription, request_made: PlaceOrder) -> None:
    with ScriptedServer(reply(504, b"")) as server:
        broker = AlpacaBroker(connect_trading("key", "secret", url=server.url), SimulatedClock(NOON))
        with pytest.raises(OutcomeUnknown):
            broker.submit(request_made)
    [arrived] = server.arrived
    sent = json.loads(arrived.body, parse_float=Decimal, parse_int=Decimal)

    assert (arrived.method, arrived.target) == ("POST", "/v2/orders")
    assert set(sent) <= trading_api.properties("/v2/orders", "post")
    assert sent["qty"] == request_made.quantity
    assert sent.get("limit_price") == request_made.limit_price
    assert sent.get("stop_price") == request_made.stop_price
    # the description wants numbers as text; alpaca-py sends JSON numbers, and Alpaca takes both
    as_text = {name: str(value) if isinstance(value, Decimal) else value for name, value in sent.items()}
    trading_api.check_body("/v2/orders", "post", as_text)


def test_what_we_ask_uses_described_parameters(trading_api: ApiDescription, data_api: ApiDescription) -> None:
    with ScriptedServer(reply(504, b"")) as server:
        client = connect_trading("key", "secret", url=server.url)
        clock = SimulatedClock(NOON)
        broker = AlpacaBroker(client, clock)
        prices = AlpacaPrices(connect_data("key", "secret", url=server.url), clock)
        for ask in (
            broker.live_orders,
            lambda: broker.order_by_client_id("hw-1"),
            lambda: AlpacaCalendar(client, clock).days(date(2026, 2, 4), date(2026, 2, 9)),
            lambda: prices.quotes([TSLA, AAPL]),
        ):
            with pytest.raises(Unavailable):
                ask()

    for arrived in server.arrived:
        asked = urlsplit(arrived.target)
        described = data_api if asked.path.startswith("/v2/stocks") else trading_api
        assert set(parse_qs(asked.query)) <= described.parameters(asked.path, "get")
    assert parse_qs(urlsplit(server.arrived[-1].target).query) == {"symbols": ["TSLA,AAPL"], "feed": ["iex"]}


def test_every_described_order_status_has_a_meaning(trading_api: ApiDescription) -> None:
    assert trading_api.enumeration("OrderStatus") <= set(STATUSES)


def test_times_of_the_clock_carry_new_yorks_offset(desk: Desk) -> None:
    told = desk.json("/v2/clock")

    assert told["timestamp"] == "2026-02-04T12:00:00-05:00"
    assert datetime.fromisoformat(told["next_close"]) == CLOSE
