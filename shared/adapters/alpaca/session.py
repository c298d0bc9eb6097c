"""Connections to Alpaca: alpaca-py's clients with their traps disarmed.

Found in the source of the pinned alpaca-py 0.44: a client repeats every request on 429 and 504 up to three times,
POSTs too, and `retry_attempts=0` is ignored, so its private counter is set; it sends without any timeout, so an
adapter of the session brings one. Retry policy: none here. Reads are repeated by the next tick, a send only by the
executor under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from time import monotonic
from typing import Any, Final

import urllib3
from alpaca.common.rest import RESTClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ReadTimeout

from shared.domain.errors import InvalidValue

CONNECT_SECONDS: Final = 2.0
TRADING_READ_SECONDS: Final = 10.0
DATA_READ_SECONDS: Final = 5.0
LARGEST_BODY: Final = 16 * 1024 * 1024
"""A reply beyond this is broken off; the largest we ask for is 10,000 bars, about 1 MB."""


def connect_trading(key_id: str, secret: str, *, paper: bool = True, url: str | None = None) -> TradingClient:
    """Make a client of the trading API; an address given by hand is reached directly, past any proxy."""
    client = TradingClient(key_id, secret, paper=paper, raw_data=True, url_override=url)
    _disarm(client, TRADING_READ_SECONDS, direct=url is not None)
    return client


def connect_data(key_id: str, secret: str, *, url: str | None = None) -> StockHistoricalDataClient:
    """Make a client of the market data API; an address given by hand is reached directly, past any proxy."""
    client = StockHistoricalDataClient(key_id, secret, raw_data=True, url_override=url)
    _disarm(client, DATA_READ_SECONDS, direct=url is not None)
    return client


def require_disarmed(client: RESTClient) -> None:
    """Raise InvalidValue for a client that would repeat requests by itself or answer in models."""
    if client._retry != 0 or not client._use_raw_data:
        raise InvalidValue("client", client, "a client made by connect_trading or connect_data")


def _disarm(client: RESTClient, read_seconds: float, *, direct: bool) -> None:
    client._retry = 0
    session = client._session
    session.trust_env = not direct
    for scheme in ("https://", "http://"):
        session.mount(scheme, _BoundedAdapter(read_seconds))


class _BoundedAdapter(HTTPAdapter):
    """Bounds each exchange: time to connect, silence while reading, the whole body's time and size."""

    def __init__(self, read_seconds: float) -> None:
        self._read_seconds = read_seconds
        super().__init__(max_retries=0)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        bounds = (CONNECT_SECONDS, self._read_seconds)
        response = super().send(request, True, bounds, verify, cert, dict(proxies or {}))
        body = self._read(response.raw, request)
        response.raw = BytesIO(body)
        return response

    def _read(self, raw: urllib3.BaseHTTPResponse, request: PreparedRequest) -> bytes:
        deadline = monotonic() + self._read_seconds
        body = bytearray()
        try:
            while piece := raw.read1(65536, decode_content=True):
                body += piece
                if len(body) > LARGEST_BODY:
                    raise ChunkedEncodingError(f"the reply is larger than {LARGEST_BODY} bytes", request=request)
                if monotonic() > deadline:
                    raise ReadTimeout(f"the reply took longer than {self._read_seconds} s", request=request)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise ReadTimeout(error, request=request) from error
        except urllib3.exceptions.HTTPError as error:
            raise ChunkedEncodingError(error, request=request) from error
        finally:
            if raw.closed:
                raw.release_conn()
            else:
                raw.close()
        return bytes(body)
