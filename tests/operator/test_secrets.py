"""Storing secrets: tried before they are stored, replaced only by what works, and never shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hearthwatch.operator import model_keys
from hearthwatch.operator.secret_kinds import EVERY_NAME, KINDS, MODELS, SecretKind
from hearthwatch.operator.secrets import ages_text
from local_stack.cloud.door import Misbehaviour
from shared.bootstrap.cloud import EVERY_SECRET
from shared.bootstrap.models import KEYS
from shared.domain.providers import ANTHROPIC
from tests.fakes.discord import GONE, PROXY_PAGE, TOKEN, DiscordDouble
from tests.fakes.scripted_http import ScriptedServer, Step, drip, endless, hang_up, reply
from tests.operator.deployment import LIVE_KEY_ID, LIVE_SECRET, Deployment, Done

LEFT_OUT = ["", "", ""]
"""What is answered where models are asked for."""
NEW_KEY_ID, NEW_SECRET = "PKSUCCESSOR", "simulated-successor"
PAPER = ("alpaca-paper-key-id", "alpaca-paper-secret")


def paper_lines(deployed: Deployment) -> list[str]:
    return [f"ALPACA_PAPER_KEY_ID={deployed.exchange.key_id}", f"ALPACA_PAPER_SECRET={deployed.exchange.secret}"]


def everything_said(done: Done) -> str:
    return done.out + done.problem


def test_the_kinds_are_all_the_secrets_there_are() -> None:
    assert sorted(EVERY_NAME) == sorted(EVERY_SECRET)


def test_each_secret_is_asked_for_tried_and_stored() -> None:
    with Deployment() as deployed:
        typed = ["y", deployed.exchange.key_id, deployed.exchange.secret, "n", "y", deployed.discord.address, *LEFT_OUT]
        done = deployed.run("secrets", typed=typed, interactive=True)

        assert (done.code, done.problem) == (0, "")
        assert deployed.stored() == {
            "alpaca-paper-key-id": deployed.exchange.key_id,
            "alpaca-paper-secret": deployed.exchange.secret,
            "discord-webhook-url": deployed.discord.address,
        }
        assert (deployed.discord.count("GET"), deployed.discord.count("POST")) == (1, 0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_the_guide_says_what_each_is_for_and_where_it_comes_from(kind: object) -> None:
    with Deployment() as deployed:
        done = deployed.run("secrets", typed=["n", "n", "n", *LEFT_OUT], interactive=True)

    assert all(words in done.out for words in (kind.title, kind.what_for, kind.where))  # type: ignore[attr-defined]
    assert "make preflight" in done.out


def test_wrong_answers_are_explained_and_asked_for_again() -> None:
    with Deployment() as deployed:
        right = [deployed.exchange.key_id, deployed.exchange.secret]
        typed = ["y", LIVE_KEY_ID, "whatever-it-is", right[0], "not-the-secret", *right, "n", "n", *LEFT_OUT]
        done = deployed.run("secrets", typed=typed, interactive=True)

        assert "alpaca-paper-key-id: this is a live key, expected a paper key (PK...)" in done.out
        assert "the pair opens nothing, so it was not stored" in done.out
        assert [deployed.stored()[name] for name in PAPER] == right


def test_an_empty_answer_leaves_everything_as_it_was() -> None:
    with Deployment() as deployed:
        done = deployed.run("secrets", typed=["y", "", "n", "n", *LEFT_OUT], interactive=True)

        assert "Left as it was." in done.out
        assert deployed.stored() == {}


def test_lines_are_taken_without_a_terminal() -> None:
    with Deployment() as deployed:
        lines = [
            "# the paper account",
            "",
            *paper_lines(deployed),
            f"export discord-webhook-url='{deployed.discord.address}'",
        ]
        done = deployed.run("secrets", typed=lines)

        assert (done.code, len(deployed.stored())) == (0, 3)
        assert "the paper account HW0000001 is ACTIVE" in done.out


def test_the_environment_is_taken_when_asked() -> None:
    with Deployment() as deployed:
        values = dict(line.split("=") for line in paper_lines(deployed))
        done = deployed.run("secrets", "--environment", environment={**deployed.environment, **values})

        assert (done.code, set(deployed.stored())) == (0, set(PAPER))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "nobody to ask and nothing given"),
        (["ALPACA_PAPER_KEY_ID=PKSIMULATOR"], "alpaca-paper-secret is missing"),
        (["ALPACA_PAPER_KEY_ID=PKSIMULATOR", "ALPACA_PAPER_SECRET="], "alpaca-paper-secret is missing"),
        (["# fine", "PKSOMESECRETKEYID"], "line 2: not one of"),
        (["PKSOMESECRETKEYID=x"], "line 1: not one of"),
        (["ALPACA_PAPER_KEY_ID=AKSIMULATOR", "ALPACA_PAPER_SECRET=hidden-words"], "this is a live key"),
        (["ALPACA_LIVE_KEY_ID=PKSIMULATOR", "ALPACA_LIVE_SECRET=hidden-words"], "this is a paper key"),
        (["ALPACA_PAPER_KEY_ID=hidden-words", "ALPACA_PAPER_SECRET=hidden-words"], "not a key id"),
        (["ALPACA_PAPER_KEY_ID=PKSIMULATOR", "ALPACA_PAPER_SECRET=PKSIMULATOR"], "looks like a key id"),
        (["ALPACA_PAPER_KEY_ID=PKSIMULATOR", "ALPACA_PAPER_SECRET=hidden words"], "without a blank"),
        (["ALPACA_PAPER_KEY_ID=PKSIMULATOR", "ALPACA_PAPER_SECRET=tiny"], "at least 6"),
        (["ALPACA_PAPER_KEY_ID=PKSIMULATOR", "ALPACA_PAPER_SECRET=hidden-words"], "the pair opens nothing"),
        (["DISCORD_WEBHOOK_URL=https://example.com/hidden-words"], "not one of Discord's"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_shows_no_value_and_nothing_is_stored(lines: list[str], said: str) -> None:
    with Deployment() as deployed:
        done = deployed.run("secrets", typed=lines)

        assert done.code == 2
        assert said in done.problem
        assert "\n" not in done.problem
        assert not [secret for secret in ("hidden", "PKSOME", "PKSIM", "AKSIM") if secret in everything_said(done)]
        assert deployed.stored() == {}


@pytest.mark.parametrize("answer", [GONE, PROXY_PAGE])
def test_a_webhook_that_does_not_work_is_not_stored(answer: object) -> None:
    with Deployment(discord=DiscordDouble(answer)) as deployed:  # type: ignore[arg-type]
        done = deployed.run(
            "secrets", typed=[*paper_lines(deployed), f"DISCORD_WEBHOOK_URL={deployed.discord.address}"]
        )

        assert (done.code, deployed.stored()) == (2, {})
        assert "it does not work, so it was not stored" in done.problem
        assert TOKEN not in everything_said(done)


def test_a_new_pair_replaces_the_old_one_once_it_works() -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        refused = deployed.run(
            "secrets", "--rotate", PAPER[1], typed=[f"{PAPER[0]}={NEW_KEY_ID}", f"{PAPER[1]}={NEW_SECRET}"]
        )
        before = deployed.stored()
        deployed.exchange.admit(NEW_KEY_ID, NEW_SECRET)
        done = deployed.run("secrets", "--rotate", PAPER[1], typed=[NEW_KEY_ID, NEW_SECRET], interactive=True)

        assert (refused.code, before[PAPER[0]]) == (2, deployed.exchange.key_id)
        assert done.code == 0
        assert "Overlap: make the new pair while the old one still works" in done.out
        assert [deployed.stored()[name] for name in PAPER] == [NEW_KEY_ID, NEW_SECRET]


def test_running_functions_go_on_through_a_rotation_with_two_valid_pairs() -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        running = deployed.ports
        before = running.broker.account().cash
        deployed.exchange.admit(NEW_KEY_ID, NEW_SECRET)
        deployed.run("secrets", "--rotate", PAPER[0], typed=[f"{PAPER[0]}={NEW_KEY_ID}", f"{PAPER[1]}={NEW_SECRET}"])
        between = running.broker.account().cash
        deployed.exchange.revoke(deployed.exchange.key_id)

        assert before == between == running.broker.account().cash


def test_a_rotation_takes_only_what_was_named() -> None:
    with Deployment() as deployed:
        lines = [*paper_lines(deployed), f"DISCORD_WEBHOOK_URL={deployed.discord.address}"]
        deployed.run("secrets", "--rotate", "discord-webhook-url", typed=lines)

        assert set(deployed.stored()) == {"discord-webhook-url"}


def test_a_name_that_is_none_of_ours_is_refused() -> None:
    with Deployment() as deployed:
        done = deployed.run("secrets", "--rotate", "openai-key", typed=["openai-key=x"])

    assert done.code == 2
    assert "'openai-key' is none of the secrets, expected one of alpaca-paper-key-id" in done.problem


def test_the_list_shows_presence_and_age_and_no_value() -> None:
    with Deployment() as deployed:
        deployed.store_paper()
        done = deployed.run("secrets", "--list")

        lines = {line.split()[0]: line for line in done.out.splitlines()}
        assert "stored, 0 days old" in lines["/hearthwatch/alpaca-paper-key-id"]
        assert "not stored" in lines["/hearthwatch/alpaca-live-secret"]
        assert not [value for value in deployed.stored().values() if value in done.out]


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "stored, 0 days old"),
        (75, "stored, 75 days old"),
        (76, "stored, 76 days old, replace it soon"),
        (90, "stored, 90 days old, replace it"),
        (-1, "stored, 0 days old"),
    ],
)
def test_the_age_says_when_to_replace(days: int, text: str) -> None:
    assert ages_text("any", {"any": timedelta(days=days)}) == text


def test_before_the_first_deploy_secrets_lie_where_a_stack_will_look() -> None:
    with Deployment() as deployed:
        done = deployed.run("secrets", "--stack", "not-yet", typed=paper_lines(deployed))

        assert "No stack 'not-yet' in us-east-1 yet: the secrets lie below /hearthwatch." in done.out
        assert set(deployed.stored()) == set(PAPER)


def test_live_keys_are_tried_like_the_others() -> None:
    with Deployment() as deployed:
        deployed.exchange.admit(LIVE_KEY_ID, LIVE_SECRET)
        done = deployed.run("secrets", typed=[f"ALPACA_LIVE_KEY_ID={LIVE_KEY_ID}", f"ALPACA_LIVE_SECRET={LIVE_SECRET}"])

        assert "the live account HW0000001 is ACTIVE" in done.out
        assert LIVE_SECRET not in done.out


def test_a_store_that_refuses_is_one_line() -> None:
    with Deployment() as deployed:
        deployed.cloud.misbehave(Misbehaviour.DENY, "ssm:PutParameter", caller="owner", times=9)
        done = deployed.run("secrets", typed=paper_lines(deployed))

        assert (done.code, deployed.stored()) == (2, {})
        assert "writing /hearthwatch/alpaca-paper-key-id: AWS answered AccessDenied" in done.problem


LISTED = {"data": [{"id": "some-model"}, {"id": "another"}], "models": [{"name": "models/some-model"}] * 2}
NEW_KEY = "model-key-of-somebody"


def asked_of(server: ScriptedServer, deployed: Deployment) -> dict[str, str]:
    """Let every provider of models be one server."""
    return {**deployed.environment, **{f"HEARTHWATCH_{name.upper()}_URL": server.url for name in KEYS}}


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.title)
def test_the_key_of_a_model_is_tried_by_a_list_that_costs_nothing(kind: SecretKind) -> None:
    with Deployment() as deployed, ScriptedServer(reply(200, LISTED)) as server:
        done = deployed.run("secrets", typed=[f"{kind.names[0]}={NEW_KEY}"], environment=asked_of(server, deployed))

        assert f"{kind.title} lists 2 models; nothing was asked of any" in done.out
        assert deployed.stored() == {kind.names[0]: NEW_KEY}
        assert [request.method for request in server.arrived] == ["GET"]
        assert "models" in server.arrived[0].target
        assert NEW_KEY not in everything_said(done) + server.arrived[0].target


def test_the_keys_of_models_are_asked_for_last_and_need_not_be_given() -> None:
    with Deployment() as deployed, ScriptedServer(reply(200, LISTED)) as server:
        typed = ["n", "n", "n", "y", NEW_KEY, "y", "", ""]
        done = deployed.run("secrets", typed=typed, interactive=True, environment=asked_of(server, deployed))

        assert (done.code, deployed.stored()) == (0, {KEYS[ANTHROPIC]: NEW_KEY})
        assert "Store it now? Without it the rules decide alone. [y/N]" in done.out


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            reply(401, {"error": {"message": f"invalid x-api-key {NEW_KEY}"}}),
            "Claude does not take this key (HTTP 401)",
        ),
        (reply(403, b"<html>"), "does not take this key"),
        (reply(529, {}), "Claude answered 529"),
        (reply(200, b"<html>welcome to this hotel</html>"), "something in between answered"),
        (reply(200, {"data": "none"}), "something in between answered"),
        (hang_up, "no answer from Claude"),
        (endless, "too large"),
        (drip, "too large or too slow"),
    ],
)
def test_a_key_of_a_model_that_does_not_work_is_not_stored(
    step: Step, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_keys, "REPLY_SECONDS", 0.5)
    with Deployment() as deployed, ScriptedServer(step) as server:
        done = deployed.run("secrets", typed=[f"ANTHROPIC_API_KEY={NEW_KEY}"], environment=asked_of(server, deployed))

        assert (done.code, deployed.stored()) == (2, {})
        assert said in done.problem
        assert "\n" not in done.problem
        assert NEW_KEY not in everything_said(done)
