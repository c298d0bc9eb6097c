"""Live trading needs two switches and the right keys; everything in between is paper or no start at all (ORD-02)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue, StartRefused, Stop
from shared.domain.stage import (
    CONFIRMED_FOR,
    LiveConfirmation,
    Stage,
    TradingMode,
    confirm,
    entries_are_confirmed,
    judge_mode,
    require_key_of,
    trades_live,
    words_to_type,
)

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
ACCOUNT = "123456789"
LIVE_STAGES = [stage for stage in Stage if stage.is_live]
KEY, SECRET = "alpaca-live-key-id", "alpaca-live-secret"
BOTH_KEYS = {KEY: True, SECRET: True}
NO_KEYS = {KEY: False, SECRET: False}


def confirmed(stage: Stage = Stage.LIVE_1, account: str = ACCOUNT, at: datetime = NOW) -> LiveConfirmation:
    return LiveConfirmation(account=account, stage=stage, confirmed_at=at, by="ann")


@pytest.mark.parametrize(("staged", "is_confirmed"), list(product([False, True], repeat=2)))
def test_without_live_keys_one_switch_is_paper_and_both_name_the_missing_keys(staged: bool, is_confirmed: bool) -> None:
    stage = Stage.LIVE_1 if staged else Stage.PAPER
    confirmation = confirmed() if is_confirmed else None

    if staged and is_confirmed:
        with pytest.raises(StartRefused, match=f"{KEY}, {SECRET}"):
            judge_mode(stage, confirmation, ACCOUNT, NO_KEYS, NOW)
    else:
        assert judge_mode(stage, confirmation, ACCOUNT, NO_KEYS, NOW) is TradingMode.PAPER


@pytest.mark.parametrize(
    ("staged", "is_confirmed", "says"),
    [
        (False, False, ["configured stage is paper", "nobody has confirmed", '"live-1 on account 123456789"']),
        (True, False, ["nobody has confirmed", '"live-1 on account 123456789"']),
        (False, True, ["configured stage is paper", "live-1"]),
    ],
)
def test_live_keys_without_both_switches_stop_the_start_and_say_which_is_missing_and_what_to_type(
    staged: bool, is_confirmed: bool, says: list[str]
) -> None:
    stage = Stage.LIVE_1 if staged else Stage.PAPER

    with pytest.raises(StartRefused) as refused:
        judge_mode(stage, confirmed() if is_confirmed else None, ACCOUNT, BOTH_KEYS, NOW)

    assert isinstance(refused.value, Stop)
    for words in (*says, KEY, SECRET):
        assert words in str(refused.value)
    assert ("nobody has confirmed" in str(refused.value)) is not is_confirmed


@pytest.mark.parametrize("stage", LIVE_STAGES)
def test_both_switches_and_both_keys_trade_live(stage: Stage) -> None:
    assert judge_mode(stage, confirmed(stage), ACCOUNT, BOTH_KEYS, NOW) is TradingMode.LIVE


@pytest.mark.parametrize("missing", [KEY, SECRET])
def test_half_of_the_live_keys_are_not_enough_and_too_many_for_paper(missing: str) -> None:
    half = {**BOTH_KEYS, missing: False}

    with pytest.raises(StartRefused, match=f"store {missing},"):
        judge_mode(Stage.LIVE_1, confirmed(), ACCOUNT, half, NOW)
    with pytest.raises(StartRefused, match="not switched on"):
        judge_mode(Stage.PAPER, None, ACCOUNT, half, NOW)


@pytest.mark.parametrize(
    ("age", "holds"),
    [
        (timedelta(0), True),
        (CONFIRMED_FOR - timedelta(seconds=1), True),
        (CONFIRMED_FOR, False),
        (timedelta(days=365), False),
    ],
)
def test_a_confirmation_lets_entries_out_for_thirty_days_and_exits_beyond(age: timedelta, holds: bool) -> None:
    confirmation = confirmed(at=NOW - age)

    assert confirmation.holds_at(NOW) is holds
    assert entries_are_confirmed(Stage.LIVE_1, confirmation, ACCOUNT, NOW) is holds
    assert trades_live(Stage.LIVE_1, confirmation, ACCOUNT, NOW)
    assert judge_mode(Stage.LIVE_1, confirmation, ACCOUNT, BOTH_KEYS, NOW) is TradingMode.LIVE


def test_a_confirmation_from_the_future_counts_as_missing() -> None:
    confirmation = confirmed(at=NOW + timedelta(seconds=1))

    assert not entries_are_confirmed(Stage.LIVE_1, confirmation, ACCOUNT, NOW)
    assert judge_mode(Stage.LIVE_1, confirmation, ACCOUNT, NO_KEYS, NOW) is TradingMode.PAPER
    with pytest.raises(StartRefused, match="in the future"):
        judge_mode(Stage.LIVE_1, confirmation, ACCOUNT, BOTH_KEYS, NOW)


@pytest.mark.parametrize("confirmation", [None, confirmed(), confirmed(Stage.LIVE_2)])
def test_paper_entries_need_no_confirmation(confirmation: LiveConfirmation | None) -> None:
    assert entries_are_confirmed(Stage.PAPER, confirmation, ACCOUNT, NOW)
    assert not trades_live(Stage.PAPER, confirmation, ACCOUNT, NOW)


@pytest.mark.parametrize(
    "other", [confirmed(Stage.LIVE_2), confirmed(account="987654321")], ids=["other stage", "other account"]
)
def test_a_confirmation_of_another_stage_or_account_is_none(other: LiveConfirmation) -> None:
    assert judge_mode(Stage.LIVE_1, other, ACCOUNT, NO_KEYS, NOW) is TradingMode.PAPER
    with pytest.raises(StartRefused, match=words_to_type(other.stage, other.account)):
        judge_mode(Stage.LIVE_1, other, ACCOUNT, BOTH_KEYS, NOW)


@given(
    stage=st.sampled_from(Stage),
    named=st.sampled_from(LIVE_STAGES),
    account=st.sampled_from([ACCOUNT, "987654321"]),
    age_days=st.integers(-2, 60),
    is_confirmed=st.booleans(),
    keys=st.dictionaries(st.sampled_from([KEY, SECRET]), st.booleans()),
)
def test_live_only_with_both_switches_and_every_key(
    stage: Stage, named: Stage, account: str, age_days: int, is_confirmed: bool, keys: dict[str, bool]
) -> None:
    confirmation = confirmed(named, account, NOW - timedelta(days=age_days)) if is_confirmed else None
    switched_on = stage.is_live and is_confirmed and (named, account) == (stage, ACCOUNT) and age_days >= 0

    try:
        mode = judge_mode(stage, confirmation, ACCOUNT, keys, NOW)
    except StartRefused:
        assert any(keys.values()) or switched_on
    else:
        assert (mode is TradingMode.LIVE) == (switched_on and bool(keys) and all(keys.values()))
        assert mode is TradingMode.LIVE or not any(keys.values())


@pytest.mark.parametrize(
    ("mode", "key", "fits"),
    [
        (TradingMode.PAPER, "PKABCDEF", True),
        (TradingMode.PAPER, "AKABCDEF", False),
        (TradingMode.LIVE, "AKABCDEF", True),
        (TradingMode.LIVE, "PKABCDEF", False),
    ],
)
def test_a_key_in_the_wrong_slot_stops_the_start_and_is_not_shown(mode: TradingMode, key: str, fits: bool) -> None:
    if fits:
        require_key_of(mode, "alpaca-key-id", key)
        return
    with pytest.raises(StartRefused) as refused:
        require_key_of(mode, "alpaca-key-id", key)
    assert "alpaca-key-id" in str(refused.value)
    assert key not in str(refused.value)


@pytest.mark.parametrize("typed", ["", "live-1", "LIVE-1 on account 123456789", "live-1 on account 123456789 ", "yes"])
def test_only_the_exact_text_confirms(typed: str) -> None:
    with pytest.raises(InvalidValue, match="live-1 on account 123456789"):
        confirm(typed, Stage.LIVE_1, ACCOUNT, "ann", NOW)


def test_the_exact_text_confirms_account_and_stage() -> None:
    assert confirm("live-1 on account 123456789", Stage.LIVE_1, ACCOUNT, "ann", NOW) == confirmed()


def test_paper_needs_no_confirmation_and_takes_none() -> None:
    with pytest.raises(InvalidValue, match="live stage"):
        confirm("paper on account 123456789", Stage.PAPER, ACCOUNT, "ann", NOW)


@pytest.mark.parametrize("absent", [{"account": ""}, {"by": ""}])
def test_a_confirmation_names_account_and_person(absent: dict[str, str]) -> None:
    named = {"account": ACCOUNT, "by": "ann"} | absent
    with pytest.raises(InvalidValue):
        LiveConfirmation(account=named["account"], stage=Stage.LIVE_1, confirmed_at=NOW, by=named["by"])


@pytest.mark.parametrize(("day", "soon"), [(22, False), (23, True), (29, True), (30, False)])
def test_a_confirmation_ends_soon_in_its_last_seven_days(day: int, soon: bool) -> None:
    assert confirmed().ends_soon(NOW + timedelta(days=day)) is soon
