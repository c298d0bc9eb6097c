"""The hard gate shrinks or refuses, never more; unknown means no (RSK-04, RSK-11, ORD-07, ORD-08, fault 46)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.gate import (
    Exposure,
    FractionalSupport,
    GateInput,
    GateVerdict,
    Limits,
    judge_entry,
    shape_order,
)
from shared.domain.intents import CycleId, IntentState, OrderType, Reason, Side, TimeInForce
from shared.domain.money import ZERO, is_whole
from shared.domain.quotes import Doubt
from shared.domain.session import Session, SessionState
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, HaltReason, KillSwitch, trading_state
from tests.unit.builders import AAPL, MINUTE, NOW, NVDA, TSLA, intent, judged, ledger_with

OPEN = Session(state=SessionState.OPEN, reason="calendar and clock agree")
LIMITS = Limits()
CALM = GateInput(
    now=NOW,
    kill_switch=KillSwitch(engaged=False),
    state=trading_state(()),
    session=OPEN,
    quote=judged("100"),
    equity=Decimal(100_000),
    exposure=Exposure(of_symbol=ZERO, total=ZERO),
    ledger=ledger_with(),
    frozen=False,
)
"""A calm morning: $100,000, nothing held, nothing open, TSLA at 100; 5 % is 50 shares, 20 % is 200."""


def verdict(wanted: str = "10", given: GateInput = CALM, *, worst: str = "100", limits: Limits = LIMITS) -> GateVerdict:
    return judge_entry(TSLA, Decimal(wanted), Decimal(worst), given, limits)


def held(of_symbol: str, total: str) -> GateInput:
    return replace(CALM, exposure=Exposure(of_symbol=Decimal(of_symbol), total=Decimal(total)))


def sent(*minutes_ago: float) -> GateInput:
    ledger = ledger_with()
    for ago in sorted(minutes_ago, reverse=True):
        ledger = ledger.with_entry_sent(intent(origin=CycleId(f"{ago}")), NOW - timedelta(minutes=ago))
    return replace(CALM, ledger=ledger)


class TestRefusals:
    @pytest.mark.parametrize(
        ("given_", "why"),
        [
            (replace(CALM, kill_switch=KillSwitch(engaged=True, why="the CEO tweeted")), "the CEO tweeted"),
            (replace(CALM, kill_switch=UNREADABLE_KILL_SWITCH), "could not be read"),
            (replace(CALM, state=trading_state({HaltReason.STALE_DATA})), "stale_data"),
            (replace(CALM, state=trading_state({HaltReason.BROKER_UNSURE})), "broker_unsure"),
            (replace(CALM, state=trading_state({HaltReason.MANUAL_PAUSE})), "manual_pause"),
            (replace(CALM, session=Session(state=SessionState.CLOSED, reason="a holiday")), "a holiday"),
            (replace(CALM, session=Session(state=SessionState.UNSURE, reason="no clock")), "unsure"),
            (replace(CALM, frozen=True), "frozen"),
            (replace(CALM, ledger=ledger_with(intent(reason=Reason.STOP_LOSS, state=IntentState.UNKNOWN))), "in doubt"),
            (replace(CALM, quote=None), "no usable quote"),
            (replace(CALM, quote=judged(None)), "no usable quote"),
            (replace(CALM, equity=None), "equity unknown"),
            (replace(CALM, equity=ZERO), "equity unknown"),
            (replace(CALM, equity=Decimal(-5)), "equity unknown"),
            (replace(CALM, equity=Decimal("NaN")), "equity unknown"),
            (replace(CALM, equity=Decimal("Infinity")), "equity unknown"),
            (replace(CALM, exposure=Exposure(of_symbol=None, total=ZERO)), "exposure unknown"),
            (replace(CALM, exposure=Exposure(of_symbol=ZERO, total=None)), "exposure unknown"),
            (held("NaN", "0"), "exposure unknown"),
            (held("0", "NaN"), "exposure unknown"),
            (held("5000", "5000"), "per symbol"),
            (held("0", "20000"), "in total"),
            (sent(5, 30), "within the hour"),
            (sent(70, 80, 200, 300, 400), "within the day"),
            (replace(CALM, ledger=ledger_with().with_lock(TSLA, NOW, NOW + MINUTE)), "is locked until"),
        ],
    )
    def test_a_refusal_says_why(self, given_: GateInput, why: str) -> None:
        told = verdict(given=given_)
        assert (told.passes, why in "; ".join(told.reasons)) == (False, True)

    @pytest.mark.parametrize(
        ("given_", "runaway"), [(sent(5, 30), True), (sent(70, 80, 200, 300, 400), True), (held("5000", "5000"), False)]
    )
    def test_only_too_many_entries_are_a_runaway(self, given_: GateInput, runaway: bool) -> None:
        assert verdict(given=given_).runaway is runaway

    def test_an_entry_sent_again_does_not_stand_in_its_own_way(self) -> None:
        again = intent(origin=CycleId("again"))
        ledger = sent(5).ledger.with_entry_sent(again, NOW - MINUTE)
        assert judge_entry(
            TSLA, Decimal(1), Decimal(100), replace(CALM, ledger=ledger), Limits(), besides=again.id
        ).passes

    def test_a_lock_ends(self) -> None:
        over = ledger_with().with_lock(TSLA, NOW - MINUTE, NOW)
        assert verdict(given=replace(CALM, ledger=over)).passes

    @pytest.mark.parametrize("doubt", Doubt)
    def test_a_quote_in_any_doubt_is_refused(self, doubt: Doubt) -> None:
        assert not verdict(given=replace(CALM, quote=judged("100", doubts=[doubt]))).passes

    def test_every_reason_is_told_at_once(self) -> None:
        bad_day = replace(CALM, kill_switch=KillSwitch(engaged=True), frozen=True, quote=None)
        assert len(verdict(given=bad_day).reasons) == 3

    def test_a_calm_morning_passes_whole(self) -> None:
        assert verdict("10") == GateVerdict(quantity=Decimal(10), reasons=())

    def test_doubt_about_another_symbol_s_order_refuses_nothing(self) -> None:
        elsewhere = ledger_with(intent(symbol=AAPL, reason=Reason.STOP_LOSS, state=IntentState.UNKNOWN))
        assert verdict(given=replace(CALM, ledger=elsewhere)).passes


class TestCollar:
    @pytest.mark.parametrize("worst", ["102", "98", "100"])
    def test_up_to_exactly_two_percent_from_the_quote_passes(self, worst: str) -> None:
        assert verdict(worst=worst).passes

    @pytest.mark.parametrize("worst", ["102.01", "97.99", "200", "0.01", "0"])
    def test_a_price_further_away_is_refused(self, worst: str) -> None:
        assert not verdict(worst=worst).passes


class TestPace:
    @pytest.mark.parametrize(
        ("minutes_ago", "passes"),
        [
            ((), True),
            ((5,), True),
            ((5, 60), False),
            ((5, 60.1), True),
            ((5, 70, 80, 90), True),
            ((5, 70, 80, 90, 100), False),
            ((70, 80, 90, 100, 1440), False),
            ((70, 80, 90, 100, 1440.1), True),
        ],
        ids=[
            "none",
            "one",
            "a second on the hour",
            "a second past the hour",
            "four in a day",
            "five in a day",
            "a fifth on the day",
            "a fifth past the day",
        ],
    )
    def test_two_entries_an_hour_and_five_a_day(self, minutes_ago: tuple[float, ...], passes: bool) -> None:
        assert verdict(given=sent(*minutes_ago)).passes is passes

    def test_a_lock_leaves_other_symbols_alone(self) -> None:
        tsla_locked = replace(CALM, ledger=ledger_with().with_lock(TSLA, NOW, NOW + MINUTE))
        assert judge_entry(AAPL, Decimal(1), Decimal(100), tsla_locked, LIMITS).passes

    def test_another_symbol_has_its_own_pace(self) -> None:
        busy = sent(1, 2)
        assert judge_entry(AAPL, Decimal(1), Decimal(100), busy, LIMITS).passes


class TestShrinking:
    @pytest.mark.parametrize(
        ("wanted", "given_", "allowed"),
        [
            ("50", CALM, "50"),
            ("51", CALM, "50"),
            ("60.5", CALM, "50"),
            ("30", held("2500", "2500"), "25"),
            ("30", held("2599", "2599"), "24"),
            ("30.5", held("2599", "2599"), "24.01"),
            ("30", held("0", "18000"), "20"),
            ("30", held("6000", "6000"), "0"),
            ("0.5", held("4999", "4999"), "0.01"),
            ("1", held("4999", "4999"), "0"),
        ],
        ids=[
            "exactly the limit",
            "a share over",
            "a fraction over",
            "half held",
            "cut to whole shares",
            "cut to the dollar",
            "total is tighter",
            "drifted past the limit",
            "a fraction left",
            "less than a share left",
        ],
    )
    def test_what_fits_passes(self, wanted: str, given_: GateInput, allowed: str) -> None:
        assert verdict(wanted, given_).quantity == Decimal(allowed)

    def test_exactly_the_limit_needs_no_reason(self) -> None:
        assert verdict("50").reasons == ()

    def test_a_limit_met_to_the_dollar_is_not_the_tight_one(self) -> None:
        assert verdict("50", held("0", "16000")).reasons == ("limit of 20% of equity in total",)

    def test_open_entries_count(self) -> None:
        busy = replace(CALM, ledger=ledger_with(intent("30", "100")))
        assert verdict("50", busy).quantity == 20

    def test_open_entries_elsewhere_count_towards_the_total(self) -> None:
        busy = replace(CALM, ledger=ledger_with(intent("190", "100", symbol=AAPL)))
        assert verdict("50", busy).quantity == 10

    def test_open_exits_free_nothing_before_they_fill(self) -> None:
        leaving = replace(held("4000", "4000"), ledger=ledger_with(intent("40", "100", reason=Reason.STOP_LOSS)))
        assert verdict("50", leaving).quantity == 10

    def test_an_entry_judged_again_does_not_count_itself(self) -> None:
        own = intent("50", "100")
        again = replace(CALM, ledger=ledger_with(own))
        assert judge_entry(TSLA, Decimal(50), Decimal(100), again, LIMITS, besides=own.id).quantity == 50

    def test_the_tight_limit_is_named(self) -> None:
        assert verdict("60", held("0", "18000")).reasons == (
            "limit of 5% of equity per symbol",
            "limit of 20% of equity in total",
        )

    def test_a_want_below_the_broker_s_step_says_that_it_was_cut(self) -> None:
        told = verdict("49.9999999999", limits=replace(LIMITS, per_symbol=Decimal("0.0499999999999")))
        assert (told.quantity, bool(told.reasons)) == (Decimal("49.999999999"), True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomBook:
    """One book with open entries, and an entry somebody wants on top."""

    number: int
    wanted: Decimal
    price: Decimal
    given: GateInput
    limits: Limits

    @property
    def verdict(self) -> GateVerdict:
        return judge_entry(TSLA, self.wanted, self.price, self.given, self.limits)

    @property
    def in_symbol(self) -> Decimal:
        """Dollars in TSLA once everything open and the verdict's part were filled."""
        assert self.given.exposure.of_symbol is not None
        bought = self.verdict.quantity * self.price
        return self.given.exposure.of_symbol + self.given.ledger.committed(TSLA) + bought

    @property
    def in_total(self) -> Decimal:
        assert self.given.exposure.total is not None
        return self.given.exposure.total + self.given.ledger.committed() + self.verdict.quantity * self.price


