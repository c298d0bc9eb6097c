"""What a day is prepared from at Alpaca: corporate actions and the bars that volatility is made of (PRC-06, MOV-04)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.stock import StockHistoricalDataClient

from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca import corporate_actions, history, pages, session
from shared.adapters.alpaca.corporate_actions import AlpacaCorporateActions
from shared.adapters.alpaca.history import AlpacaVolatility
from shared.adapters.alpaca.session import connect_corporate_actions, connect_data
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.volatility import BarVolatility
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import InvalidValue, Throttled, TryAgain, Unavailable
from shared.domain.session import TradingDay
from tests.conftest import ReferenceData
from tests.fakes.openapi import ApiDescription
from tests.fakes.scripted_http import ScriptedServer, Step, drip, endless, hang, hang_up, reply, reset_in_body
from tests.fakes.venue import AAPL, MINUTE, NOON, TSLA, Weekdays, bar, small_exchange

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
TODAY = NOON.date()
KO = Symbol("KO")
EMPTY: dict[str, Any] = {"corporate_actions": {}, "next_page_token": None}
FAILURES = [
    (reply(504, b"upstream timeout"), Unavailable),
    (reply(500, {"code": 50010000, "message": "internal server error occurred"}), Unavailable),
    (reply(401, {"code": 40110000, "message": "request is not authorized"}), Unavailable),
    (reply(429, {"code": 42910000, "message": "too many requests."}), Throttled),
    (reply(200, b"<html>hello</html>"), Unavailable),
    (reply(200, [1, 2]), Unavailable),
    (reply(200, {"next_page_token": None}), Unavailable),
    (reply(200, b""), Unavailable),
    (hang, Unavailable),
    (hang_up, Unavailable),
    (reset_in_body, Unavailable),
    (drip, Unavailable),
    (endless, Unavailable),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a second where the real adapter waits for five."""
    monkeypatch.setattr(session, "DATA_READ_SECONDS", 1.0)


@pytest.fixture(scope="module")
def data_api(reference_data: ReferenceData) -> ApiDescription:
    return ApiDescription(reference_data.path("specs", "alpaca-market-data-api.json"))


@pytest.fixture
def simulator() -> Iterator[ExchangeSimulator]:
    with ExchangeSimulator(small_exchange(), SimulatedClock(NOON)) as simulator:
        yield simulator


def actions_at(url: str, key_id: str = "key", secret: str = "secret") -> AlpacaCorporateActions:
    return AlpacaCorporateActions(connect_corporate_actions(key_id, secret, url=url), SimulatedClock(NOON))


def volatility_at(url: str, key_id: str = "key", secret: str = "secret") -> AlpacaVolatility:
    return AlpacaVolatility(connect_data(key_id, secret, url=url), SimulatedClock(NOON))


def split(ratio: str, ex_date: date = TODAY, symbol: Symbol = TSLA) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=ex_date, kind=ActionKind.SPLIT, ratio=Decimal(ratio))


def dividend(amount: str, ex_date: date = TODAY, symbol: Symbol = AAPL) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=ex_date, kind=ActionKind.DIVIDEND, cash_amount=Decimal(amount))


def listed(kind: str, *terms: Mapping[str, Any], token: str | None = None) -> dict[str, Any]:
    """A page with one kind of action, of TSLA today unless said otherwise."""
    each = [{"id": "1", "symbol": "TSLA", "ex_date": TODAY.isoformat(), **one} for one in terms]
    return {"corporate_actions": {kind: each}, "next_page_token": token}


def asked(server: ScriptedServer) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(request.target).query) for request in server.arrived]


