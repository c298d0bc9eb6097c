"""Values of everything that is stored: one specimen of each form, and strategies that make many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from hypothesis import strategies as st

from shared.contracts.stored import (
    BROKER_FACTS,
    CHARGE,
    COVERAGE,
    GRANT,
    INCIDENT,
    INTENT,
    KILL_SWITCH,
    KNOWN_ANSWER,
    LEDGER,
    LINK,
    LOSSES,
    MINUTE,
    PENDING_BATCH,
    POSITION,
    RESERVATION,
    SWITCHES,
    TRADING_STATE,
    WATCHLIST,
    StoredForm,
)
from shared.domain.alerts import Alert, AlertKind, AlertRules, Channel, Delivery, DeliveryState, Severity, open_incident
from shared.domain.alerts import Incident as AlertIncident
from shared.domain.budget import DecisionId, Envelope, Grant, GrantId, Reservation, ReservationId
from shared.domain.calls import Call, Rung, WorkId
from shared.domain.calls import Purpose as CallPurpose
from shared.domain.charges import Booked, Charge
from shared.domain.coverage import Coverage, PublishedCoverage
from shared.domain.intents import Evidence, Intent, IntentState, OrderType, Purpose, Reason, Side, TimeInForce
from shared.domain.journal import Fact, Link, next_link
from shared.domain.ledger import Ledger, SentEntry, Tried
from shared.domain.losses import Losses, Period
from shared.domain.model_prices import HAIKU, OPUS, SONNET, Usage
from shared.domain.positions import Position
from shared.domain.protection import WantedStop, stop_intent, stop_purpose
from shared.domain.providers import Switches
from shared.domain.questions import PendingBatch, Task
from shared.domain.quotes import Doubt, JudgedQuote
from shared.domain.reconciliation import BrokerFacts, Difference, DifferenceKind, Doubted, Filled, Transfer
from shared.domain.trading_state import HaltReason, KillSwitch, Level, Mode, SwitchMode, TradingState, trading_state
from shared.ports.budget import KnownAnswer
from shared.ports.prices import Minute
from tests.unit.builders import AAPL, ACCOUNT, CYCLE, LOT, NOW, SECOND, TSLA, holding, intent, ledger_with
from tests.unit.builders import MINUTE as A_MINUTE

_DUST: Final = timedelta(microseconds=7)


def _intent() -> Intent:
    limit = replace(
        intent("0.100000001", "184.8200", state=IntentState.PARTIALLY_FILLED, filled="0.1", filled_value="18.479"),
        order_type=OrderType.LIMIT,
        limit_price=Decimal("184.8200"),
        time_in_force=TimeInForce.GTC,
        owner="run-5",
        sends=1,
        sent_at=NOW + _DUST,
        recorded=True,
        told=True,
        broker_order_id="b-61e69015",
        filled_at=NOW + SECOND,
        note="“quoted” – 5 %",
    )
    return replace(
        limit,
        evidence=Evidence(
            text="bought",
            price=Decimal("184.8150"),
            price_at=NOW - SECOND,
            feed="iex",
            doubts=(Doubt.STALE, "wide_spread"),
            level=Decimal("1E+2"),
            gate=("cash", "cap"),
        ),
    )


def _stop() -> Intent:
    stop = stop_intent(
        holding(),
        WantedStop(Reason.BROKER_STOP, Decimal(10), Decimal("147.86")),
        stop_purpose(ACCOUNT, holding(), Reason.BROKER_STOP),
        0,
        NOW,
    )
    return replace(stop, state=IntentState.ACKED, confirmed=True, withdrawn="an exit goes first")


def _ledger() -> Ledger:
    closed = replace(intent("7", reason=Reason.STOP_LOSS, origin=LOT), state=IntentState.CANCELED, closed_at=NOW)
    return replace(
        ledger_with(_intent(), intent(symbol=AAPL, reason=Reason.TAKE_PROFIT, origin=LOT), _stop()),
        finished=MappingProxyType({closed.id: closed}),
        generations=MappingProxyType({closed.purpose.key: Tried(2, NOW, refused=True)}),
        entries_sent=MappingProxyType({TSLA: (SentEntry(closed.id, NOW), SentEntry(intent().id, NOW + _DUST))}),
        locked=MappingProxyType({AAPL: NOW + A_MINUTE}),
        quiet_until=NOW + SECOND,
        entries_quiet_until=NOW + A_MINUTE,
        version=41,
    )


def _facts() -> BrokerFacts:
    return BrokerFacts(
        at=NOW,
        cash=Decimal("-12.340"),
        equity=Decimal("100000.00"),
        quantities=MappingProxyType({TSLA: Decimal("10.400000001"), AAPL: Decimal("3")}),
        fills=MappingProxyType({intent().id: Filled(TSLA, Decimal("-0.5"), Decimal("92.41"))}),
        frozen=frozenset({TSLA, AAPL}),
        clean=False,
        untold=(
            Difference(
                kind=DifferenceKind.LOST_ORDER, subject="TSLA hw-1", at=NOW, expected=Decimal("0"), found=Decimal("1")
            ),
        ),
        strangers=frozenset({"TSLA 904837e3", "KO 904837e4", "AAPL 904837e5"}),
        transfers=(Transfer(NOW - A_MINUTE, Decimal("5000.00")), Transfer(NOW, Decimal("-0.55"))),
        mismatches=2,
        doubted=MappingProxyType({TSLA: Doubted(NOW - A_MINUTE, NOW, Decimal("10.4"), Decimal("7.9"), 2)}),
        version=7,
    )


def _incident() -> AlertIncident:
    alert = Alert(
        kind=AlertKind.EXIT_BLOCKED,
        severity=Severity.CRITICAL,
        subject="TSLA",
        at=NOW,
        text="TSLA: the exit waits 😀",
        occurrence="tick",
        fields=MappingProxyType({"price": "1.50"}),
    )
    opened = open_incident(alert, AlertRules(), carried=2).with_repeat(replace(alert, occurrence="tock"))
    opened = opened.with_recovery(replace(alert, occurrence="free again", recovers=True, at=NOW + A_MINUTE))
    waiting = Delivery(tries=2, not_before=NOW + A_MINUTE, claimed_until=NOW + SECOND, problem="HTTP 503")
    sent = Delivery(state=DeliveryState.SENT, tries=1, sent_at=NOW + _DUST)
    opened = opened.with_delivery(Channel.DISCORD, waiting, recovery=True)
    opened = opened.with_delivery(Channel.DISCORD, sent, recovery=False)
    return replace(opened, acknowledged=True, version=3)


def _minute() -> Minute:
    seen = JudgedQuote(
        TSLA,
        Decimal("320.1250"),
        Decimal("320.12"),
        Decimal("320.13"),
        NOW - _DUST,
        "iex",
        frozenset(),
        Decimal("320.1250"),
        NOW - _DUST,
        None,
        None,
    )
    doubts = frozenset({Doubt.STALE, Doubt.UNCONFIRMED, Doubt.CROSSED})
    blind = JudgedQuote(AAPL, None, None, None, None, "none", doubts, Decimal("201.5"), NOW, Decimal("99"), NOW)
    return Minute(NOW, MappingProxyType({TSLA: seen, AAPL: blind}))


def _link() -> Link:
    return next_link(None, Fact(kind="told", at=NOW, fields={"text": "“5 %” \\ 😀", "price": Decimal("1.50")}))


def _reservation() -> Reservation:
    return Reservation(
        id=ReservationId("5f9c"),
        issued_at=NOW + _DUST,
        day=NOW.date(),
        amount=56_560,
        envelope=Envelope.NEWS,
        expires_at=NOW + A_MINUTE,
        call=Call(
            provider="anthropic",
            model=SONNET,
            rung=Rung.SONNET,
            purpose=CallPurpose.NEWS,
            work=WorkId("article “5 %” 😀"),
            cycle=CYCLE,
        ),
        prices="2026-10-07T00:00:00Z",
        number=2,
        decision=DecisionId("TSLA 15:30"),
        grant=GrantId("g-1"),
    )


def pending_batch() -> PendingBatch:
    """Give a batch of one request."""
    return PendingBatch(
        name="msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", provider="anthropic", submitted_at=NOW + _DUST, held=(_reservation(),)
    )


def _charge() -> Charge:
    return Charge(
        id=ReservationId("5f9c"),
        at=NOW + _DUST,
        day=NOW.date(),
        provider="anthropic",
        model=HAIKU,
        rung=Rung.HAIKU,
        purpose=CallPurpose.SHADOW,
        envelope=Envelope.OTHER,
        work=WorkId("case \ud800 7"),
        cycle=CYCLE,
        held=2_828,
        cost=731,
        booked=Booked.AT_MOST,
        usage=Usage(input=6_000, output=262, cache_read=512, cache_write=1, batch=True, in_one_country=True),
        latency=SECOND + _DUST,
        ending="complete",
        prices="2026-10-07T00:00:00Z",
        request_id="req_1",
        note="told by the provider",
    )


SPECIMENS: Final[Mapping[str, tuple[StoredForm[Any], Any]]] = {
    "ledger": (LEDGER, _ledger()),
    "intent": (INTENT, _intent()),
    "position": (
        POSITION,
        replace(
            holding("10.400000001", "184.8200", trailing="0.10", take_profit="0.5", high="201.1"),
            adjusted_for=frozenset({"2026-02-23 split", "2026-02-23 dividend 0.25"}),
            version=5,
        ),
    ),
    "broker_facts": (BROKER_FACTS, _facts()),
    "kill_switch": (KILL_SWITCH, KillSwitch(mode=SwitchMode.FREEZE, by="ada", why="“stop”", at=NOW)),
    "losses": (
        LOSSES,
        Losses(
            day=Period(began=NOW.date(), since=NOW - A_MINUTE, equity=Decimal("100000.10"), tripped_at=NOW + _DUST),
            week=Period(began=date(2026, 3, 2), since=NOW, equity=Decimal("1E+5"), tripped_at=NOW),
            version=12,
        ),
    ),
    "coverage": (
        COVERAGE,
        PublishedCoverage(
            at=NOW,
            coverage=Coverage(Decimal("96.15"), Decimal("0.00"), Decimal("3.85")),
            bare=MappingProxyType({TSLA: NOW - A_MINUTE, AAPL: NOW}),
            paged=frozenset({TSLA}),
        ),
    ),
    "trading_state": (
        TRADING_STATE,
        replace(trading_state([HaltReason.STALE_DATA, HaltReason.BROKER_UNSURE, HaltReason.KILL_SWITCH]), told=False),
    ),
    "watchlist": (WATCHLIST, (TSLA, AAPL)),
    "incident": (INCIDENT, _incident()),
    "minute": (MINUTE, _minute()),
    "link": (LINK, _link()),
    "reservation": (RESERVATION, _reservation()),
    "grant": (GRANT, Grant(id=GrantId("g-1"), day=NOW.date(), amount=1_000_000, used=True)),
    "charge": (CHARGE, _charge()),
    "pending_batch": (PENDING_BATCH, pending_batch()),
    "known_answer": (KNOWN_ANSWER, KnownAnswer('{"side": "buy \ud800 😀"}', NOW + A_MINUTE)),
    "switches": (
        SWITCHES,
        Switches(
            providers=MappingProxyType({"edge": True, "anthropic": False}),
            rungs=MappingProxyType({Rung.OPUS: OPUS}),
            tasks=MappingProxyType({Task.NEWS: HAIKU}),
        ),
    ),
}
"""One value of each form in which no field is left at its default, but for what excludes each other."""


# many values

texts = st.text(st.characters(), max_size=12)
names = st.text(st.characters(exclude_characters="|"), min_size=1, max_size=8)
times = st.datetimes(timezones=st.just(UTC))
numbers = st.decimals(allow_nan=False, allow_infinity=False)
positive = st.builds(lambda digits, tens: Decimal(f"{digits}E{tens}"), st.integers(1, 10**30), st.integers(-30, -12))
"""Up to thirty digits, below 10^18: what rounds to a cent."""
fractions = st.builds(lambda digits: Decimal(f"0.{digits}1"), st.integers(0, 10**20))
versions = st.integers(0, 10**6)


def mapping(keys: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Mapping[Any, Any]]:
    return st.dictionaries(keys, values, max_size=3).map(MappingProxyType)


def tuples(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


evidence = st.builds(
    Evidence,
    text=texts,
    price=st.none() | numbers,
    price_at=st.none() | times,
    feed=texts,
    doubts=tuples(texts),
    level=st.none() | numbers,
    gate=tuples(texts),
)
purposes = st.builds(
    Purpose, account=names, symbol=names, side=st.sampled_from(Side), reason=st.sampled_from(Reason), origin=texts
)


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    quantity, order_type = draw(positive), draw(st.sampled_from(OrderType))
    return Intent(
        purpose=draw(purposes),
        generation=draw(versions),
        quantity=quantity,
        order_type=order_type,
        time_in_force=draw(st.sampled_from(TimeInForce)),
        created_at=draw(times),
        evidence=draw(evidence),
        worst_price=draw(positive),
        strategy=draw(texts),  # type: ignore[arg-type]  # a name is any text
        limit_price=draw(numbers) if order_type is OrderType.LIMIT else None,
        stop_price=draw(numbers) if order_type is OrderType.STOP else None,
        state=draw(st.sampled_from(IntentState)),
        owner=draw(texts),
        sends=draw(versions),
        sent_at=draw(st.none() | times),
        recorded=draw(st.booleans()),
        told=draw(st.booleans()),
        confirmed=draw(st.booleans()),
        withdrawn=draw(texts),
        broker_order_id=draw(texts),
        filled_quantity=draw(st.sampled_from([Decimal("0.00"), quantity])),
        filled_value=draw(numbers),
        filled_at=draw(st.none() | times),
        closed_at=draw(st.none() | times),
        note=draw(texts),
    )


deliveries = st.builds(
    Delivery,
    state=st.sampled_from(DeliveryState),
    tries=versions,
    not_before=st.none() | times,
    claimed_until=st.none() | times,
    sent_at=st.none() | times,
    problem=texts,
)
alerts = st.builds(
    Alert,
    kind=texts | st.sampled_from(AlertKind),
    severity=st.sampled_from(Severity),
    subject=texts,
    at=times,
    text=texts,
    occurrence=texts,
    recovers=st.booleans(),
    fields=mapping(texts, texts),
)
quotes = st.builds(
    JudgedQuote,
    symbol=names,
    price=st.none() | numbers,
    bid=st.none() | numbers,
    ask=st.none() | numbers,
    at=st.none() | times,
    feed=texts,
    doubts=st.frozensets(st.sampled_from(Doubt)),
    last_good=st.none() | numbers,
    last_good_at=st.none() | times,
    suspect=st.none() | numbers,
    blind_since=st.none() | times,
)
tokens = st.integers(0, 10**9)
usages = st.builds(
    Usage,
    input=tokens,
    output=tokens,
    cache_read=tokens,
    cache_write=tokens,
    batch=st.booleans(),
    in_one_country=st.booleans(),
)


@st.composite
def reservations(draw: st.DrawFn) -> Reservation:
    issued_at = draw(times.filter(lambda at: at.year < 9000))
    return Reservation(
        id=ReservationId(draw(texts)),
        issued_at=issued_at,
        day=draw(st.dates()),
        amount=draw(st.integers(1, 10**12)),
        envelope=draw(st.sampled_from(Envelope)),
        expires_at=issued_at + draw(st.timedeltas(_DUST, timedelta(days=9))),
        call=draw(calls),
        prices=draw(texts),
        number=draw(versions),
        decision=draw(st.none() | st.builds(DecisionId, texts)),
        grant=draw(st.none() | st.builds(GrantId, texts)),
    )


calls = st.builds(
    Call,
    provider=texts,
    model=texts,
    rung=st.sampled_from(Rung),
    purpose=st.sampled_from(CallPurpose),
    work=texts,
    cycle=st.none() | texts,
)
periods = st.builds(Period, began=st.dates(), since=times, equity=positive, tripped_at=st.none() | times)

STRATEGIES: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "ledger": st.builds(
        Ledger,
        account=names,
        open=mapping(texts, intents()),
        finished=mapping(texts, intents()),
        generations=mapping(texts, st.builds(Tried, versions, times, st.booleans())),
        entries_sent=mapping(names, tuples(st.builds(SentEntry, texts, times))),
        locked=mapping(names, times),
        quiet_until=st.none() | times,
        entries_quiet_until=st.none() | times,
        version=versions,
    ),
    "intent": intents(),
    "position": st.builds(
        Position,
        symbol=names,
        lot=texts,
        quantity=positive,
        average_entry_price=positive,
        opened_at=times,
        adjusted_through=st.dates(),
        stop_loss_pct=fractions,
        trailing_stop_pct=st.none() | fractions,
        take_profit_pct=st.none() | positive,
        high_since_entry=st.none() | numbers,
        strategy=texts,
        adjusted_for=st.none() | st.frozensets(texts, max_size=3),
        version=versions,
    ),
    "broker_facts": st.builds(
        BrokerFacts,
        at=times,
        cash=numbers,
        equity=numbers,
        quantities=mapping(names, numbers),
        fills=mapping(texts, st.builds(Filled, names, numbers, numbers)),
        frozen=st.frozensets(names, max_size=4),
        clean=st.booleans(),
        untold=tuples(
            st.builds(
                Difference,
                kind=st.sampled_from(DifferenceKind),
                subject=texts,
                at=times,
                expected=numbers,
                found=numbers,
            )
        ),
        strangers=st.frozensets(texts, max_size=4),
        transfers=tuples(st.builds(Transfer, times, numbers)),
        mismatches=versions,
        doubted=mapping(names, st.builds(Doubted, times, times, numbers, numbers, versions)),
        version=versions,
    ),
    "kill_switch": st.builds(KillSwitch, mode=st.sampled_from(SwitchMode), by=texts, why=texts, at=st.none() | times),
    "losses": st.builds(Losses, day=periods, week=periods, version=versions),
    "coverage": st.builds(
        PublishedCoverage,
        at=times,
        coverage=st.builds(Coverage, numbers, numbers, numbers),
        bare=mapping(names, times),
        paged=st.frozensets(names, max_size=3),
    ),
    "trading_state": st.builds(
        TradingState,
        reasons=st.frozensets(st.sampled_from(HaltReason)),
        mode=st.sampled_from(Mode),
        level=st.sampled_from(Level),
        told=st.booleans(),
    ),
    "watchlist": tuples(names),
    "incident": st.builds(
        AlertIncident,
        alert=alerts,
        deliveries=mapping(st.sampled_from(Channel), deliveries),
        opened_at=times,
        window_ends=times,
        suppressed=versions,
        carried=versions,
        seen=tuples(texts),
        acknowledged=st.booleans(),
        escalated=st.booleans(),
        recovery=st.none() | alerts,
        recovery_deliveries=mapping(st.sampled_from(Channel), deliveries),
        version=versions,
    ),
    "minute": st.builds(Minute, times, mapping(names, quotes)),
    "link": st.builds(Link, day=st.dates(date(1, 1, 1)), sequence=versions, previous=texts, body=texts, hash=texts),
    "reservation": reservations(),
    "grant": st.builds(Grant, id=texts, day=st.dates(), amount=versions, used=st.booleans()),
    "charge": st.builds(
        Charge,
        id=texts,
        at=times,
        day=st.dates(),
        provider=texts,
        model=texts,
        rung=st.sampled_from(Rung),
        purpose=st.sampled_from(CallPurpose),
        envelope=st.sampled_from(Envelope),
        work=texts,
        cycle=st.none() | texts,
        held=versions,
        cost=versions,
        booked=st.sampled_from(Booked),
        usage=st.none() | usages,
        latency=st.none() | st.timedeltas(),
        ending=texts,
        prices=texts,
        request_id=texts,
        note=texts,
    ),
    "pending_batch": st.builds(
        PendingBatch, name=texts, provider=texts, submitted_at=times, held=tuples(reservations())
    ),
    "known_answer": st.builds(KnownAnswer, texts, times),
    "switches": st.builds(
        Switches,
        providers=mapping(texts, st.booleans()),
        rungs=mapping(st.sampled_from(Rung), texts),
        tasks=mapping(st.sampled_from(Task), texts),
    ),
}
"""Any value that the domain's own rules let be made."""

assert SPECIMENS.keys() == STRATEGIES.keys()