def amount(chance: random.Random, low: float, high: float, places: int) -> Decimal:
    return Decimal(str(round(chance.uniform(low, high), places)))


def random_books(count: int, seed: int) -> Iterator[RandomBook]:
    """Books around and beyond their limits, from pennies to large accounts, with up to three open entries."""
    chance = random.Random(seed)
    for number in range(count):
        equity = amount(chance, 100, chance.choice([1_000, 100_000, 5_000_000]), 2)
        total = amount(chance, 0.01, 0.60, 4)
        limits = Limits(per_symbol=min(total, amount(chance, 0.005, 0.30, 4)), total=total)
        price = amount(chance, 0.01, chance.choice([1, 100, 4_000]), 4) + Decimal("0.01")
        budget = float(equity) / float(price)
        entries = [
            intent(
                str(amount(chance, 0, budget * 0.05, 9) + Decimal("0.000000001")),
                str(price),
                symbol=symbol,
                origin=CycleId(f"cycle-{number}-{symbol}"),
            )
            for symbol in chance.sample([TSLA, AAPL, NVDA], chance.randint(0, 3))
        ]
        of_symbol = chance.choice([ZERO, amount(chance, 0, float(equity) * 0.1, 2)])
        wanted = amount(chance, 0, budget * 0.2, chance.choice([0, 9]))
        yield RandomBook(
            number=number,
            wanted=max(wanted, Decimal("0.000000001")),
            price=price,
            given=replace(
                CALM,
                quote=judged(str(price)),
                equity=equity,
                exposure=Exposure(of_symbol=of_symbol, total=of_symbol + amount(chance, 0, float(equity) * 0.2, 2)),
                ledger=ledger_with(*entries),
            ),
            limits=limits,
        )


