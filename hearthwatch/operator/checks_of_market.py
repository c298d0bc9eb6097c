"""Checks of broker and prices: the account, the watchlist, both price sources, the calendar, and a cycle read-only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from hearthwatch.operator.checks import Check, Seen, judged, ok, warning
from shared.adapters.alpaca.account_facts import AccountFacts, account_facts
from shared.bootstrap.cloud import Cloud
from shared.domain.assets import Symbol
from shared.domain.day_plan import exchange_date
from shared.domain.money import plain
from shared.domain.orders import HeldPosition
from shared.domain.positions import Position
from shared.domain.quotes import FreshnessLimits, JudgedQuote
from shared.domain.reconciliation import QUANTITY_TOLERANCE
from shared.domain.session import SessionState
from shared.domain.stage import TradingMode
from shared.domain.times import iso
from shared.settings import AccountSettings
from shared.use_cases.judge_quotes import JudgeQuotes
from shared.use_cases.judge_session_now import JudgeSessionNow

KEYS: Final = "store the keys with `make secrets`"
STATUS: Final = "see status.alpaca.markets"
AHEAD: Final = timedelta(days=14)
SHOWN: Final = 12
"""Quotes shown; a longer list says how many more there are."""


def checks_of_market(cloud: Cloud, account: AccountSettings, mode: TradingMode) -> list[Check]:
    """List the checks of broker and prices; `mode` is the account that orders would go to."""
    return [
        Check("broker account", lambda: broker_account(cloud, account, mode), KEYS),
        Check("market data", lambda: market_data(cloud), f"{KEYS}, or {STATUS}"),
        Check("backup prices", lambda: backup_prices(cloud), "nothing: it is asked only when the first is in doubt"),
        Check("calendar", lambda: calendar(cloud), f"{KEYS}, or {STATUS}"),
        Check("judged prices", lambda: judged_prices(cloud), f"{KEYS}, or {STATUS}"),
        Check("reconciliation", lambda: reconciliation(cloud), f"{KEYS}, or {STATUS}"),
    ]


def watched(cloud: Cloud) -> list[Symbol]:
    """Join what is watched and what the Book says is held."""
    held = (position.symbol for position in cloud.positions.all())
    return list(dict.fromkeys((*cloud.watchlist.symbols(), *held)))


def broker_account(cloud: Cloud, account: AccountSettings, mode: TradingMode) -> Seen:
    """Look at the account that orders go to: open, and the one that was configured."""
    facts = account_facts(cloud.trading_client(mode), cloud.clock)
    problems = _account_problems(facts)
    if mode is TradingMode.LIVE and facts.number != account.live_account:
        problems.append(f"the live keys open account {facts.number}, configured is {account.live_account}")
    return judged(f"{mode.value} account {facts.number}: {facts.status}", problems, "settle it with Alpaca")


def market_data(cloud: Cloud) -> Seen:
    """Ask for every watched symbol at once: each known, and each with a price."""
    symbols = watched(cloud)
    if not symbols:
        return warning("nothing is watched or held", "name symbols: make deploy PARAMETERS=Watchlist=TSLA,NVDA")
    quotes = cloud.primary.quotes(symbols)
    unknown = [symbol for symbol in symbols if symbol not in quotes]
    unpriced = [symbol for symbol, quote in quotes.items() if quote.last is None and quote.bid is None]
    problems = [f"Alpaca knows no {symbol}" for symbol in unknown] + [f"{symbol} has no price" for symbol in unpriced]
    return judged(f"{', '.join(symbols)}: known and quoted", problems, "take what is not traded off the watchlist")


def backup_prices(cloud: Cloud) -> Seen:
    """Ask the second source; without it a wild print waits for the next tick."""
    symbols = watched(cloud)
    todo = "nothing at once: without it a jump of more than 20 % waits for the next tick"
    try:
        quotes = cloud.backup.quotes(symbols)
    except Exception as problem:  # noqa: BLE001 -- unofficial, and nothing depends on it alone
        return warning(f"no answer: {problem}", todo)
    unknown = [symbol for symbol in symbols if symbol not in quotes]
    return warning(f"no price of {', '.join(unknown)}", todo) if unknown else ok(f"{len(quotes)} symbols priced")


def calendar(cloud: Cloud) -> Seen:
    """Ask for the coming sessions, and hold the calendar against the broker's clock."""
    now = cloud.clock.now()
    days = cloud.sources.calendar.days(now.date(), (now + AHEAD).date())
    session = JudgeSessionNow(clock=cloud.clock, calendar=cloud.sources.calendar, broker=cloud.broker)()
    problems = [] if days else [f"no session within {AHEAD.days} days"]
    if session.state is SessionState.UNSURE:
        problems.append(session.reason)
    ahead = next((day for day in days if day.opens > now), None)
    opens = f", the next session opens {iso(ahead.opens)}" if ahead else ""
    return judged(f"the market is {session.state.value}{opens}", problems, f"{STATUS}; unsure counts as closed")


