"""Yahoo's adapter against what an unofficial endpoint may send: noise, nonsense, nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.yahoo import prices
from shared.adapters.yahoo.prices import LARGEST_BODY, YahooPrices
from shared.domain.assets import Symbol
from shared.domain.errors import Throttled, Unavailable
from tests.conftest import ReferenceData
from tests.fakes.scripted_http import ScriptedServer, Step, drip, endless, hang, hang_up, reset_in_body
from tests.fakes.venue import AAPL, NOON, TSLA
from tests.fakes.yahoo import YahooDouble, chart

NVDA = Symbol("NVDA")


@pytest.fixture
def yahoo() -> Iterator[YahooDouble]:
    with YahooDouble() as double:
        yield double


@pytest.fixture
def source(yahoo: YahooDouble) -> Iterator[YahooPrices]:
    with httpx.Client() as client:
        yield YahooPrices(client, base_url=yahoo.url)


def test_the_recorded_reply_is_read(yahoo: YahooDouble, source: YahooPrices, reference_data: ReferenceData) -> None:
    body = reference_data.path("data", "yahoo-chart", "NVDA_1d_5d.json").read_bytes()
    yahoo.answers("NVDA", 200, body)

    quote = source.quotes([NVDA])[NVDA]

    meta = json.loads(body)["chart"]["result"][0]["meta"]
    assert quote.last == Decimal(str(meta["regularMarketPrice"]))
    assert quote.traded_at == datetime.fromtimestamp(meta["regularMarketTime"], UTC)


@pytest.mark.parametrize(
    ("written", "read"), [("596.5399780273438", "596.54"), ("12", "12"), ("0.00005", "0.0001"), ("1e2", "100")]
)
def test_binary_noise_is_cut_off(yahoo: YahooDouble, source: YahooPrices, written: str, read: str) -> None:
    yahoo.trades("TSLA", written, NOON)

    assert source.quotes([TSLA])[TSLA].last == Decimal(read)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"[]", b'{"chart": null}', b'{"chart": {"result": [], "error": null}}',
     b'{"chart": {"result": null, "error": null}}', b'{"chart": {"result": [{"meta": {}}], "error": null}}',
     b'{"chart": {"result": null, "error": {"code": "Internal", "description": "oops"}}}',
     b'{"chart": {"result": null, "error": "oops"}}', b"[" * 100_000, b"\xff\xfe\x00",
     chart("TSLA", "NaN", NOON), chart("TSLA", "Infinity", NOON), chart("TSLA", "1e999999", NOON),
     chart("TSLA", "-5", NOON), chart("TSLA", "0", NOON), chart("TSLA", '"100"', NOON), chart("TSLA", "null", NOON),
     chart("TSLA", "true", NOON), chart("AAPL", "100", NOON), chart("TSLA", "100", NOON)[:-40],
     chart("TSLA", "100", NOON).replace(b'"regularMarketTime": 1', b'"regularMarketTime": 99999999999999991')],
)  # fmt: skip
def test_an_unreadable_reply_is_unavailable(yahoo: YahooDouble, source: YahooPrices, body: bytes) -> None:
    yahoo.answers("TSLA", 200, body)

    with pytest.raises(Unavailable, match="TSLA"):
        source.quotes([TSLA])


@given(body=st.binary(max_size=200) | st.text(alphabet='{}[]":,chartresulmp0159eE.-', max_size=80).map(str.encode))
def test_no_bytes_do_more_than_be_unreadable(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with httpx.Client(transport=transport) as client, pytest.raises(Unavailable):
        YahooPrices(client).quotes([TSLA])


def test_one_symbols_failure_costs_the_others_nothing(yahoo: YahooDouble, source: YahooPrices) -> None:
    yahoo.answers("AAPL", 500)
    yahoo.trades("TSLA", "100", NOON)

    assert list(source.quotes([AAPL, TSLA, NVDA])) == [TSLA]


def test_after_a_429_nobody_asks_on(yahoo: YahooDouble, source: YahooPrices) -> None:
    yahoo.trades("TSLA", "100", NOON)
    yahoo.answers("AAPL", 429)

    assert list(source.quotes([TSLA, AAPL, NVDA])) == [TSLA]
    assert yahoo.asked == ["TSLA", "AAPL"]
    with pytest.raises(Throttled) as caught:
        source.quotes([AAPL, NVDA])
    assert caught.value.retry_after == timedelta(seconds=60)


def test_a_reply_without_end_is_broken_off(yahoo: YahooDouble, source: YahooPrices) -> None:
    yahoo.answers("TSLA", 200, b" " * (LARGEST_BODY + 1))

    with pytest.raises(Unavailable, match="larger"):
        source.quotes([TSLA])


@pytest.mark.parametrize("step", [hang, hang_up, reset_in_body, drip, endless])
def test_a_broken_connection_is_unavailable_in_time(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "TIMEOUT", httpx.Timeout(0.2))
    monkeypatch.setattr(prices, "REPLY_SECONDS", 0.3)
    with ScriptedServer(step) as server, httpx.Client() as client, pytest.raises(Unavailable):
        YahooPrices(client, base_url=server.url).quotes([TSLA])

    assert len(server.arrived) == 1


def test_a_call_ends_when_its_time_is_spent(
    yahoo: YahooDouble, source: YahooPrices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices, "CALL_SECONDS", -1)

    with pytest.raises(Unavailable):
        source.quotes([TSLA])
    assert yahoo.asked == []
