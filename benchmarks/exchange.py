"""How fast an order goes to the exchange simulator and back, beside a bare server on loopback.

Compared: the Alpaca adapter places a limit order at the simulator over HTTP and cancels it, two requests, each parsed
and checked at both ends and booked by the matching engine. The bare server is the standard library's, answers every
POST with the same few bytes, and is asked by the same HTTP client.

To read: the ratio says what the adapter, the simulator and its rules cost over moving bytes. A ratio that falls
suddenly means a wait in the connection, such as Nagle's, which costs 40 to 90 ms a request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import requests

from benchmarks.figures import Figure, Say, best_of
from benchmarks.market import CALENDAR, minute_bars, sessions
from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.alpaca.session import connect_trading
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.matching import Exchange
from shared.domain.intents import OrderType, Side, TimeInForce
from shared.domain.orders import PlaceOrder

ORDERS: Final = 200
ROUNDS: Final = 3
NO_LIMIT: Final = 10**9
ANSWER: Final = b'{"id":"11111111-2222-4333-8444-555555555555","status":"new"}'


def measure(say: Say) -> list[Figure]:
    """Time both on the wall clock, as most of it is waiting for the other side."""
    say("orders at the exchange simulator")
    ours = 2 * ORDERS / _orders_seconds()
    say("posts at a bare server")
    with _bare_server() as url, requests.Session() as session:
        session.trust_env = False
        bare = 2 * ORDERS / best_of(ROUNDS, lambda: _posts(session, url), time.perf_counter)
    return [
        Figure("orders placed and canceled", ours / 2, "a second"),
        Figure("requests at the simulator", ours, "a second"),
        Figure("requests at a bare server", bare, "a second"),
        Figure("simulator : bare server", ours / bare, "x"),
    ]


def _orders_seconds() -> float:
    bars = minute_bars(1, sessions(1))
    day, symbol = bars.days[0], bars.symbols[0]
    clock = SimulatedClock(day.opens + timedelta(hours=1))
    exchange = Exchange(str(uuid5(NAMESPACE_URL, "benchmark")), Decimal(100_000), CALENDAR)
    exchange.on_bar(bars.bars[symbol][0])
    with ExchangeSimulator(exchange, clock, rate_limit=NO_LIMIT) as simulator:
        client = connect_trading(simulator.key_id, simulator.secret, url=simulator.url)
        broker = AlpacaBroker(client, clock)
        names = iter(range(ROUNDS * ORDERS))

        def place_and_cancel() -> None:
            for _ in range(ORDERS):
                request = PlaceOrder(
                    client_order_id=f"benchmark-{next(names)}",
                    symbol=symbol,
                    side=Side.BUY,
                    quantity=Decimal(1),
                    order_type=OrderType.LIMIT,
                    time_in_force=TimeInForce.DAY,
                    limit_price=Decimal("50.00"),
                )
                broker.cancel(broker.submit(request))

        return best_of(ROUNDS, place_and_cancel, time.perf_counter)


class _Answer(BaseHTTPRequestHandler):
    """Answers every POST alike, over one connection and at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def _bare_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = Thread(target=server.serve_forever, name="bare-server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _posts(session: requests.Session, url: str) -> None:
    for number in range(2 * ORDERS):
        reply = session.post(url, json={"client_order_id": f"benchmark-{number}", "qty": "1"}, timeout=10)
        reply.raise_for_status()
        reply.json()