class TestCorporateActions:
    def ask(self, url: str, symbols: Sequence[Symbol] = (TSLA, AAPL)) -> Sequence[CorporateAction]:
        return actions_at(url).actions(symbols, TODAY - 7 * DAY, TODAY)

    def test_splits_and_dividends_come_from_the_exchange_as_they_were_announced(
        self, simulator: ExchangeSimulator
    ) -> None:
        announced = [
            split("4"),
            split("0.1", TODAY - DAY),
            dividend("0.24", TODAY - 2 * DAY),
            split("1.05", symbol=AAPL),
        ]
        simulator.announce(*announced, split("7", symbol=KO))
        source = actions_at(simulator.url, simulator.key_id, simulator.secret)

        found = source.actions([TSLA, AAPL], TODAY - 7 * DAY, TODAY)

        assert set(found) == set(announced)
        assert [action.ex_date for action in found] == sorted(action.ex_date for action in announced)

    def test_only_ex_dates_after_the_first_day_and_up_to_the_last_count(self, simulator: ExchangeSimulator) -> None:
        inside = [split("2", TODAY), split("3", TODAY - DAY)]
        simulator.announce(*inside, split("5", TODAY - 2 * DAY), split("7", TODAY + DAY))
        source = actions_at(simulator.url, simulator.key_id, simulator.secret)

        assert set(source.actions([TSLA], TODAY - 2 * DAY, TODAY)) == set(inside)

    def test_the_reply_of_the_simulator_has_the_described_shape_and_comes_in_pages(
        self, simulator: ExchangeSimulator, data_api: ApiDescription
    ) -> None:
        simulator.announce(split("4"), split("0.1", TODAY - DAY), dividend("0.24"))
        headers = {"APCA-API-KEY-ID": simulator.key_id, "APCA-API-SECRET-KEY": simulator.secret}
        query: dict[str, str | int] = {"symbols": "TSLA,AAPL", "start": "2026-01-01", "end": "2026-04-01", "limit": 2}

        with httpx.Client(base_url=simulator.url, headers=headers, trust_env=False) as http:
            first = http.get("/v1/corporate-actions", params=query).json()
            token = first["next_page_token"]
            second = http.get("/v1/corporate-actions", params={**query, "page_token": token}).json()
            refused = http.get("/v1/corporate-actions", params={**query, "start": "2026-05-01"})

        for page in (first, second):
            data_api.check_reply("/v1/corporate-actions", "get", 200, page)
        assert set(first["corporate_actions"]) == {"forward_splits", "reverse_splits"}
        assert set(second["corporate_actions"]) == {"cash_dividends"}
        assert second["next_page_token"] is None
        assert refused.status_code == 400

    def test_a_recorded_reply_is_read_and_kinds_that_are_not_applied_are_logged(
        self, reference_data: ReferenceData, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = reference_data.path("data", "alpaca-responses", "data", "corporate_actions__get_corporate_actions.json")
        recorded = json.loads(path.read_text())
        symbols = [Symbol(name) for name in ("MNTS", "SRE", "MSBC", "FCF", "LVRO")]

        with ScriptedServer(reply(200, {**recorded, "next_page_token": None})) as server:
            found = actions_at(server.url).actions(symbols, date(2023, 1, 1), date(2023, 12, 31))

        assert set(found) == {
            split("0.02", date(2023, 8, 24), Symbol("MNTS")),
            split("2", date(2023, 8, 22), Symbol("SRE")),
            split("1.05", date(2023, 5, 19), Symbol("MSBC")),
            dividend("0.125", date(2023, 5, 4), Symbol("FCF")),
        }
        logged = {getattr(record, "action", None) for record in caplog.records}
        assert {"unit_splits", "spin_offs"} <= logged

    def test_what_is_asked_uses_described_parameters_and_reaches_beyond_the_pay_day(
        self, data_api: ApiDescription
    ) -> None:
        with ScriptedServer(reply(200, EMPTY)) as server:
            assert list(self.ask(server.url)) == []

        [request] = server.arrived
        [query] = asked(server)
        assert urlsplit(request.target).path == "/v1/corporate-actions"
        assert set(query) <= data_api.parameters("/v1/corporate-actions", "get")
        assert query["symbols"] == ["TSLA,AAPL"]
        assert date.fromisoformat(query["start"][0]) <= TODAY - 30 * DAY
        assert date.fromisoformat(query["end"][0]) >= TODAY + 90 * DAY

    def test_pages_are_read_to_the_end(self) -> None:
        first = listed("forward_splits", {"new_rate": 4, "old_rate": 1}, token="more")
        second = listed("cash_dividends", {"rate": 0.1 + 0.2})

        with ScriptedServer(reply(200, first), reply(200, second)) as server:
            found = self.ask(server.url)

        assert [query.get("page_token") for query in asked(server)] == [None, ["more"]]
        assert set(found) == {split("4"), dividend("0.30000000000000004", symbol=TSLA)}

    def test_a_list_that_does_not_end_counts_as_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pages, "MOST_PAGES", 3)
        endless_list = reply(200, listed("forward_splits", token="again"))
        with ScriptedServer(endless_list) as server, pytest.raises(Unavailable, match="more than 3 pages"):
            self.ask(server.url)
        assert len(server.arrived) == 3

    def test_many_symbols_are_asked_in_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(corporate_actions, "SYMBOLS_PER_REQUEST", 2)
        with ScriptedServer(reply(200, EMPTY)) as server:
            self.ask(server.url, [TSLA, AAPL, TSLA, KO])

        assert [query["symbols"] for query in asked(server)] == [["TSLA,AAPL"], ["KO"]]

    @pytest.mark.parametrize("symbols", [[], [TSLA]])
    def test_nothing_to_ask_is_no_request(self, symbols: list[Symbol]) -> None:
        with ScriptedServer(reply(200, EMPTY)) as server:
            after = TODAY if symbols else TODAY - DAY
            assert list(actions_at(server.url).actions(symbols, after, TODAY)) == []
        assert server.arrived == []

    @pytest.mark.parametrize(
        ("kind", "terms"),
        [
            ("forward_splits", {"new_rate": 0, "old_rate": 1}),
            ("forward_splits", {"new_rate": 4, "old_rate": 0}),
            ("forward_splits", {"new_rate": "NaN", "old_rate": 1}),
            ("forward_splits", {"new_rate": True, "old_rate": 1}),
            ("forward_splits", {"new_rate": 4}),
            ("forward_splits", {"new_rate": 4, "old_rate": 1, "ex_date": "soon"}),
            ("forward_splits", {"new_rate": 4, "old_rate": 1, "ex_date": None}),
            ("reverse_splits", {"new_rate": -1, "old_rate": 10}),
            ("stock_dividends", {"rate": None}),
            ("cash_dividends", {"rate": 0}),
            ("cash_dividends", {"rate": 0.5, "currency": "CAD"}),
            ("cash_dividends", {"rate": 0.5, "symbol": "KO"}),
            ("spin_offs", {"new_rate": 1, "source_rate": 5}),
            ("a_kind_nobody_has_heard_of", {"rate": 1}),
        ],
    )
    def test_one_that_cannot_be_applied_is_no_action_and_costs_the_others_nothing(
        self, kind: str, terms: dict[str, Any]
    ) -> None:
        page = listed(kind, terms)
        page["corporate_actions"].setdefault("reverse_splits", []).append(
            {"symbol": "AAPL", "ex_date": TODAY.isoformat(), "new_rate": 1, "old_rate": 20}
        )
        with ScriptedServer(reply(200, page)) as server:
            assert list(self.ask(server.url)) == [split("0.05", symbol=AAPL)]

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize(("step", "outcome"), FAILURES)
    def test_a_failed_look_up_is_one_request_and_raises(self, step: Step, outcome: type[TryAgain]) -> None:
        with ScriptedServer(step) as server, pytest.raises(outcome):
            self.ask(server.url)
        assert len(server.arrived) == 1

    def test_a_client_that_repeats_by_itself_is_refused(self) -> None:
        with pytest.raises(InvalidValue):
            AlpacaCorporateActions(CorporateActionsClient("key", "secret", raw_data=True), SimulatedClock(NOON))


