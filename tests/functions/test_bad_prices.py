"""Prices that fail, lack a symbol or come from the backup (PRC-01, fault 13)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from local_stack.exchange.gate import Misbehaviour
from shared.domain.alerts import AlertKind
from shared.domain.assets import Symbol
from shared.domain.quotes import Doubt
from shared.ports.prices import Minute
from tests.fakes.house import NVDA, TSLA, House, before_the_fall, fallen
from tests.fakes.yahoo import YahooDouble

SNAPSHOTS = "/v2/stocks/snapshots"
THIRTY = [Symbol(f"AA{chr(ord('A') + n // 6)}{chr(ord('A') + n % 6)}") for n in range(30)]
pytestmark = pytest.mark.usefixtures("quiet")


def newest(house: House) -> Minute:
    minute = house.owner.prices.latest()
    assert minute is not None
    return minute


def test_thirty_symbols_are_priced_with_one_request() -> None:
    """PRC-01."""
    with House(environment={"HEARTHWATCH_WATCHLIST": ",".join(THIRTY)}) as house:
        for symbol in THIRTY:
            house.exchange.exchange.list_symbol(symbol)
        house.trade(dict.fromkeys((*THIRTY, TSLA), "100.00"))
        house.tick("prepare_session")
        before = len(house.exchange.seen)

        house.tick("poll_prices")

        assert [seen.path for seen in house.exchange.seen[before:]] == [SNAPSHOTS]
        quotes = newest(house).quotes
        assert {symbol for symbol, quote in quotes.items() if quote.price == 100} >= set(THIRTY)


@pytest.mark.parametrize(
    "kind",
    [
        Misbehaviour.HANG_BEFORE_ACCEPT,
        Misbehaviour.TOO_MANY_REQUESTS,
        Misbehaviour.SERVER_ERROR_AFTER_ACCEPT,
        Misbehaviour.MALFORMED_AFTER_ACCEPT,
        Misbehaviour.RESET_IN_BODY,
    ],
)
@pytest.mark.usefixtures("impatient")
def test_quotes_come_from_the_backup_and_say_so_and_a_stop_acts_on_them(kind: Misbehaviour) -> None:
    """PRC-01: the first provider fails in the minute of the fall; the position is sold all the same."""
    with YahooDouble() as yahoo, House(environment={"HEARTHWATCH_YAHOO_URL": yahoo.url}) as house:
        fallen(house)
        for symbol, price in ((TSLA, "295.50"), (NVDA, "187.10")):
            yahoo.trades(symbol, price, house.clock.now() - timedelta(seconds=5))
        house.exchange.misbehave(kind, path=SNAPSHOTS)

        house.tick("poll_prices")
        checked = house.tick("check_risk").answer

        quote = newest(house).quotes[TSLA]
        assert (quote.price, quote.feed) == (Decimal("295.50"), "yahoo")
        assert Doubt.BACKUP_PRICE in quote.doubts
        assert len(checked["prepared"]) == 1
        assert house.exchange.count("GET", SNAPSHOTS) == 2  # the calm minute's, and one try in this one
        assert yahoo.asked == [TSLA, NVDA]


def test_symbol_missing_from_a_snapshot_goes_blind_alone_and_is_told_after_five_minutes() -> None:
    """Fault 13: NVDA has no price at either provider; TSLA is priced, judged and sold as ever."""
    with House() as house:
        house.trade({TSLA: "321.50"})
        house.tick("prepare_session")
        house.tick("reconcile_orders")
        told = []
        for _ in range(7):
            house.tick("poll_prices")
            house.pump()
            told.append([subject for kind, subject, *_ in house.incidents() if kind == AlertKind.SYMBOL_BLIND])
            quotes = newest(house).quotes
            assert (quotes[TSLA].price, quotes[NVDA].price) == (Decimal("321.50"), None)
            house.trade({TSLA: "321.50"})

        assert told == [[]] * 5 + [[NVDA]] * 2
        assert house.told().count("No usable price: NVDA") == 1
        house.trade({TSLA: "295.50"})
        house.tick("poll_prices")
        assert len(house.tick("check_risk").answer["prepared"]) == 1


@pytest.mark.usefixtures("impatient")
def test_stop_is_judged_on_quotes_of_its_own_when_nobody_polled() -> None:
    """Fault 2: the poll failed, so the minute is not stored; the risk check asks by itself."""
    with House() as house:
        before_the_fall(house)
        house.trade({TSLA: "295.50", NVDA: "187.10"})

        assert len(house.tick("check_risk").answer["prepared"]) == 1
