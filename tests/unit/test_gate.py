"""The hard gate shrinks or refuses, never more; unknown means no (RSK-04, 07, 10, 11, ORD-07, ORD-08, fault 46)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.gate import (
    CHECKS,
    Exposure,
    Finding,
    FractionalSupport,
    GateInput,
    GateVerdict,
    Limits,
    Objection,
    OpenEntries,
    ProposedEntry,
    apply_checks,
    exposure_of,
    judge_entry,
    shape_order,
)
from shared.domain.intents import CycleId, IntentState, OrderType, Reason, Side, TimeInForce
from shared.domain.losses import LossLimits, Worth
from shared.domain.money import ZERO, is_whole
from shared.domain.orders import Account, Asset
from shared.domain.quotes import Doubt, JudgedQuote
from shared.domain.reconciliation import Transfer
from shared.domain.session import Session, SessionState
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, HaltReason, KillSwitch, SwitchMode, trading_state
from tests.unit.builders import (
    AAPL,
    MINUTE,
    NOW,
    NVDA,
    TSLA,
    calm_gate,
    intent,
    judged,
    ledger_with,
    tradable,
)

LIMITS = Limits()
CALM = calm_gate()
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


def account(*, power: str = "100000", equity: str = "100000", **said: Any) -> GateInput:
    """The calm morning with another word of the broker about the account."""
    assert CALM.account is not None
    told = replace(CALM.account, buying_power=Decimal(power), equity=Decimal(equity), **said)
    return replace(CALM, account=told)


def lost(dollars: str, *, day: datetime | None = None, week: datetime | None = None) -> GateInput:
    """The calm morning after a loss; `day` and `week` say when they tripped."""
    assert CALM.losses is not None
    known = CALM.losses
    known = replace(known, day=replace(known.day, tripped_at=day), week=replace(known.week, tripped_at=week))
    return replace(CALM, worth=Worth(equity=100_000 - Decimal(dollars)), losses=known)


class TestRefusals:
    @pytest.mark.parametrize(
        ("given_", "why"),
        [
            (replace(CALM, kill_switch=KillSwitch(mode=SwitchMode.KILL, why="the CEO tweeted")), "the CEO tweeted"),
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
            (replace(CALM, account=None), "how the account stands"),
            (account(blocks=("trading_blocked",)), "trading_blocked"),
            (account(blocks=("status ACCOUNT_CLOSED",)), "ACCOUNT_CLOSED"),
            (account(equity="24999.99", day_trades=3), "3 day trades"),
            (account(equity="24999.99", pattern_day_trader=True), "pattern day trader"),
            (account(power="0"), "buying power: 0.00 dollars left"),
            (account(power="-50"), "buying power: 0.00 dollars left"),
            (account(power="NaN"), "buying power: unknown"),
            (replace(CALM, asset=None), "whether TSLA trades"),
            (replace(CALM, asset=tradable(AAPL)), "whether TSLA trades"),
            (replace(CALM, asset=tradable(active=False)), "not active"),
            (replace(CALM, asset=tradable(tradable=False)), "halted or not tradable"),
            (replace(CALM, worth=None), "present worth"),
            (replace(CALM, losses=None), "present worth"),
            (replace(CALM, now=NOW + timedelta(days=1)), "today's start"),
            (lost("3000"), "the day began with 100000.00 dollars, 3000.00 (3.0%) lost; limit 3.0%"),
            (lost("100", day=NOW - MINUTE), "the day began with 100000.00 dollars, 100.00 (0.1%) lost"),
            (lost("-100", week=NOW - MINUTE), "met at 2026-03-04T15:29:00Z"),
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
        bad_day = replace(CALM, kill_switch=KillSwitch(mode=SwitchMode.KILL), frozen=True, quote=None)
        assert [finding.check for finding in verdict(given=bad_day).findings] == [
            "kill switch",
            "reconciliation",
            "quote",
            "collar",
        ]

    def test_a_calm_morning_passes_whole(self) -> None:
        assert verdict("10") == GateVerdict(quantity=Decimal(10), findings=())

    def test_doubt_about_another_symbol_s_order_refuses_nothing(self) -> None:
        elsewhere = ledger_with(intent(symbol=AAPL, reason=Reason.STOP_LOSS, state=IntentState.UNKNOWN))
        assert verdict(given=replace(CALM, ledger=elsewhere)).passes


class TestCompliance:
    """RSK-10: what the account or the market forbids; each word as the broker's recorded reply says it."""

    def test_a_sale_that_would_open_a_short_position_is_refused(self) -> None:
        told = judge_entry(TSLA, Decimal(10), Decimal(100), CALM, LIMITS, side=Side.SELL)
        assert (told.quantity, told.reasons) == (
            ZERO,
            ("order: only buys open a position: a sell would be a short sale",),
        )

    @pytest.mark.parametrize("wanted", ["NaN", "Infinity", "0", "-1"])
    def test_what_is_no_quantity_is_refused(self, wanted: str) -> None:
        told = verdict(wanted)
        assert (told.quantity, [finding.check for finding in told.findings]) == (ZERO, ["order"])

    @pytest.mark.parametrize("worst", ["NaN", "Infinity", "0", "-1"])
    def test_what_is_no_price_is_refused(self, worst: str) -> None:
        assert not verdict(worst=worst).passes

    def test_a_part_of_a_share_is_refused_where_only_whole_ones_trade(self) -> None:
        whole_only = replace(CALM, asset=tradable(fractionable=False))
        assert verdict("10.5", whole_only).reasons == ("asset: TSLA trades in whole shares only, 10.5 wanted",)
        assert verdict("10", whole_only).passes

    @pytest.mark.parametrize(
        ("equity", "day_trades", "flagged", "passes"),
        [
            ("24999.99", None, None, True),
            ("24999.99", 2, False, True),
            ("25000", 3, False, True),
            ("25000", 9, True, True),
            ("24999.99", 3, False, False),
            ("24999.99", 4, None, False),
            ("24999.99", None, True, False),
        ],
        ids=[
            "fields that the broker retired",
            "two",
            "rich enough",
            "rich and flagged",
            "three",
            "four",
            "flagged",
        ],
    )
    def test_day_trade_limits_as_far_as_the_broker_reports_them(
        self, equity: str, day_trades: int | None, flagged: bool | None, passes: bool
    ) -> None:
        given_ = account(equity=equity, day_trades=day_trades, pattern_day_trader=flagged)
        assert verdict(given=given_).passes is passes

    def test_the_broker_s_buying_power_cuts_an_entry(self) -> None:
        told = verdict("30", account(power="1050"))
        assert (told.quantity, told.reasons) == (Decimal(10), ("buying power: 1050.00 dollars left at the broker",))

    def test_an_entry_the_broker_does_not_know_of_yet_has_its_money_reserved_here(self) -> None:
        waiting = replace(account(power="2500"), ledger=ledger_with(intent("10", "100", symbol=AAPL)))
        assert verdict("30", waiting).quantity == 15

    def test_an_entry_at_the_broker_has_its_money_reserved_there(self) -> None:
        resting = ledger_with(intent("10", "100", symbol=AAPL, state=IntentState.ACKED))
        assert verdict("30", replace(account(power="2500"), ledger=resting)).quantity == 25


