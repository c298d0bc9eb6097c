"""The two switches of live trading, shown and typed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.stage import Stage
from tests.operator.deployment import LIVE_KEY_ID, LIVE_SECRET, NUMBER, Deployment, Done

WORDS = f"live-1 on account {NUMBER}"


def with_live_keys(deployed: Deployment) -> Deployment:
    deployed.store_paper()
    deployed.exchange.admit(LIVE_KEY_ID, LIVE_SECRET)
    deployed.store(alpaca_live_key_id=LIVE_KEY_ID, alpaca_live_secret=LIVE_SECRET)
    return deployed


def lines(done: Done) -> dict[str, str]:
    rows = [line.partition(":") for line in done.out.splitlines()]
    return {name: rest.strip() for name, _, rest in rows}


def test_paper_is_shown_with_what_real_money_would_need() -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        done = deployed.run("mode")

        assert lines(done)["orders"] == "on paper"
        assert lines(done)["second switch, the confirmation"] == "none"
        needs = [line.partition("money:")[2].strip() for line in done.out.splitlines() if line.startswith("missing")]
        assert needs == [
            'a live stage: make deploy STAGE=live-1 PARAMETERS="LiveAccount=<number>"',
            "alpaca-live-key-id, alpaca-live-secret: make secrets",
            "the confirmation: make mode STAGE=live-1",
        ]


def test_live_keys_without_switches_are_shown_to_start_nothing() -> None:
    with Deployment() as deployed:
        done = with_live_keys(deployed).run("mode")

        assert lines(done)["orders"].startswith("none, nothing starts. Live keys are stored")


def test_the_typed_words_switch_real_money_on() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        done = with_live_keys(deployed).run("mode", "live-1", typed=[WORDS])
        stored = deployed.ports.confirmations.get()

        assert (done.code, done.problem) == (0, "")
        assert f'Type "{WORDS}" to confirm:' in done.out
        assert lines(done)["orders"] == "with real money"
        assert lines(done)["second switch, the confirmation"] == f"{WORDS}, by moto, until 2026-07-10T16:03:00Z"
        assert stored is not None
        assert (stored.stage, stored.account, stored.by) == (Stage.LIVE_1, NUMBER, "moto")
        assert "missing" not in done.out


@pytest.mark.parametrize("typed", ["", "yes", "live-1", f"live-2 on account {NUMBER}", WORDS.upper()])
def test_other_words_store_nothing(typed: str) -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        done = with_live_keys(deployed).run("mode", "live-1", typed=[typed])

        assert done.code == 2
        assert f"expected exactly: {WORDS}" in done.problem
        assert deployed.ports.confirmations.get() is None


def test_nobody_who_answers_stores_nothing() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        done = with_live_keys(deployed).run("mode", "live-1")

        assert (done.code, done.problem) == (2, "no answer: nothing more was done")
        assert deployed.ports.confirmations.get() is None


def test_another_account_than_the_configured_one_is_refused_with_its_number() -> None:
    with Deployment(Stage="live-1", LiveAccount="123456789") as deployed:
        done = with_live_keys(deployed).run("mode", "live-1", typed=[WORDS])

        assert done.code == 2
        assert f"the live keys open account {NUMBER}, configured is 123456789" in done.problem
        assert f'make deploy PARAMETERS="LiveAccount={NUMBER}"' in done.problem


def test_without_live_keys_the_account_is_unknown() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        deployed.store_paper()
        done = deployed.run("mode", "live-1", typed=[WORDS])

        assert done.code == 2
        assert "missing in the parameter store: /hearthwatch/alpaca-live-key-id" in done.problem


def test_paper_needs_no_confirmation() -> None:
    with Deployment() as deployed:
        done = deployed.run("mode", "paper")

    assert (done.code, "paper needs no confirmation" in done.problem) == (2, True)


def test_a_confirmation_of_another_stage_still_misses_the_first_switch() -> None:
    with Deployment(LiveAccount=NUMBER) as deployed:
        done = with_live_keys(deployed).run("mode", "live-1", typed=[WORDS])

        assert lines(done)["orders"].startswith("none, nothing starts.")
        assert "the configured stage is paper" in done.out


def test_a_confirmation_that_ended_is_shown() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        with_live_keys(deployed).run("mode", "live-1", typed=[WORDS])
        deployed.clock.advance(timedelta(days=31))
        done = deployed.run("mode")

        assert lines(done)["second switch, the confirmation"] == f"{WORDS}, ended on 2026-07-10T16:03:00Z"


def test_preflight_of_a_confirmed_stage_looks_at_the_live_account() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        with_live_keys(deployed.ready()).run("mode", "live-1", typed=[WORDS])
        done = deployed.run("preflight", "--quiet")

        assert done.code == 0
        assert "trading                  with real money" in done.out
        assert f"live account {NUMBER}: ACTIVE" in done.out


def test_preflight_warns_of_a_confirmation_that_ends_soon() -> None:
    with Deployment(Stage="live-1", LiveAccount=NUMBER) as deployed:
        with_live_keys(deployed.ready()).run("mode", "live-1", typed=[WORDS])
        deployed.clock.advance(timedelta(days=25))
        done = deployed.run("preflight", "--quiet")

        assert "with real money, confirmed until 2026-07-10 only" in done.out


def test_no_secret_is_shown() -> None:
    with Deployment() as deployed:
        done = with_live_keys(deployed).run("mode")

        assert not [value for value in deployed.stored().values() if value in done.out + done.problem]