BOOKS = 10_000


class TestTenThousandRandomBooks:
    def test_no_symbol_passes_its_limit(self) -> None:
        passed = [book for book in random_books(BOOKS, seed=4) if book.verdict.passes]
        assert [b.number for b in passed if b.in_symbol > b.limits.per_symbol * (b.given.equity or 0)] == []

    def test_the_account_does_not_pass_its_limit(self) -> None:
        passed = [book for book in random_books(BOOKS, seed=4) if book.verdict.passes]
        assert [b.number for b in passed if b.in_total > b.limits.total * (b.given.equity or 0)] == []

    def test_nothing_ever_grows_or_turns_negative(self) -> None:
        assert [b.number for b in random_books(BOOKS, seed=4) if not ZERO <= b.verdict.quantity <= b.wanted] == []

    def test_whole_shares_stay_whole(self) -> None:
        whole = [b for b in random_books(BOOKS, seed=4) if is_whole(b.wanted)]
        assert [b.number for b in whole if not is_whole(b.verdict.quantity)] == []

    def test_no_reason_means_all_of_it_and_a_reason_means_less(self) -> None:
        books = random_books(BOOKS, seed=4)
        assert [b.number for b in books if (b.verdict.quantity == b.wanted) != (not b.verdict.reasons)] == []

    def test_lowering_a_limit_never_lets_more_pass(self) -> None:
        chance, grown = random.Random(12), []
        for book in random_books(BOOKS, seed=12):
            factor = amount(chance, 0.1, 0.99, 2)
            which = chance.choice(["per_symbol", "total", "collar"])
            lower = replace(book.limits, **{which: getattr(book.limits, which) * factor}) if which != "total" else (
                replace(book.limits, total=book.limits.total * factor, per_symbol=book.limits.per_symbol * factor)
            )  # fmt: skip
            if replace(book, limits=lower).verdict.quantity > book.verdict.quantity:
                grown.append(book.number)
        assert grown == []

    def test_the_books_are_a_fair_mix(self) -> None:
        told = [(book.verdict.passes, bool(book.verdict.reasons)) for book in random_books(BOOKS, seed=4)]
        assert all(told.count(kind) > BOOKS / 20 for kind in [(True, False), (True, True), (False, True)])


