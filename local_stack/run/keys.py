"""The keys of a `.env` file: with them a run uses the real paper account, the real Discord and the real Claude.

Decided: a line is `NAME=value`, as shells and Docker read it: an `export ` before it and quotes around the value are
taken off, nothing is expanded, and names that are none of ours are left to others. Only paper keys are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from shared.domain.errors import Stop

KEY_ID: Final = "ALPACA_PAPER_KEY_ID"
SECRET: Final = "ALPACA_PAPER_SECRET"  # noqa: S105 -- a variable's name
WEBHOOK: Final = "DISCORD_WEBHOOK_URL"
CLAUDE: Final = "ANTHROPIC_API_KEY"
LIVE_KEY: Final = "AK"
PAPER_KEY: Final = "PK"

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
_CLAUDE: Final = re.compile(r"sk-ant-[\w-]{8,300}", re.ASCII)
_WEBHOOK: Final = re.compile(r"https://(?:\w+\.)?discord(?:app)?\.com/api/\S*webhooks/\d+/[\w-]+/?")


class KeysError(Stop):
    """The keys cannot be used; the message names the file and the variable, never the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalKeys:
    """What was found; None is what was not there."""

    alpaca_key_id: str | None = None
    alpaca_secret: SecretStr | None = None
    discord_webhook: SecretStr | None = None
    anthropic_key: SecretStr | None = None


def read_keys(path: Path) -> LocalKeys:
    """Read a file of keys; one that does not exist, or an empty value, is no key. Raises KeysError."""
    if not path.exists():
        return LocalKeys()
    found = dict(_variables(path))
    key_id, secret, webhook, claude = (found.get(name) for name in (KEY_ID, SECRET, WEBHOOK, CLAUDE))
    _check_alpaca(path, key_id, secret)
    if webhook and not _WEBHOOK.fullmatch(webhook):
        raise KeysError(f"{path}: {WEBHOOK} is not usable, expected https://discord.com/api/webhooks/NUMBER/TOKEN")
    if claude and not _CLAUDE.fullmatch(claude):
        raise KeysError(f"{path}: {CLAUDE} is not usable, expected a key of the Claude API (sk-ant-...)")
    return LocalKeys(
        alpaca_key_id=key_id or None,
        alpaca_secret=SecretStr(secret) if secret else None,
        discord_webhook=SecretStr(webhook) if webhook else None,
        anthropic_key=SecretStr(claude) if claude else None,
    )


def _variables(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise KeysError(f"{path}: cannot be read as text") from problem
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        if found is None:
            raise KeysError(f"{path}, line {number}: expected NAME=value")
        yield found[1], _unquoted(found[2])


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text.partition(" #")[0].strip()


def _check_alpaca(path: Path, key_id: str | None, secret: str | None) -> None:
    if not key_id and not secret:
        return
    missing = KEY_ID if not key_id else SECRET if not secret else None
    if missing is not None or key_id is None:
        raise KeysError(f"{path}: {missing} is missing, expected both {KEY_ID} and {SECRET}")
    if key_id.startswith(LIVE_KEY):
        raise KeysError(f"{path}: {KEY_ID} is a live key (AK...), and only paper keys (PK...) are taken here")
    if not key_id.startswith(PAPER_KEY):
        raise KeysError(f"{path}: {KEY_ID} is not usable, expected a paper key (PK...)")
