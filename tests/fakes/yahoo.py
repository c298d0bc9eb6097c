"""A double of Yahoo's chart endpoint on loopback."""

from __future__ import annotations

import json
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

Reply = tuple[int, bytes, dict[str, str]]
PREFIX = "/v8/finance/chart/"


def chart(symbol: str, price: str, at: datetime) -> bytes:
    """A reply's body with the few fields that matter; `price` goes in as it is written."""
    meta = {"currency": "USD", "symbol": symbol, "regularMarketTime": int(at.timestamp()), "regularMarketPrice": 0}
    body = {"chart": {"result": [{"meta": meta, "timestamp": [], "indicators": {"quote": [{}]}}], "error": None}}
    return json.dumps(body).replace('"regularMarketPrice": 0', f'"regularMarketPrice": {price}').encode()


NOT_FOUND = json.dumps(
    {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"}}}
).encode()


class YahooDouble:
    """Answers each symbol as told, and any other as unknown."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                symbol = unquote(path.removeprefix(PREFIX))
                double.asked.append(symbol)
                status, body, headers = double.replies.get(symbol, (404, NOT_FOUND, {}))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def trades(self, symbol: str, price: str, at: datetime) -> None:
        """Let a symbol have traded; a share class is written with a dash here."""
        self.replies[symbol] = (200, chart(symbol, price, at), {})

    def answers(self, symbol: str, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer a symbol with anything; header names take underscores for dashes."""
        self.replies[symbol] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def __enter__(self) -> YahooDouble:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