def sessions(count: int) -> list[TradingDay]:
    """The newest sessions that ended before today."""
    return list(Weekdays().days(TODAY - 2 * count * DAY, TODAY - DAY))[-count:]


def walk(symbol: Symbol, days: Sequence[TradingDay], seed: int = 7, sigma: float = 0.004) -> list[Bar]:
    """Bars of a quarter of an hour, inside the sessions, with prices that wander."""
    chance, price, bars = Random(seed), 100.0, []
    for day in days:
        start = day.opens
        while start < day.closes:
            price *= math.exp(chance.gauss(0, sigma))
            bars.append(bar(f"{price:.4f}", at=start, symbol=symbol, length=QUARTER))
            start += QUARTER
    return bars


class TestVolatility:
    def ask(
        self, url: str, symbols: Sequence[Symbol] = (TSLA,), days: Sequence[TradingDay] | None = None
    ) -> Mapping[Symbol, float | None]:
        return volatility_at(url).sigmas(symbols, sessions(25) if days is None else days, NOON)

    def know(
        self, simulator: ExchangeSimulator, bars: Sequence[Bar], symbols: Sequence[Symbol] = (TSLA,), count: int = 25
    ) -> Mapping[Symbol, float | None]:
        simulator.know(*sorted(bars, key=lambda one: one.end))
        source = volatility_at(simulator.url, simulator.key_id, simulator.secret)
        return source.sigmas(symbols, sessions(count), NOON)

    def test_it_is_what_the_same_bars_give_in_a_replay(self, simulator: ExchangeSimulator) -> None:
        bars = {TSLA: walk(TSLA, sessions(25)), AAPL: walk(AAPL, sessions(25), seed=8, sigma=0.001)}

        found = self.know(simulator, [*bars[TSLA], *bars[AAPL]], [TSLA, AAPL])

        replayed = BarVolatility(bars, QUARTER)
        assert found == {symbol: replayed.sigma(symbol, NOON) for symbol in bars}
        assert found[TSLA] == pytest.approx(0.004, rel=0.15)

    def test_minute_bars_at_the_exchange_are_asked_for_as_quarters(self, simulator: ExchangeSimulator) -> None:
        days = sessions(20)
        minutes = [
            one._replace(start=one.start + n * MINUTE, end=one.start + (n + 1) * MINUTE)
            for one in walk(TSLA, days)
            for n in range(15)
        ]
        assert self.know(simulator, minutes, count=20) == {
            TSLA: BarVolatility({TSLA: minutes}, MINUTE).sigma(TSLA, NOON)
        }

    @pytest.mark.parametrize("count", [0, 1, 19])
    def test_fewer_than_twenty_days_of_bars_is_unknown_never_zero(
        self, simulator: ExchangeSimulator, count: int
    ) -> None:
        assert self.know(simulator, walk(TSLA, sessions(count)) if count else []) == {TSLA: None}

    def test_a_day_without_a_trade_is_made_up_for_by_an_earlier_one(self, simulator: ExchangeSimulator) -> None:
        days = sessions(25)
        traded = [day for day in days if day is not days[-3]]

        assert self.know(simulator, walk(TSLA, traded))[TSLA] is not None

    def test_prices_that_never_change_are_unknown(self, simulator: ExchangeSimulator) -> None:
        assert self.know(simulator, walk(TSLA, sessions(25), sigma=0)) == {TSLA: None}

    def test_fewer_than_twenty_sessions_is_unknown_without_a_request(self) -> None:
        with ScriptedServer(reply(500, b"")) as server:
            assert self.ask(server.url, days=sessions(19)) == {TSLA: None}
        assert server.arrived == []

    def test_a_session_that_has_not_ended_does_not_count(self) -> None:
        days = [*sessions(19), *Weekdays().days(TODAY, TODAY)]
        with ScriptedServer(reply(500, b"")) as server:
            assert self.ask(server.url, days=days) == {TSLA: None}
        assert server.arrived == []

    def test_bars_outside_the_regular_session_do_not_count(self, simulator: ExchangeSimulator) -> None:
        days = sessions(25)
        inside = walk(TSLA, days)
        wild = [
            bar(price, at=at, length=QUARTER)
            for day in days
            for price, at in (("50", day.opens - QUARTER), ("500", day.closes), ("1", day.closes + 2 * QUARTER))
        ]

        found = self.know(simulator, [*inside, *wild])

        assert found == {TSLA: BarVolatility({TSLA: inside}, QUARTER).sigma(TSLA, NOON)}

    def test_what_is_asked_uses_described_parameters_in_bounded_batches(
        self, data_api: ApiDescription, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(history, "SYMBOLS_PER_REQUEST", 2)
        with ScriptedServer(reply(200, {"bars": {}, "next_page_token": None})) as server:
            found = self.ask(server.url, [TSLA, AAPL, KO, TSLA])

        queries = asked(server)
        assert found == {TSLA: None, AAPL: None, KO: None}
        assert [query["symbols"] for query in queries] == [["TSLA,AAPL"], ["KO"]]
        for query in queries:
            assert set(query) <= data_api.parameters("/v2/stocks/bars", "get")
            assert (query["timeframe"], query["feed"], query["adjustment"]) == (["15Min"], ["iex"], ["raw"])
        assert datetime.fromisoformat(queries[0]["start"][0]) == sessions(25)[0].opens

    def test_pages_are_read_to_the_end(self) -> None:
        bars = [
            {"t": one.start.isoformat(), **dict.fromkeys("ohlc", float(one.close)), "v": 1}
            for one in walk(TSLA, sessions(20))
        ]
        half = len(bars) // 2
        first = {"bars": {"TSLA": bars[:half]}, "next_page_token": "more"}
        second = {"bars": {"TSLA": bars[half:]}, "next_page_token": None}

        with ScriptedServer(reply(200, first), reply(200, second)) as server:
            found = self.ask(server.url, days=sessions(20))

        assert [query.get("page_token") for query in asked(server)] == [None, ["more"]]
        assert found[TSLA] == pytest.approx(0.004, rel=0.15)

    def test_no_bars_at_all_is_unknown(self) -> None:
        with ScriptedServer(reply(200, {"bars": None, "next_page_token": None})) as server:
            assert self.ask(server.url) == {TSLA: None}

    def test_what_is_no_stock_is_unknown_and_not_asked_for(self) -> None:
        with ScriptedServer(reply(500, b"")) as server:
            assert self.ask(server.url, [Symbol("BTC/USD")]) == {Symbol("BTC/USD"): None}
        assert server.arrived == []

    @pytest.mark.parametrize("price", [0, -1, None, "NaN", True])
    def test_a_price_that_is_none_makes_the_answer_unreadable(self, price: object) -> None:
        raw = {"t": NOON.isoformat(), "o": 1, "h": 1, "l": 1, "c": price}
        page = reply(200, {"bars": {"TSLA": [raw]}, "next_page_token": None})
        with ScriptedServer(page) as server, pytest.raises(Unavailable, match="unreadable"):
            self.ask(server.url)

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize(("step", "outcome"), FAILURES)
    def test_a_failed_look_up_is_one_request_and_raises(self, step: Step, outcome: type[TryAgain]) -> None:
        with ScriptedServer(step) as server, pytest.raises(outcome):
            self.ask(server.url)
        assert len(server.arrived) == 1

    def test_a_client_that_repeats_by_itself_is_refused(self) -> None:
        with pytest.raises(InvalidValue):
            AlpacaVolatility(StockHistoricalDataClient("key", "secret", raw_data=True), SimulatedClock(NOON))
