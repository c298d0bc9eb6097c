"""Connections to Alpaca: alpaca-py's clients with their traps disarmed.

Found in the source of the pinned alpaca-py 0.44: a client repeats every request on 429 and 504 up to three times,
POSTs too, and `retry_attempts=0` is ignored, so its private counter is set; it sends without any timeout, so an
adapter of the session brings one. Retry policy: none here. Reads are repeated by the next tick, a send only by the
executor under the same id. The one exception is a rotation: a reply that refuses the keys proves that nothing was
done, so the same request goes out once more, when there are newer keys.

Each client is imported where it is made: most functions need one of them, and each takes tens of milliseconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import urllib3
from alpaca.common.rest import RESTClient
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ReadTimeout

from shared.adapters.alpaca.outcomes import message_of, refuses_keys
from shared.domain.errors import HearthwatchError, InvalidValue
from shared.ports.clock import Clock

if TYPE_CHECKING:
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.trading.client import TradingClient

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 2.0
TRADING_READ_SECONDS: Final = 10.0
DATA_READ_SECONDS: Final = 5.0
LARGEST_BODY: Final = 16 * 1024 * 1024
"""A reply beyond this is broken off; the largest we ask for is 10,000 bars, about 1 MB."""


REREAD_AFTER: Final = timedelta(minutes=1)
"""Refused keys are read anew no more often than this: they may simply be wrong."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What requests are signed with; not shown by repr."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)


class Rotation:
    """Finds newer keys when those in use are refused; serves every connection that uses the same ones."""

    def __init__(self, read: Callable[[], Keys], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._newest: Keys | None = None
        self._asked: datetime | None = None
        self._lock = Lock()

    def newer_than(self, refused: Keys) -> Keys | None:
        """Give keys other than the refused ones; None when there are none, or none can be read now."""
        with self._lock:
            if self._newest in (None, refused) and self._may_ask():
                try:
                    self._newest = self._read()
                except HearthwatchError as error:
                    log.error("keys not read anew", extra={"problem": str(error)})
            return None if self._newest == refused else self._newest

    def _may_ask(self) -> bool:
        now = self._clock.now()
        if self._asked is not None and now - self._asked < REREAD_AFTER:
            return False
        self._asked = now
        return True


def connect_trading(
    key_id: str, secret: str, *, paper: bool = True, url: str | None = None, rotation: Rotation | None = None
) -> TradingClient:
    """Make a client of the trading API; an address given by hand is reached directly, past any proxy."""
    from alpaca.trading.client import TradingClient

    client = TradingClient(key_id, secret, paper=paper, raw_data=True, url_override=url)
    _disarm(client, TRADING_READ_SECONDS, Keys(key_id, secret), rotation, direct=url is not None)
    return client


def connect_data(
    key_id: str, secret: str, *, url: str | None = None, rotation: Rotation | None = None
) -> StockHistoricalDataClient:
    """Make a client of the market data API; an address given by hand is reached directly, past any proxy."""
    from alpaca.data.historical.stock import StockHistoricalDataClient

    client = StockHistoricalDataClient(key_id, secret, raw_data=True, url_override=url)
    _disarm(client, DATA_READ_SECONDS, Keys(key_id, secret), rotation, direct=url is not None)
    return client


def connect_corporate_actions(
    key_id: str, secret: str, *, url: str | None = None, rotation: Rotation | None = None
) -> CorporateActionsClient:
    """Make a client of the corporate actions API, which is a part of the market data one under its own version."""
    from alpaca.data.historical.corporate_actions import CorporateActionsClient

    client = CorporateActionsClient(key_id, secret, raw_data=True, url_override=url)
    _disarm(client, DATA_READ_SECONDS, Keys(key_id, secret), rotation, direct=url is not None)
    return client


def require_disarmed(client: RESTClient) -> None:
    """Raise InvalidValue for a client that would repeat requests by itself or answer in models."""
    if client._retry != 0 or not client._use_raw_data:
        raise InvalidValue("client", client, "a client made by connect_trading or connect_data")


def _disarm(client: RESTClient, read_seconds: float, keys: Keys, rotation: Rotation | None, *, direct: bool) -> None:
    client._retry = 0
    session = client._session
    session.trust_env = not direct
    for scheme in ("https://", "http://"):
        session.mount(scheme, _BoundedAdapter(read_seconds, keys, rotation))


class _BoundedAdapter(HTTPAdapter):
    """Signs each request with the keys in use, and bounds each exchange.

    Bounded are the time to connect, silence while reading, the whole body's time and size.
    """

    def __init__(self, read_seconds: float, keys: Keys, rotation: Rotation | None) -> None:
        self._read_seconds = read_seconds
        self._keys = keys
        self._rotation = rotation
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
        def exchange(keys: Keys) -> Response:
            return self._exchange(_signed(request, keys), verify, cert, proxies)

        keys = self._keys
        response = exchange(keys)
        if self._rotation is not None and _refuses_keys(response):
            newer = self._rotation.newer_than(keys)
            if newer is not None:
                self._keys = newer
                response = exchange(newer)
        return response

    def _exchange(
        self, request: PreparedRequest, verify: bool | str, cert: Any, proxies: Mapping[str, str] | None
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


def _refuses_keys(response: Response) -> bool:
    """Read no more of a reply than its status, unless that one can be about keys."""
    status = response.status_code
    return status in (401, 403) and refuses_keys(status, message_of(response.text))


def _signed(request: PreparedRequest, keys: Keys) -> PreparedRequest:
    signed = request.copy()
    signed.headers.update({"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret})
    return signed