@given(
    st.lists(st.floats(min_value=0, max_value=3_000), max_size=8),
    st.integers(min_value=1, max_value=6),
    st.integers(min_value=1, max_value=6),
)
def test_a_slower_pace_never_lets_more_pass(minutes_ago: list[float], an_hour: int, a_day: int) -> None:
    quick = Limits(entries_per_hour=an_hour + 1, entries_per_day=a_day + 1)
    slow = Limits(entries_per_hour=an_hour, entries_per_day=a_day)
    busy = sent(*minutes_ago)
    assert verdict(given=busy, limits=slow).quantity <= verdict(given=busy, limits=quick).quantity


@given(st.sets(st.sampled_from(HaltReason)), st.booleans(), st.booleans(), st.sampled_from(SessionState))
def test_entries_pass_only_when_nothing_at_all_stands_against_them(
    reasons: set[HaltReason], killed: bool, frozen: bool, session: SessionState
) -> None:
    given_ = replace(
        CALM,
        state=trading_state(reasons),
        kill_switch=KillSwitch(engaged=killed),
        frozen=frozen,
        session=Session(state=session, reason="so it is"),
    )
    calm = not reasons and not killed and not frozen and session is SessionState.OPEN
    assert verdict(given=given_).passes == calm


class TestLimits:
    @pytest.mark.parametrize(
        "bad",
        [
            {"per_symbol": Decimal(0)},
            {"per_symbol": Decimal(5)},
            {"total": Decimal(1)},
            {"collar": Decimal("NaN")},
            {"per_symbol": Decimal("0.3"), "total": Decimal("0.2")},
            {"entries_per_hour": 0},
            {"entries_per_day": 0},
        ],
    )
    def test_limits_that_limit_nothing_are_refused(self, bad: dict[str, Decimal | int]) -> None:
        with pytest.raises(InvalidValue):
            Limits(**bad)  # type: ignore[arg-type]