class TestLosses:
    @pytest.mark.parametrize(("dollars", "passes"), [("2999.99", True), ("3000", False), ("-50", True)])
    def test_three_percent_of_the_day_s_start_stops_entries(self, dollars: str, passes: bool) -> None:
        assert verdict(given=lost(dollars)).passes is passes

    def test_a_week_s_loss_stops_entries_on_a_good_day(self) -> None:
        assert CALM.losses is not None
        bad_week = replace(CALM.losses.week, equity=Decimal(107_000))
        told = verdict(given=replace(CALM, losses=replace(CALM.losses, week=bad_week)))
        assert told.reasons == ("losses: the week began with 107000.00 dollars, 7000.00 (6.5%) lost; limit 6.0%",)

    def test_a_deposit_does_not_hide_a_loss(self) -> None:
        paid_in = Worth(equity=Decimal(106_000), transfers=(Transfer(NOW, Decimal(9_000)),))
        assert not verdict(given=replace(CALM, worth=paid_in)).passes

    def test_a_withdrawal_is_no_loss(self) -> None:
        paid_out = Worth(equity=Decimal(60_000), transfers=(Transfer(NOW, Decimal(-40_000)),))
        assert verdict(given=replace(CALM, worth=paid_out)).passes


class TestFramework:
    """Whatever a check says, an entry never grows, and nothing is cut without a word."""

    ENTRY = ProposedEntry(
        symbol=TSLA,
        side=Side.BUY,
        quantity=Decimal(10),
        worst_price=Decimal(100),
        others=OpenEntries(ZERO, ZERO, ZERO),
    )

    @given(st.lists(st.none() | st.decimals(allow_nan=True, allow_infinity=True), max_size=4))
    def test_the_smallest_word_counts_and_none_makes_it_grow(self, said: list[Decimal | None]) -> None:
        checks = {
            f"check {number}": lambda *_, most=most: None if most is None else Objection("so it says", most)
            for number, most in enumerate(said)
        }
        told = apply_checks(checks, self.ENTRY, CALM, LIMITS)
        usable = [most if most.is_finite() and most > ZERO else ZERO for most in said if most is not None]
        assert told.quantity == min([Decimal(10), *usable])
        assert (told.quantity == 10) == (not told.findings)

    def test_an_objection_without_a_number_lets_nothing_pass(self) -> None:
        told = apply_checks({"a doubt": lambda *_: Objection("who knows")}, self.ENTRY, CALM, LIMITS)
        assert told == GateVerdict(quantity=ZERO, findings=(Finding("a doubt", "who knows"),))

    def test_every_check_is_asked_and_named(self) -> None:
        asked = apply_checks({name: lambda *_: Objection("no") for name in CHECKS}, self.ENTRY, CALM, LIMITS)
        assert [finding.check for finding in asked.findings] == list(CHECKS)

    @pytest.mark.parametrize("check", CHECKS)
    def test_each_check_by_itself_can_stop_an_entry(self, check: str) -> None:
        told = judge_entry(TSLA, Decimal("0.5"), Decimal(200), NOTHING_KNOWN, LIMITS, side=Side.SELL)
        assert check in {finding.check for finding in told.findings}


