"""The keys of a `.env` file: what is taken, and what is refused without showing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.run.keys import KeysError, LocalKeys, read_keys

WEBHOOK = "https://discord.com/api/webhooks/123456789012345678/a-token_of-letters"


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_and_an_empty_file_hold_no_keys(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", file(tmp_path, "\n# nothing\nALPACA_PAPER_KEY_ID=\nDISCORD_WEBHOOK_URL=''\n")):
        assert read_keys(path) == LocalKeys()


def test_keys_are_read_with_quotes_exports_comments_and_strangers(tmp_path: Path) -> None:
    lines = [
        "export ALPACA_PAPER_KEY_ID=PKABC  # mine",
        "ALPACA_PAPER_SECRET='a#b c'",
        f'DISCORD_WEBHOOK_URL="{WEBHOOK}"',
        "ANTHROPIC_API_KEY=sk-ant-api03-of_somebody-AA",
        "OTHER=1",
    ]
    keys = read_keys(file(tmp_path, "\n".join(lines)))
    assert keys.alpaca_secret is not None
    assert keys.discord_webhook is not None
    assert keys.alpaca_key_id == "PKABC"
    assert keys.alpaca_secret.get_secret_value() == "a#b c"
    assert keys.discord_webhook.get_secret_value() == WEBHOOK
    assert keys.anthropic_key is not None
    assert keys.anthropic_key.get_secret_value() == "sk-ant-api03-of_somebody-AA"
    assert "of_somebody" not in repr(keys)
    assert "a#b" not in repr(keys)
    assert WEBHOOK not in repr(keys)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ALPACA_PAPER_KEY_ID=AKLIVE1234\nALPACA_PAPER_SECRET=hidden", "live key"),
        ("ALPACA_PAPER_KEY_ID=XX1234\nALPACA_PAPER_SECRET=hidden", "expected a paper key"),
        ("ALPACA_PAPER_KEY_ID=PK1234", "ALPACA_PAPER_SECRET is missing"),
        ("ALPACA_PAPER_SECRET=hidden", "ALPACA_PAPER_KEY_ID is missing"),
        ("DISCORD_WEBHOOK_URL=https://example.com/hidden", "DISCORD_WEBHOOK_URL is not usable"),
        ("DISCORD_WEBHOOK_URL=http://discord.com/api/webhooks/1/hidden", "DISCORD_WEBHOOK_URL is not usable"),
        ("ANTHROPIC_API_KEY=hidden", "ANTHROPIC_API_KEY is not usable"),
        ("ANTHROPIC_API_KEY=sk-ant-hidden 1234", "ANTHROPIC_API_KEY is not usable"),
        ("ALPACA_PAPER_KEY_ID: PK1234", "line 1: expected NAME=value"),
        ("# fine\n\nhidden words", "line 3: expected NAME=value"),
    ],
)
def test_what_cannot_be_used_is_named_and_its_value_is_not(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(KeysError, match=named) as caught:
        read_keys(file(tmp_path, text))
    assert "hidden" not in str(caught.value)
    assert "1234" not in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(KeysError, match="cannot be read as text"):
        read_keys(path)


def test_the_example_file_is_read_and_holds_nothing() -> None:
    assert read_keys(Path(__file__).parents[2] / ".env.example") == LocalKeys()
