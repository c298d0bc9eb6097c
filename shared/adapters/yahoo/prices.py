"""Last prices from Yahoo's chart endpoint, one symbol a request.

The endpoint is unofficial: no bid, no ask, no promise. What it says may decide or confirm an exit. Bounds: five
seconds per request, ten for a call, one megabyte per reply; no retry, the next tick asks again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any, Final, NoReturn
from urllib.parse import quote as url_quote

import httpx

from shared.domain.assets import Symbol
from shared.domain.errors import Throttled, TryAgain, Unavailable
from shared.domain.money import round_fill_price
from shared.domain.quotes import HIGHEST_PRICE, Quote, can_be_a_price

log = logging.getLogger(__name__)

BASE_URL: Final = "https://query1.finance.yahoo.com"
TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
REPLY_SECONDS: Final = 5.0
CALL_SECONDS: Final = 10.0
LARGEST_BODY: Final = 1024 * 1024
DEFAULT_PAUSE: Final = timedelta(seconds=60)


class YahooPrices:
    """The newest trade per symbol; prices are cut to four decimals, which takes the binary noise off."""

    def __init__(self, client: httpx.Client, *, base_url: str = BASE_URL) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        """Ask for each symbol in turn, no further after a 429; raise only when no request was answered."""
        quotes: dict[Symbol, Quote] = {}
        failures: list[TryAgain] = []
        answered = 0
        deadline = monotonic() + CALL_SECONDS
        for symbol in symbols:
            try:
                if monotonic() > deadline:
                    raise Unavailable(f"{symbol}: no time left to ask")
                quote = self._quote(symbol)
            except Throttled as error:
                failures.append(error)
                break
            except Unavailable as error:
                log.warning("no backup price", extra={"symbol": symbol, "problem": str(error)})
                failures.append(error)
                continue
            answered += 1
            if quote is not None:
                quotes[symbol] = quote
        if failures and not answered:
            raise failures[-1]
        return quotes

    def _quote(self, symbol: Symbol) -> Quote | None:
        status, headers, body = self._fetch(symbol)
        if status == 404:
            return None
        if status == 429:
            raise Throttled(f"{symbol}: Yahoo asked to slow down", _pause(headers.get("Retry-After")))
        if status != 200:
            raise Unavailable(f"{symbol}: Yahoo answered {status}")
        return _read(symbol, body)

    def _fetch(self, symbol: Symbol) -> tuple[int, httpx.Headers, bytes]:
        url = f"{self._base_url}/v8/finance/chart/{url_quote(_theirs(symbol), safe='')}"
        deadline = monotonic() + REPLY_SECONDS
        body = bytearray()
        try:
            with self._client.stream(
                "GET", url, params={"interval": "1d", "range": "1d"}, headers=_HEADERS, timeout=TIMEOUT
            ) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > LARGEST_BODY:
                        raise Unavailable(f"{symbol}: the reply is larger than {LARGEST_BODY} bytes")
                    if monotonic() > deadline:
                        raise Unavailable(f"{symbol}: the reply took longer than {REPLY_SECONDS} s")
                return response.status_code, response.headers, bytes(body)
        except httpx.HTTPError as error:
            raise Unavailable(f"{symbol}: {type(error).__name__}: {error}") from error


_HEADERS: Final = {"User-Agent": "Mozilla/5.0", "Accept": "application/json"}
"""Yahoo turns away clients that do not look like a browser."""


def _read(symbol: Symbol, body: bytes) -> Quote | None:
    try:
        chart = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)["chart"]
        if chart.get("error") is not None:
            _raise_unless_unknown(symbol, chart["error"])
            return None
        meta = chart["result"][0]["meta"]
        if meta.get("symbol", _theirs(symbol)) != _theirs(symbol):
            raise ValueError(f"the reply is about {meta['symbol']!r}")
        price = _price(meta["regularMarketPrice"])
        at = datetime.fromtimestamp(_seconds(meta["regularMarketTime"]), UTC)
    except (
        KeyError, IndexError, TypeError, AttributeError, ValueError, ArithmeticError, OSError, RecursionError
    ) as error:  # fmt: skip
        raise Unavailable(f"{symbol}: Yahoo's reply is unreadable: {error!r}") from error
    return Quote(symbol=symbol, bid=None, ask=None, last=price, quoted_at=None, traded_at=at, feed="yahoo")


def _raise_unless_unknown(symbol: Symbol, error: Mapping[str, Any]) -> None:
    if error.get("code") != "Not Found":
        raise Unavailable(f"{symbol}: Yahoo says {error.get('code')!r}")


def _price(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"regularMarketPrice is {value!r}")
    number = Decimal(value)
    price = round_fill_price(number) if abs(number) <= HIGHEST_PRICE else number
    if not can_be_a_price(price):
        raise ValueError(f"regularMarketPrice is {value!r}")
    return price


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"regularMarketTime is {value!r}")
    return value


def _pause(header: str | None) -> timedelta:
    return timedelta(seconds=int(header[:5])) if header is not None and header.isdecimal() else DEFAULT_PAUSE


def _theirs(symbol: Symbol) -> str:
    """Write a symbol as Yahoo does: share classes follow a dash."""
    return symbol.replace(".", "-")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"the reply holds {text}")