NOTHING_KNOWN = replace(
    CALM,
    kill_switch=UNREADABLE_KILL_SWITCH,
    state=trading_state({HaltReason.BROKER_UNSURE}),
    session=Session(state=SessionState.UNSURE, reason="no clock"),
    quote=None,
    equity=None,
    exposure=Exposure(of_symbol=None, total=None),
    ledger=ledger_with(intent(reason=Reason.STOP_LOSS, state=IntentState.UNKNOWN)).with_lock(TSLA, NOW, NOW + MINUTE),
    frozen=True,
    account=Account(
        id="a", cash=ZERO, equity=ZERO, buying_power=ZERO, blocks=("account_blocked",), pattern_day_trader=True
    ),
    asset=None,
    worth=None,
    losses=None,
)
"""A morning on which everything stands against an entry."""


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
        tsla_locked = replace(CALM, asset=tradable(AAPL), ledger=ledger_with().with_lock(TSLA, NOW, NOW + MINUTE))
        assert judge_entry(AAPL, Decimal(1), Decimal(100), tsla_locked, LIMITS).passes

    def test_another_symbol_has_its_own_pace(self) -> None:
        busy = replace(sent(1, 2), asset=tradable(AAPL))
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
        assert verdict("50", held("0", "16000")).reasons == ("total limit: limit of 20% of equity in total",)

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
            "symbol limit: limit of 5% of equity per symbol",
            "total limit: limit of 20% of equity in total",
        )

    def test_a_want_below_the_broker_s_step_says_that_it_was_cut(self) -> None:
        told = verdict("49.9999999999", limits=replace(LIMITS, per_symbol=Decimal("0.0499999999999")))
        assert (told.quantity, bool(told.reasons)) == (Decimal("49.999999999"), True)


@dataclass(frozen=True, kw_only=True)
class RandomBook:
    """One book with open entries, and an entry somebody wants on top."""

    number: int
    wanted: Decimal
    price: Decimal
    given: GateInput
    limits: Limits

    @cached_property
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
                calm_gate(equity, str(price)),
                exposure=Exposure(of_symbol=of_symbol, total=of_symbol + amount(chance, 0, float(equity) * 0.2, 2)),
                ledger=ledger_with(*entries),
            ),
            limits=limits,
        )


BOOKS = 10_000