YES, NO = FractionalSupport(limit=True, stop=True), FractionalSupport(limit=False, stop=False)
UNPROBED = FractionalSupport()


class TestOrderShape:
    @pytest.mark.parametrize("support", [YES, NO, UNPROBED], ids=["yes", "no", "unprobed"])
    @pytest.mark.parametrize("quantity", ["10", "10.4", "0.4"])
    def test_an_exit_is_always_a_market_order_for_the_day(self, quantity: str, support: FractionalSupport) -> None:
        shape = shape_order(Side.SELL, Decimal(quantity), judged("100", ask="100.05"), support, LIMITS)
        assert (shape.order_type, shape.time_in_force) == (OrderType.MARKET, TimeInForce.DAY)

    @pytest.mark.parametrize(
        ("quantity", "support", "kind"),
        [
            ("10", YES, OrderType.LIMIT),
            ("10", NO, OrderType.LIMIT),
            ("10", UNPROBED, OrderType.LIMIT),
            ("10.4", YES, OrderType.LIMIT),
            ("10.4", NO, OrderType.MARKET),
            ("10.4", UNPROBED, OrderType.MARKET),
            ("0.4", UNPROBED, OrderType.MARKET),
        ],
    )
    def test_an_entry_is_a_limit_order_where_the_account_takes_one(
        self, quantity: str, support: FractionalSupport, kind: OrderType
    ) -> None:
        assert shape_order(Side.BUY, Decimal(quantity), judged("100"), support, LIMITS).order_type is kind

    @pytest.mark.parametrize("quantity", ["10", "10.4"])
    def test_an_entry_is_for_the_day(self, quantity: str) -> None:
        shape = shape_order(Side.BUY, Decimal(quantity), judged("100"), UNPROBED, LIMITS)
        assert shape.time_in_force is TimeInForce.DAY

    @pytest.mark.parametrize(("ask", "limit"), [("100.05", "100.05"), ("100.051", "100.06"), (None, "100")])
    def test_the_limit_is_the_ask_rounded_up_so_that_it_fills(self, ask: str | None, limit: str) -> None:
        shape = shape_order(Side.BUY, Decimal(10), judged("100", ask=ask), UNPROBED, LIMITS)
        assert shape.limit_price == Decimal(limit)

    def test_a_limit_order_costs_its_limit_at_worst(self) -> None:
        shape = shape_order(Side.BUY, Decimal(10), judged("100", ask="100.05"), UNPROBED, LIMITS)
        assert shape.worst_price == Decimal("100.05")

    def test_a_market_order_has_no_limit(self) -> None:
        assert shape_order(Side.BUY, Decimal("0.4"), judged("100"), UNPROBED, LIMITS).limit_price is None

    @pytest.mark.parametrize(
        ("price", "worst"), [("100", "102"), ("100.33", "102.3366"), ("0.012", "0.01224"), ("0.0004", "0.000408")]
    )
    def test_a_market_entry_is_priced_at_the_edge_of_the_collar(self, price: str, worst: str) -> None:
        assert shape_order(Side.BUY, Decimal("0.4"), judged(price), UNPROBED, LIMITS).worst_price == Decimal(worst)

    @given(st.decimals(min_value="0.0001", max_value=1_000_000, places=9))
    def test_a_market_entry_always_fits_the_collar(self, price: Decimal) -> None:
        quote = judged(str(price))
        shape = shape_order(Side.BUY, Decimal("0.000000001"), quote, UNPROBED, LIMITS)
        rich = replace(CALM, quote=quote, equity=Decimal(10**9))
        assert judge_entry(TSLA, Decimal("0.000000001"), shape.worst_price, rich, LIMITS).passes

    def test_a_limit_that_rounding_pushes_out_of_the_collar_is_refused_later(self) -> None:
        quote = judged("0.0123")
        shape = shape_order(Side.BUY, Decimal(10), quote, UNPROBED, LIMITS)
        assert not verdict(given=replace(CALM, quote=quote), worst=str(shape.worst_price)).passes

    @pytest.mark.parametrize("side", Side)
    def test_without_a_price_there_is_no_order(self, side: Side) -> None:
        with pytest.raises(InvalidValue, match="price"):
            shape_order(side, Decimal(10), judged(None), YES, LIMITS)
