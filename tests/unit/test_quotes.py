"""The freshness contract: what opens a position, what may decide an exit, and what proves a jump (faults 13-15)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.corporate_actions import ActionKind, CorporateAction, joined
from shared.domain.errors import InvalidValue
from shared.domain.money import usable_price
from shared.domain.quotes import (
    Doubt,
    FreshnessLimits,
    JudgedQuote,
    Quote,
    doubts_of,
    is_wild,
    judge_quote,
    judge_sound,
    judge_unremembered,
    needs_second_source,
    rebase,
)
from tests.unit.builders import MINUTE, NOW, SECOND, TODAY, TSLA, from_backup, quoted

LIMITS = FreshnessLimits()
ODD_PRICES = [
    ("0", Doubt.NOT_POSITIVE),
    ("-0", Doubt.NOT_POSITIVE),
    ("-184.82", Doubt.NOT_POSITIVE),
    ("NaN", Doubt.NOT_A_NUMBER),
    ("sNaN", Doubt.NOT_A_NUMBER),
    ("Infinity", Doubt.NOT_A_NUMBER),
    ("-Infinity", Doubt.NOT_A_NUMBER),
    (None, Doubt.MISSING),
]
DEFECTS = [
    *(
        pytest.param(quoted(bid=text), doubt, id=f"bid {text}")
        for text, doubt in ODD_PRICES
    ),
    *(pytest.param(quoted(ask=text), doubt, id=f"ask {text}") for text, doubt in ODD_PRICES),
    *(pytest.param(quoted(text), doubt, id=f"last {text}") for text, doubt in ODD_PRICES),
    pytest.param(None, Doubt.MISSING, id="no quote"),
    pytest.param(quoted(bid="100.01", ask="100.00"), Doubt.CROSSED, id="crossed by a cent"),
    pytest.param(quoted(bid="99.00", ask="99.9901"), Doubt.WIDE_SPREAD, id="wider than 1 %"),
    pytest.param(quoted(quote_age=91 * SECOND, trade_age=91 * SECOND), Doubt.STALE, id="91 s old"),
    pytest.param(quoted(quote_age=-6 * SECOND, trade_age=SECOND), Doubt.FROM_THE_FUTURE, id="6 s ahead"),
    pytest.param(quoted(quote_age=None, trade_age=None), Doubt.UNDATED, id="undated"),
]  # fmt: skip
"""Every single defect a quote can have, beside otherwise sane values, and what it is called."""

SANE = [
    pytest.param(quoted(), id="fresh"),
    pytest.param(quoted(bid="100.00", ask="100.00"), id="bid meets ask"),
    pytest.param(quoted(bid="99.00", ask="99.99"), id="exactly 1 % wide"),
    pytest.param(quoted(quote_age=90 * SECOND, trade_age=90 * SECOND), id="exactly 90 s old"),
    pytest.param(quoted(quote_age=SECOND, trade_age=timedelta(hours=2)), id="no trade for hours, quoted now"),
    pytest.param(quoted(quote_age=timedelta(hours=2), trade_age=SECOND), id="traded now, quoted long ago"),
    pytest.param(quoted(quote_age=None), id="only the trade is dated"),
    pytest.param(quoted(quote_age=-5 * SECOND), id="5 s ahead"),
    pytest.param(quoted(bid="100.00", ask="100.00", quote_age=None), id="bid meets ask, undated"),
    pytest.param(quoted(bid="99.00", ask="99.99", quote_age=None), id="exactly 1 % wide, undated"),
    pytest.param(quoted(quote_age=None, trade_age=90 * SECOND), id="only the trade is dated, exactly 90 s old"),
    pytest.param(quoted(quote_age=None, trade_age=-5 * SECOND), id="only the trade is dated, 5 s ahead"),
]


def judge(
    quote: Quote | None,
    second: Quote | None = None,
    *,
    after: JudgedQuote | None = None,
    now: datetime = NOW,
    limits: FreshnessLimits = LIMITS,
) -> JudgedQuote:
    return judge_quote(TSLA, quote, second, after, now, limits)


def story(*ticks: Quote | None, second: Sequence[Quote | None] = ()) -> list[JudgedQuote]:
    """Judge a quote a minute, each after the one before; the quotes are dated by their tick."""
    told: list[JudgedQuote] = []
    backups = [*second, *([None] * (len(ticks) - len(second)))]
    for number, (quote, backup) in enumerate(zip(ticks, backups, strict=True)):
        told.append(judge(
            quote and later(quote, number), backup and later(backup, number),
            after=told[-1] if told else None, now=NOW + number * MINUTE,
        ))  # fmt: skip
    return told


def later(quote: Quote, minutes: int) -> Quote:
    by = minutes * MINUTE
    return quote._replace(
        quoted_at=None if quote.quoted_at is None else quote.quoted_at + by,
        traded_at=None if quote.traded_at is None else quote.traded_at + by,
    )


class TestOneQuoteByItself:
    @pytest.mark.parametrize(("quote", "doubt"), DEFECTS)
    def test_a_defect_is_named(self, quote: Quote | None, doubt: Doubt) -> None:
        assert doubt in doubts_of(quote, NOW, LIMITS)

    @pytest.mark.parametrize(("quote", "doubt"), DEFECTS)
    def test_a_defect_opens_no_position(self, quote: Quote | None, doubt: Doubt) -> None:
        assert not judge(quote).opens_positions

    @pytest.mark.parametrize("quote", SANE)
    def test_a_sane_quote_raises_no_doubt(self, quote: Quote) -> None:
        assert doubts_of(quote, NOW, LIMITS) == frozenset()

    @pytest.mark.parametrize("quote", SANE)
    def test_a_sane_quote_opens_positions(self, quote: Quote) -> None:
        assert judge(quote).opens_positions

    def test_several_defects_are_all_named(self) -> None:
        quote = quoted(bid="101", ask="100", quote_age=5 * MINUTE, trade_age=5 * MINUTE)
        assert doubts_of(quote, NOW, LIMITS) == {Doubt.CROSSED, Doubt.STALE}

    def test_a_sane_quote_is_dated_by_the_newer_of_quote_and_trade(self) -> None:
        assert judge(quoted(quote_age=30 * SECOND, trade_age=2 * SECOND)).at == NOW - 2 * SECOND

    def test_a_sane_quote_becomes_the_last_good_price(self) -> None:
        assert judge(quoted("184.82")).last_good == Decimal("184.82")


class TestExitsOnDegradedPrices:
    @pytest.mark.parametrize(
        "quote",
        [
            quoted(bid="101", ask="100"),
            quoted(bid="0", ask="0"),
            quoted(bid="NaN"),
            quoted(bid=None, ask=None),
            quoted(bid="90", ask="110"),
        ],
        ids=["crossed", "zero", "NaN bid", "no bid and ask", "wide"],
    )
    def test_a_fresh_last_trade_serves_an_exit_when_the_backup_is_silent(self, quote: Quote) -> None:
        assert judge(quote).price == Decimal("100.00")

    @pytest.mark.parametrize("last", [text for text, _ in ODD_PRICES])
    def test_an_odd_last_price_is_never_acted_on(self, last: str | None) -> None:
        assert judge(quoted(last)).is_blind

    @pytest.mark.parametrize(
        "quote",
        [
            quoted(quote_age=91 * SECOND, trade_age=91 * SECOND),
            quoted(quote_age=-MINUTE, trade_age=-MINUTE),
            quoted(quote_age=None, trade_age=None),
            None,
        ],
        ids=["stale", "from the future", "undated", "missing"],
    )
    def test_without_a_date_to_trust_the_symbol_is_blind(self, quote: Quote | None) -> None:
        assert judge(quote).is_blind

    def test_a_doubtful_quote_shows_no_bid_or_ask(self) -> None:
        told = judge(quoted(bid="101", ask="100"))
        assert (told.bid, told.ask) == (None, None)

    def test_a_crossed_quote_does_not_become_the_last_good_price(self) -> None:
        told = story(quoted("100"), quoted("95", bid="96", ask="94"))
        assert told[-1].last_good == Decimal(100)

    def test_a_wide_quote_does_become_the_last_good_price(self) -> None:
        told = story(quoted("100"), quoted("95", bid="90", ask="99"))
        assert told[-1].last_good == Decimal(95)


class Row(NamedTuple):
    """One line of the freshness contract: what is seen, and what may be done with it."""

    primary: Quote | None
    second: Quote | None
    doubts: set[Doubt]
    exit_at: str | None
    feed: str


def aged(seconds: int) -> Quote:
    return quoted(quote_age=seconds * SECOND, trade_age=seconds * SECOND)


CONTRACT = {
    "fresh and sane": Row(quoted(), None, set(), "100", "iex"),
    "zero": Row(quoted(bid="0", ask="0"), None, {Doubt.NOT_POSITIVE}, "100", "iex"),
    "zero, second source": Row(
        quoted(bid="0", ask="0"), from_backup("99"), {Doubt.NOT_POSITIVE, Doubt.BACKUP_PRICE}, "99", "yahoo"
    ),
    "zero last trade": Row(quoted("0"), None, {Doubt.NOT_POSITIVE}, None, "none"),
    "crossed": Row(quoted(bid="101", ask="100"), None, {Doubt.CROSSED}, "100", "iex"),
    "exactly 1 % wide": Row(quoted(bid="99.00", ask="99.99"), None, set(), "100", "iex"),
    "wider than 1 %": Row(quoted(bid="99.00", ask="99.9901"), None, {Doubt.WIDE_SPREAD}, "100", "iex"),
    "89 s old": Row(aged(89), None, set(), "100", "iex"),
    "90 s old": Row(aged(90), None, set(), "100", "iex"),
    "91 s old": Row(aged(91), None, {Doubt.STALE}, None, "none"),
    "91 s old, second source": Row(aged(91), from_backup("99"), {Doubt.STALE, Doubt.BACKUP_PRICE}, "99", "yahoo"),
    "both 91 s old": Row(aged(91), from_backup(age=91 * SECOND), {Doubt.STALE}, None, "none"),
    "no quote at all": Row(None, None, {Doubt.MISSING}, None, "none"),
    "a fifth down": Row(quoted("80"), None, set(), "80", "iex"),
    "over a fifth down": Row(quoted("79.99"), None, {Doubt.UNCONFIRMED}, None, "iex"),
    "over a fifth down, agreed": Row(quoted("79.99"), from_backup("79.50"), set(), "79.99", "iex"),
    "over a fifth down, disputed": Row(
        quoted("79.99"), from_backup("100"), {Doubt.UNCONFIRMED, Doubt.DISPUTED}, None, "iex"
    ),
    "a fifth up": Row(quoted("120"), None, set(), "120", "iex"),
    "over a fifth up": Row(quoted("120.01"), None, {Doubt.UNCONFIRMED}, None, "iex"),
    "second source exactly 1 % off": Row(quoted(), from_backup("101"), set(), "100", "iex"),
    "second source over 1 % off": Row(quoted(), from_backup("101.01"), {Doubt.DISPUTED}, "100", "iex"),
    "full consolidated feed": Row(quoted(feed="sip"), None, set(), "100", "sip"),
}
"""The contract row by row, after a last good price of 100 (BEY-10, PRC-02, RSK-01)."""


class TestTheContract:
    @pytest.mark.parametrize("name", CONTRACT)
    def test_an_entry_needs_a_price_without_any_doubt(self, name: str) -> None:
        row = CONTRACT[name]
        told = judge(row.primary, row.second, after=judge(quoted()))
        assert (told.opens_positions, set(told.doubts)) == (not row.doubts, row.doubts)

    @pytest.mark.parametrize("name", CONTRACT)
    def test_an_exit_acts_on_what_is_left_and_says_where_it_is_from(self, name: str) -> None:
        row = CONTRACT[name]
        told = judge(row.primary, row.second, after=judge(quoted()))
        assert (told.price, told.feed) == (None if row.exit_at is None else Decimal(row.exit_at), row.feed)


class TestTheSecondSource:
    @pytest.mark.parametrize(
        "quote",
        [
            quoted("NaN"),
            quoted("0"),
            quoted(bid="101", ask="100"),
            quoted(quote_age=2 * MINUTE, trade_age=2 * MINUTE),
            None,
        ],
        ids=["NaN", "zero", "crossed", "stale", "missing"],
    )
    def test_the_backup_takes_over_from_an_invalid_primary(self, quote: Quote | None) -> None:
        told = judge(quote, from_backup("99.50"))
        assert (told.price, told.feed) == (Decimal("99.50"), "yahoo")

    def test_the_backup_price_says_so(self) -> None:
        assert Doubt.BACKUP_PRICE in judge(None, from_backup()).doubts

    def test_a_full_and_fresh_backup_quote_still_opens_no_position(self) -> None:
        assert not judge(None, quoted(feed="yahoo")).opens_positions

    def test_the_backup_price_becomes_the_last_good_price(self) -> None:
        assert judge(None, from_backup("99.50")).last_good == Decimal("99.50")

    def test_a_stale_backup_does_not_take_over(self) -> None:
        assert judge(None, from_backup(age=2 * MINUTE)).is_blind

    def test_a_silent_backup_leaves_a_sane_primary_in_charge(self) -> None:
        assert judge(quoted(), from_backup("NaN")).opens_positions

    def test_a_difference_of_exactly_one_percent_is_agreement(self) -> None:
        assert judge(quoted("100"), from_backup("101")).opens_positions

    @pytest.mark.parametrize("other", ["101.01", "98.99"])
    def test_a_difference_beyond_one_percent_opens_no_position(self, other: str) -> None:
        assert judge(quoted("100"), from_backup(other)).doubts == {Doubt.DISPUTED}

    def test_an_exit_follows_the_primary_in_a_dispute(self) -> None:
        told = judge(quoted("100"), from_backup("90"))
        assert (told.price, told.feed) == (Decimal(100), "iex")

    def test_a_disputed_price_does_not_become_the_last_good_one(self) -> None:
        before = judge(quoted("100"))
        told = judge(quoted("95", at=NOW + MINUTE), from_backup("100", at=NOW + MINUTE), after=before, now=NOW + MINUTE)
        assert told.last_good == Decimal(100)

    @pytest.mark.parametrize(("quote", "doubt"), [each for each in DEFECTS if each.id != "wider than 1 %"])
    def test_the_backup_is_asked_about_a_defect(self, quote: Quote | None, doubt: Doubt) -> None:
        assert needs_second_source(quote, None, NOW, LIMITS)

    def test_the_backup_is_not_asked_about_a_wide_spread(self) -> None:
        assert not needs_second_source(quoted(bid="90", ask="110"), None, NOW, LIMITS)

    def test_the_backup_is_asked_about_a_jump(self) -> None:
        assert needs_second_source(quoted("79"), judge(quoted("100")), NOW, LIMITS)

    def test_the_backup_is_not_asked_about_a_quiet_price(self) -> None:
        assert not needs_second_source(quoted("99"), judge(quoted("100")), NOW, LIMITS)


class TestBlindness:
    def test_a_blind_symbol_shows_no_time(self) -> None:
        assert story(quoted(), None)[-1].at is None

    def test_blindness_counts_from_its_first_tick(self) -> None:
        assert story(quoted(), None, None, None)[-1].blind_since == NOW + MINUTE

    def test_blindness_ends_with_a_usable_price(self) -> None:
        assert story(quoted(), None, quoted("99"))[-1].blind_since is None

    def test_the_last_good_price_survives_blindness(self) -> None:
        assert story(quoted("184.82"), None, None)[-1].last_good == Decimal("184.82")

    def test_the_frozen_feed_blinds_on_the_first_tick_past_ninety_seconds(self) -> None:
        frozen, after, blind = quoted(quote_age=None), None, []
        for minute in range(4):
            after = judge(frozen, after=after, now=NOW + minute * MINUTE)
            blind.append(after.is_blind)
        assert blind == [False, False, True, True]


class TestWildPrints:
    @pytest.mark.parametrize("price", ["80", "120", "99"])
    def test_a_jump_up_to_exactly_a_fifth_counts_at_once(self, price: str) -> None:
        assert story(quoted("100"), quoted(price))[-1].price == Decimal(price)

    @pytest.mark.parametrize("price", ["79.99", "10", "0.0001", "120.01", "1000"])
    def test_a_larger_jump_waits_down_and_up(self, price: str) -> None:
        told = story(quoted("100"), quoted(price))[-1]
        assert (told.price, told.doubts) == (None, frozenset({Doubt.UNCONFIRMED}))

    @pytest.mark.parametrize("price", ["79.99", "120.01"])
    def test_the_next_tick_confirms_a_jump(self, price: str) -> None:
        assert story(quoted("100"), quoted(price), quoted(price))[-1].price == Decimal(price)

    def test_a_confirmed_jump_becomes_the_last_good_price(self) -> None:
        assert story(quoted("100"), quoted("75"), quoted("74"))[-1].last_good == Decimal(74)

    def test_a_confirmed_jump_opens_positions_again(self) -> None:
        assert story(quoted("100"), quoted("130"), quoted("131"))[-1].opens_positions

    @pytest.mark.parametrize("print_price", ["10", "1000"])
    def test_one_wild_print_and_back_keeps_the_last_good_price(self, print_price: str) -> None:
        told = story(quoted("100"), quoted(print_price), quoted("99.90"))
        assert [each.last_good for each in told] == [Decimal(100), Decimal(100), Decimal("99.90")]

    def test_a_wild_print_is_forgotten_once_the_price_is_back(self) -> None:
        assert story(quoted("100"), quoted("10"), quoted("100"), quoted("10"))[-1].is_blind

    def test_a_jump_the_other_way_confirms_nothing(self) -> None:
        assert story(quoted("100"), quoted("10"), quoted("1000"))[-1].is_blind

    def test_an_agreeing_backup_confirms_a_jump_at_once(self) -> None:
        told = story(quoted("100"), quoted("70"), second=[None, from_backup("70.50")])
        assert told[-1].opens_positions

    def test_a_disagreeing_backup_does_not_confirm_a_jump(self) -> None:
        told = story(quoted("100"), quoted("70"), second=[None, from_backup("100")])
        assert told[-1].doubts == {Doubt.UNCONFIRMED, Doubt.DISPUTED}

    def test_a_jump_seen_by_the_backup_alone_waits_for_the_next_tick(self) -> None:
        told = story(quoted("100"), None, None, second=[None, from_backup("70"), from_backup("70")])
        assert [each.price for each in told] == [Decimal(100), None, Decimal(70)]

    def test_a_blind_tick_between_does_not_lose_the_suspicion(self) -> None:
        assert story(quoted("100"), quoted("70"), None, quoted("70"))[-1].price == Decimal(70)

    def test_the_same_quote_seen_on_two_ticks_is_still_one_print(self) -> None:
        wild = quoted("70", at=NOW + MINUTE)
        first = judge(wild, after=judge(quoted("100")), now=NOW + MINUTE)
        assert judge(wild, after=first, now=NOW + 2 * MINUTE).is_blind

    def test_a_blind_tick_between_does_not_make_a_second_print_of_one(self) -> None:
        wild = quoted("70", at=NOW + MINUTE)
        told = judge(wild, after=judge(quoted("100")), now=NOW + MINUTE)
        told = judge(None, after=told, now=NOW + MINUTE + 30 * SECOND)
        assert judge(wild, after=told, now=NOW + 2 * MINUTE).is_blind

    def test_the_same_trade_under_newer_quotes_elsewhere_is_still_one_print(self) -> None:
        first = judge(quoted("70", bid="99.9", ask="100.1"), after=judge(quoted("100")))
        again = quoted("70", bid="99.9", ask="100.1", at=NOW + MINUTE, trade_age=MINUTE + SECOND)
        assert judge(again, after=first, now=NOW + MINUTE).is_blind

    def test_the_same_trade_under_newer_quotes_at_its_price_is_confirmed(self) -> None:
        first = judge(quoted("70"), after=judge(quoted("100")))
        again = quoted("70", at=NOW + MINUTE, trade_age=MINUTE + SECOND)
        assert judge(again, after=first, now=NOW + MINUTE).price == Decimal(70)

    def test_a_fall_confirmed_under_crossed_quotes_stays_visible(self) -> None:
        crossed = quoted("70", bid="71", ask="69")
        told = story(quoted("100"), crossed, crossed, crossed, crossed)
        assert [each.is_blind for each in told] == [False, True, False, False, False]

    def test_a_confirmed_fall_without_a_further_trade_stays_visible(self) -> None:
        told = story(quoted("100"), *[quoted("70", bid="71", ask="69")] * 2)[-1]
        no_trade_since = quoted("70", bid="71", ask="69", at=NOW + 3 * MINUTE, trade_age=MINUTE + SECOND)
        assert judge(no_trade_since, after=told, now=NOW + 3 * MINUTE).price == Decimal(70)

    def test_a_dispute_over_an_ordinary_price_raises_no_suspicion(self) -> None:
        assert story(quoted("100"), quoted("95"), second=[None, from_backup("100")])[-1].suspect is None

    def test_without_a_last_good_price_no_jump_is_wild(self) -> None:
        assert not is_wild(Decimal(1), None, LIMITS)


def split(known: JudgedQuote, ratio: str) -> JudgedQuote:
    return rebase(known, joined([CorporateAction(
        symbol=TSLA, ex_date=TODAY, kind=ActionKind.SPLIT, ratio=Decimal(ratio))]), NOW + MINUTE)  # fmt: skip


def paid(known: JudgedQuote, cash: str) -> JudgedQuote:
    return rebase(known, joined([CorporateAction(
        symbol=TSLA, ex_date=TODAY, kind=ActionKind.DIVIDEND, cash_amount=Decimal(cash))]), NOW + MINUTE)  # fmt: skip


class TestCorporateActions:
    @pytest.mark.parametrize(
        ("before", "factor", "after"),
        [("645.57", "7", "92.2243"), ("499.23", "4", "124.8075"), ("2255.34", "20", "112.767"), ("1.00", "0.1", "10")],
        ids=["7:1", "4:1", "20:1", "1:10 reverse"],
    )
    def test_a_split_is_no_jump_once_the_memory_is_rebased(self, before: str, factor: str, after: str) -> None:
        rebased = split(judge(quoted(before)), factor)
        assert judge(quoted(after), after=rebased).opens_positions

    def test_a_split_without_its_action_is_a_jump(self) -> None:
        assert judge(quoted("92.22"), after=judge(quoted("645.57"))).is_blind

    def test_a_crash_on_the_day_of_a_split_is_still_a_jump(self) -> None:
        assert judge(quoted("70"), after=split(judge(quoted("400")), "4")).is_blind

    def test_a_special_dividend_is_taken_off_the_memory(self) -> None:
        assert paid(judge(quoted("100")), "25").last_good == Decimal(75)

    def test_a_waiting_jump_is_rebased_too(self) -> None:
        waiting = story(quoted("400"), quoted("200"))[-1]
        assert split(waiting, "4").suspect == Decimal(50)

    def test_a_memory_that_would_fall_to_zero_is_dropped(self) -> None:
        assert paid(judge(quoted("20")), "20").last_good is None

    def test_a_dividend_is_taken_off_a_waiting_jump_too(self) -> None:
        waiting = story(quoted("100"), quoted("60"))[-1]
        assert paid(waiting, "25").suspect == Decimal(35)

    def test_a_waiting_jump_that_would_fall_to_zero_is_dropped(self) -> None:
        waiting = story(quoted("100"), quoted("25"))[-1]
        assert paid(waiting, "25").suspect is None

    def test_the_memory_says_when_it_was_carried_over(self) -> None:
        assert split(judge(quoted("400")), "4").last_good_at == NOW + MINUTE

    def test_no_action_changes_nothing(self) -> None:
        known = judge(quoted("100"))
        assert split(known, "1") == known


@pytest.mark.parametrize(
    "bad",
    [
        {"stale_after": timedelta(0)},
        {"widest_spread": Decimal(0)},
        {"furthest_apart": Decimal(1)},
        {"wild_move": Decimal("NaN")},
    ],
)
def test_limits_out_of_bounds_are_refused(bad: dict[str, timedelta | Decimal]) -> None:
    with pytest.raises(InvalidValue):
        FreshnessLimits(**bad)  # type: ignore[arg-type]


class Sight(NamedTuple):
    """What one tick gets to see."""

    primary: Quote | None
    second: Quote | None


floats = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True).map(Decimal)
beyond_floats = st.sampled_from(["sNaN", "-sNaN", "9.9E+999999", "1E-999999", "-1E+999999"]).map(Decimal)
near_a_hundred = st.decimals(min_value=60, max_value=140, places=2)
prices = st.one_of(st.none(), near_a_hundred, near_a_hundred, floats, beyond_floats)
ages = st.one_of(
    st.none(), st.just(SECOND), st.timedeltas(min_value=timedelta(seconds=-30), max_value=timedelta(minutes=5))
)
dated = st.builds(quoted, quote_age=ages, trade_age=ages, feed=st.sampled_from(["iex", "sip"]))
sights = st.builds(
    lambda quote, last, bid, ask: quote._replace(last=last, bid=bid, ask=ask), dated, prices, prices, prices
)
ticks = st.builds(Sight, st.one_of(st.none(), sights), st.one_of(st.none(), sights))


def watched(seen: Sequence[Sight]) -> list[JudgedQuote]:
    return story(*(each.primary for each in seen), second=[each.second for each in seen])


@settings(max_examples=400)
@given(st.one_of(st.none(), sights, dated), st.one_of(st.none(), dated))
def test_a_quote_judged_sound_has_no_doubt_and_needs_no_second_source(
    quote: Quote | None, before: Quote | None
) -> None:
    known = judge(before) if before else None
    sound = judge_sound(TSLA, quote, known, NOW, LIMITS)
    if sound is not None:
        assert not doubts_of(quote, NOW, LIMITS)
        assert not needs_second_source(quote, known, NOW, LIMITS)
        assert sound.doubts == frozenset()


@settings(max_examples=400)
@given(st.lists(ticks, min_size=1, max_size=6))
def test_only_a_quote_sane_in_every_part_opens_positions(seen: list[Sight]) -> None:
    for sight, told in zip(seen, watched(seen), strict=True):
        if told.opens_positions:
            quote = sight.primary
            assert quote is not None
            assert usable_price(quote.last)
            assert quote.bid is not None
            assert quote.ask is not None
            assert Decimal(0) < quote.bid <= quote.ask <= quote.bid * Decimal("1.01")
            newest = max(at for at in (quote.quoted_at, quote.traded_at) if at is not None)
            assert timedelta(seconds=-5) <= NOW - newest <= timedelta(seconds=90)


@settings(max_examples=400)
@given(st.lists(ticks, min_size=1, max_size=6))
def test_a_price_to_act_on_is_always_a_real_one(seen: list[Sight]) -> None:
    assert all(told.price is None or usable_price(told.price) for told in watched(seen))


@settings(max_examples=400)
@given(st.lists(ticks, min_size=1, max_size=6))
def test_the_last_good_price_is_never_odd(seen: list[Sight]) -> None:
    assert all(told.last_good is None or usable_price(told.last_good) for told in watched(seen))


@settings(max_examples=400)
@given(st.lists(ticks, min_size=1, max_size=6))
def test_blindness_is_dated_exactly_while_it_lasts(seen: list[Sight]) -> None:
    assert all((told.blind_since is not None) == told.is_blind for told in watched(seen))


@settings(max_examples=400)
@given(st.lists(ticks, min_size=2, max_size=6))
def test_no_single_tick_without_an_agreeing_backup_moves_the_price_by_more_than_a_fifth(seen: list[Sight]) -> None:
    told = watched([Sight(each.primary, None) for each in seen])
    for before, after in pairwise(told):
        if before.suspect is None and before.last_good is not None and after.price is not None:
            assert abs(after.price - before.last_good) <= before.last_good * Decimal("0.2")


@given(ticks, near_a_hundred, near_a_hundred)
def test_judging_is_repeatable(sight: Sight, good: Decimal, suspect: Decimal) -> None:
    before = judge(quoted())._replace(last_good=good, suspect=suspect)
    assert repr(judge(*sight, after=before)) == repr(judge(*sight, after=before))


class TestWithoutMemory:
    """The stored prices cannot be read, so a jump cannot be told from a fall."""

    def test_what_both_providers_agree_on_counts(self) -> None:
        told = judge_unremembered(TSLA, quoted(last="40"), from_backup("40.10"), NOW, FreshnessLimits())
        assert told.price == Decimal("40")

    @pytest.mark.parametrize(
        ("primary", "second"),
        [
            (quoted(last="40"), None),
            (quoted(last="40"), from_backup("100")),
            (quoted(last="NaN"), from_backup("40")),
            (None, from_backup("40")),
            (None, None),
        ],
        ids=["backup silent", "they disagree", "primary invalid", "primary silent", "both silent"],
    )
    def test_one_provider_s_word_alone_leaves_the_symbol_blind(
        self, primary: Quote | None, second: Quote | None
    ) -> None:
        assert judge_unremembered(TSLA, primary, second, NOW, FreshnessLimits()).is_blind