@cache
def ten_thousand_books() -> Sequence[RandomBook]:
    return list(random_books(BOOKS, seed=4))


class TestTenThousandRandomBooks:
    def test_no_symbol_passes_its_limit(self) -> None:
        passed = [book for book in ten_thousand_books() if book.verdict.passes]
        assert [b.number for b in passed if b.in_symbol > b.limits.per_symbol * (b.given.equity or 0)] == []

    def test_the_account_does_not_pass_its_limit(self) -> None:
        passed = [book for book in ten_thousand_books() if book.verdict.passes]
        assert [b.number for b in passed if b.in_total > b.limits.total * (b.given.equity or 0)] == []

    def test_nothing_ever_grows_or_turns_negative(self) -> None:
        assert [b.number for b in ten_thousand_books() if not ZERO <= b.verdict.quantity <= b.wanted] == []

    def test_whole_shares_stay_whole(self) -> None:
        whole = [b for b in ten_thousand_books() if is_whole(b.wanted)]
        assert [b.number for b in whole if not is_whole(b.verdict.quantity)] == []

    def test_no_reason_means_all_of_it_and_a_reason_means_less(self) -> None:
        books = ten_thousand_books()
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
        told = [(book.verdict.passes, bool(book.verdict.reasons)) for book in ten_thousand_books()]
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
        kill_switch=KillSwitch(mode=SwitchMode.KILL if killed else SwitchMode.OFF),
        frozen=frozen,
        session=Session(state=session, reason="so it is"),
    )
    calm = not reasons and not killed and not frozen and session is SessionState.OPEN
    assert verdict(given=given_).passes == calm


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A book, and the entry that somebody wants on top of it."""

    given: GateInput
    limits: Limits
    wanted: Decimal
    worst: Decimal
    side: Side

    def judged(self, limits: Limits | None = None, given: GateInput | None = None) -> GateVerdict:
        return judge_entry(TSLA, self.wanted, self.worst, given or self.given, limits or self.limits, side=self.side)

    def bounds_broken_by(self, quantity: Decimal) -> list[str]:
        """Name each bound that does not hold once everything open and so many shares more were filled."""
        g, exposure, account, asset, quote = (
            self.given,
            self.given.exposure,
            self.given.account,
            self.given.asset,
            self.given.quote,
        )
        if g.equity is None or exposure.of_symbol is None or exposure.total is None or account is None:
            return ["something unknown"]
        if asset is None or g.worth is None or quote is None or quote.price is None:
            return ["something unknown"]
        bought, loss = quantity * self.worst, min(self.limits.losses.daily, self.limits.losses.weekly)
        bounds = {
            "symbol": exposure.of_symbol + g.ledger.committed(TSLA) + bought <= self.limits.per_symbol * g.equity,
            "total": exposure.total + g.ledger.committed() + bought <= self.limits.total * g.equity,
            "money": g.ledger.committed() + bought <= account.buying_power and not account.blocked,
            "losses": g.worth.equity > 100_000 * (1 - loss),
            "quote": not quote.doubts and abs(self.worst - quote.price) <= self.limits.collar * quote.price,
            "state": g.session.is_open and g.state.entries_allowed and not g.kill_switch.engaged,
            "asset": asset.tradable and asset.active and (asset.fractionable or is_whole(quantity)),
            "long only": self.side is Side.BUY,
        }
        return [name for name, holds in bounds.items() if not holds]


dollars = st.decimals(0, 200_000, places=2)
prices = st.sampled_from([Decimal("99.99"), Decimal(100), Decimal("101.5"), Decimal(103)])
shares = st.decimals("0.01", "0.45", places=3)


def whole_books() -> st.SearchStrategy[Book]:
    """Everything that opinions, approvals and settings can bring before the gate today, unknowns included."""
    return st.builds(
        book_of,
        equity=st.none() | dollars,
        held=st.none() | st.tuples(dollars, dollars),
        others=st.lists(st.tuples(st.sampled_from([TSLA, AAPL, NVDA]), dollars), max_size=3, unique_by=lambda o: o[0]),
        price=st.none() | prices,
        doubts=st.sets(st.sampled_from(Doubt), max_size=1),
        worst=prices,
        wanted=st.decimals("0.000000001", 5000, places=9) | st.integers(1, 5000).map(Decimal),
        switch=st.sampled_from(SwitchMode),
        reasons=st.sets(st.sampled_from(HaltReason), max_size=2),
        session=st.sampled_from(SessionState),
        power=st.none() | dollars,
        blocks=st.sampled_from([(), ("trading_blocked",)]),
        day_trades=st.none() | st.integers(0, 5),
        asset=st.none() | st.builds(tradable, active=st.booleans(), tradable=st.booleans(), fractionable=st.booleans()),
        lost_share=st.none() | st.decimals("-0.1", "0.1", places=4),
        side=st.sampled_from(Side),
        limits=st.builds(limits_of, shares, shares, shares, shares, shares),
    )


def limits_of(per_symbol: Decimal, more: Decimal, collar: Decimal, daily: Decimal, weekly: Decimal) -> Limits:
    return Limits(
        per_symbol=per_symbol, total=per_symbol + more, collar=collar, losses=LossLimits(daily=daily, weekly=weekly)
    )


def book_of(
    equity: Decimal | None,
    held: tuple[Decimal, Decimal] | None,
    others: list[tuple[Symbol, Decimal]],
    price: Decimal | None,
    doubts: set[Doubt],
    worst: Decimal,
    wanted: Decimal,
    switch: SwitchMode,
    reasons: set[HaltReason],
    session: SessionState,
    power: Decimal | None,
    blocks: tuple[str, ...],
    day_trades: int | None,
    asset: Asset | None,
    lost_share: Decimal | None,
    side: Side,
    limits: Limits,
) -> Book:
    known = equity if equity is not None else Decimal(100_000)
    account_ = None if power is None else Account(
        id="a", cash=power, equity=known, buying_power=power, blocks=blocks, day_trades=day_trades
    )  # fmt: skip
    entries = [intent(str(value / 100), "100", symbol=name) for name, value in others if value]
    return Book(
        given=replace(
            CALM,
            kill_switch=KillSwitch(mode=switch),
            state=trading_state(reasons),
            session=Session(state=session, reason="so it is"),
            quote=None if price is None else judged(str(price), doubts=doubts),
            equity=equity,
            exposure=Exposure(of_symbol=None, total=None)
            if held is None
            else Exposure(of_symbol=held[0], total=held[0] + held[1]),
            ledger=ledger_with(*entries),
            account=account_,
            asset=asset,
            worth=None if lost_share is None else Worth(equity=100_000 * (1 - lost_share)),
        ),
        limits=limits,
        wanted=wanted,
        worst=worst,
        side=side,
    )


def calmed(book: Book, calm: set[str]) -> Book:
    """The same book with some of its parts as on a calm morning, so that many books pass."""
    changes = {name: getattr(CALM, name) for name in calm}
    return replace(book, given=replace(book.given, **changes), side=Side.BUY if calm else book.side)


SITUATION = ("kill_switch", "state", "session", "quote", "account", "asset", "worth", "equity", "exposure")
any_books = st.builds(
    calmed,
    whole_books(),
    st.sets(st.sampled_from(SITUATION)) | st.just(set(SITUATION)) | st.just({*SITUATION} - {"exposure", "equity"}),
)


class TestNothingOverridesTheLimits:
    """RSK-11: whatever is wanted, approved or set, the gated book stays inside its bounds."""

    @settings(max_examples=500)
    @given(any_books)
    def test_the_gated_book_is_inside_every_bound(self, book: Book) -> None:
        told = book.judged()
        assert ZERO <= told.quantity <= book.wanted
        assert not told.passes or book.bounds_broken_by(told.quantity) == []

    @settings(max_examples=300)
    @given(any_books, st.decimals("0.1", "1", places=2), st.sampled_from(["per_symbol", "total", "collar", "losses"]))
    def test_a_lower_limit_never_makes_an_order_that_the_higher_did_not(
        self, book: Book, factor: Decimal, which: str
    ) -> None:
        high = book.limits
        low = {
            "per_symbol": lambda: replace(high, per_symbol=high.per_symbol * factor),
            "total": lambda: replace(high, per_symbol=high.per_symbol * factor, total=high.total * factor),
            "collar": lambda: replace(high, collar=high.collar * factor),
            "losses": lambda: replace(
                high, losses=LossLimits(daily=high.losses.daily * factor, weekly=high.losses.weekly * factor)
            ),
        }[which]()
        assert book.judged(low).quantity <= book.judged().quantity

    @settings(max_examples=300)
    @given(any_books, st.sampled_from(["quote", "equity", "account", "asset", "worth", "losses", "exposure"]))
    def test_what_becomes_unknown_lets_nothing_pass(self, book: Book, part: str) -> None:
        nothing: Any = Exposure(of_symbol=None, total=None) if part == "exposure" else None
        assert not book.judged(given=replace(book.given, **{part: nothing})).passes

    def test_the_books_are_a_fair_mix(self) -> None:
        found: Counter[tuple[bool, bool]] = Counter()

        @settings(max_examples=500, database=None, derandomize=True)
        @given(any_books)
        def look(book: Book) -> None:
            told = book.judged()
            found[told.passes, bool(told.findings)] += 1

        look()
        assert all(found[kind] >= 10 for kind in [(True, False), (True, True), (False, True)]), found


class TestConcurrentEntries:
    """RSK-04: entries wanted at the same moment, each judged on the ledger that its own write is conditional on."""

    def test_a_burst_of_entries_never_passes_a_limit_together(self) -> None:
        chance, broken, filled = random.Random(44), [], 0
        for book in random_books(2_000, seed=44):
            ledger = book.given.ledger
            for number in range(4):
                symbol = chance.choice([TSLA, AAPL, NVDA])
                if ledger.open_for(symbol, Side.BUY) is not None:
                    continue
                held_in = book.given.exposure.of_symbol if symbol == TSLA else ZERO
                exposure = replace(book.given.exposure, of_symbol=held_in)
                given_ = replace(book.given, ledger=ledger, asset=tradable(symbol), exposure=exposure)
                told = judge_entry(symbol, book.wanted, book.price, given_, book.limits)
                if told.passes:
                    burst = CycleId(f"burst-{book.number}-{number}")
                    ledger = ledger.with_prepared(
                        intent(str(told.quantity), str(book.price), symbol=symbol, origin=burst)
                    )
                    filled += 1
                total = (book.given.exposure.total or ZERO) + ledger.committed()
                if told.passes and total > book.limits.total * (book.given.equity or ZERO):
                    broken.append(book.number)
        assert broken == []
        assert filled > 500


HELD: Final = {TSLA: Decimal(10), AAPL: Decimal("2.5")}


class TestExposure:
    def test_what_is_held_counts_at_its_judged_price(self) -> None:
        told = exposure_of(TSLA, HELD, {TSLA: judged("100"), AAPL: judged("40"), NVDA: judged(None)})
        assert told == Exposure(of_symbol=Decimal(1000), total=Decimal(1100))

    def test_a_symbol_not_held_has_none_of_it(self) -> None:
        told = exposure_of(NVDA, HELD, {TSLA: judged("100"), AAPL: judged("40")})
        assert told == Exposure(of_symbol=ZERO, total=Decimal(1100))

    @pytest.mark.parametrize("quotes", [{TSLA: judged("100")}, {TSLA: judged("100"), AAPL: judged(None)}])
    def test_one_price_that_is_missing_leaves_all_of_it_unknown(self, quotes: dict[Symbol, JudgedQuote]) -> None:
        assert exposure_of(TSLA, HELD, quotes) == Exposure(of_symbol=None, total=None)

    def test_nothing_held_is_no_exposure(self) -> None:
        assert exposure_of(TSLA, {}, {}) == Exposure(of_symbol=ZERO, total=ZERO)


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
        rich = replace(calm_gate(Decimal(10**9)), quote=quote)
        assert judge_entry(TSLA, Decimal("0.000000001"), shape.worst_price, rich, LIMITS).passes

    def test_a_limit_that_rounding_pushes_out_of_the_collar_is_refused_later(self) -> None:
        quote = judged("0.0123")
        shape = shape_order(Side.BUY, Decimal(10), quote, UNPROBED, LIMITS)
        assert not verdict(given=replace(CALM, quote=quote), worst=str(shape.worst_price)).passes

    @pytest.mark.parametrize("side", Side)
    def test_without_a_price_there_is_no_order(self, side: Side) -> None:
        with pytest.raises(InvalidValue, match="price"):
            shape_order(side, Decimal(10), judged(None), YES, LIMITS)
