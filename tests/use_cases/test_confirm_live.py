"""Confirming live trading: typed exactly, journaled before it counts, told to everybody (ORD-02)."""

from __future__ import annotations

import pytest

from shared.domain.alerts import AlertKind, Channel, Severity, route
from shared.domain.errors import InvalidValue, Unavailable
from shared.domain.stage import LiveConfirmation, Stage
from tests.fakes.desk import START, Desk

WORDS = "live-1 on account 123456789"
DOWN = Unavailable("no route")


def confirm(desk: Desk, typed: str = WORDS) -> LiveConfirmation:
    return desk.use.confirm_live(typed, stage=Stage.LIVE_1, account="123456789", by="ann")


def test_the_exact_words_are_stored_journaled_and_told() -> None:
    desk = Desk(blank=True)

    confirmation = confirm(desk)

    assert confirmation == desk.world.confirmations.get()
    assert (confirmation.confirmed_at, confirmation.by) == (START, "ann")
    assert desk.facts("live_confirmed") == 1
    [alert] = desk.heard()
    assert (alert.kind, alert.severity) == (AlertKind.LIVE_TRADING, Severity.CRITICAL)
    assert WORDS in alert.text
    assert route(alert.kind, alert.severity) == frozenset(Channel)


@pytest.mark.parametrize("typed", ["", "yes", "live-2 on account 123456789", WORDS.upper(), f"{WORDS}."])
def test_other_words_change_nothing(typed: str) -> None:
    desk = Desk(blank=True)

    with pytest.raises(InvalidValue, match=WORDS):
        confirm(desk, typed)

    assert desk.world.confirmations.get() is None
    assert desk.facts("live_confirmed") == 0
    assert desk.heard() == []


def test_what_cannot_be_journaled_does_not_count() -> None:
    desk = Desk(blank=True)
    desk.faults.fail("journal.put", DOWN)

    with pytest.raises(Unavailable):
        confirm(desk)

    assert desk.world.confirmations.get() is None


def test_an_alert_queue_that_is_down_does_not_undo_it() -> None:
    desk = Desk(blank=True)
    desk.faults.fail("alerts.send", DOWN)

    assert confirm(desk) == desk.world.confirmations.get()