def judged_prices(cloud: Cloud) -> Seen:
    """Judge the quotes as a tick would, and store nothing."""
    quotes = quotes_now(cloud)
    shown = [_quote_text(quote) for quote in quotes[:SHOWN]]
    more = [f"and {len(quotes) - SHOWN} more"] if len(quotes) > SHOWN else []
    text = "; ".join([*shown, *more]) or "nothing to judge"
    doubted = [quote.symbol for quote in quotes if quote.doubts]
    if doubted and cloud.broker.clock().is_open:
        return warning(text, "a quote in doubt opens nothing; see whether it stays so over some minutes")
    return ok(text if not doubted else f"{text} (the market is closed)")


def quotes_now(cloud: Cloud) -> list[JudgedQuote]:
    """Judge what is watched, with the memory of the newest stored minute."""
    judge = JudgeQuotes(
        clock=cloud.clock,
        primary=cloud.primary,
        backup=cloud.backup,
        actions=cloud.actions,
        sources=cloud.sources,
        limits=FreshnessLimits(),
    )
    symbols = watched(cloud)
    memory = judge.carried_over(symbols, cloud.prices.latest(), exchange_date(cloud.clock.now()))
    return list(judge(symbols, memory).values())


def reconciliation(cloud: Cloud) -> Seen:
    """Read what a reconciliation would compare, and change nothing."""
    account = cloud.broker.account()
    held, orders = cloud.broker.positions(), cloud.broker.live_orders()
    text = f"{_count(len(held), 'position')}, {_count(len(orders), 'live order')}, ${plain(account.cash)} cash"
    booked = cloud.positions.all()
    if cloud.records.last() is None:
        return ok(f"{text}; the first reconciliation takes them over")
    problems = differences(booked, held)
    if problems:
        return warning(f"{text}; {'; '.join(problems)}", "the next reconciliation tells and takes the broker's figure")
    return ok(f"{text}; as the Book has it")


def differences(booked: Sequence[Position], held: Sequence[HeldPosition]) -> list[str]:
    """Name the symbols of which Book and broker have different quantities."""
    ours = {position.symbol: position.quantity for position in booked}
    theirs = {position.symbol: position.quantity for position in held}
    return [
        f"{symbol}: the Book has {plain(ours.get(symbol, _NONE))}, the broker {plain(theirs.get(symbol, _NONE))}"
        for symbol in sorted(ours.keys() | theirs.keys())
        if abs(ours.get(symbol, _NONE) - theirs.get(symbol, _NONE)) > QUANTITY_TOLERANCE
    ]


_NONE: Final = Decimal(0)


def _account_problems(facts: AccountFacts) -> list[str]:
    inactive = [] if facts.status == "ACTIVE" else [f"account {facts.number} is {facts.status}"]
    return inactive + [f"account {facts.number}: {block}" for block in facts.blocks]


def _quote_text(quote: JudgedQuote) -> str:
    price = "blind" if quote.price is None else plain(quote.price)
    doubts = f" ({', '.join(sorted(doubt.value for doubt in quote.doubts))})" if quote.doubts else ""
    return f"{quote.symbol} {price}{doubts}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
