"""The secrets there are: what each is for, where it comes from, and what it looks like.

A key id and its secret are one thing with two parts: they are made, tried, stored and replaced together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from hearthwatch.operator.aws import OperatorError
from shared.bootstrap.cloud import DISCORD, LIVE_KEYS, PAPER_KEYS
from shared.bootstrap.models import DEEPSEEK, GEMINI, KEYS
from shared.domain.providers import ANTHROPIC
from shared.domain.stage import LIVE_KEY, PAPER_KEY, TradingMode

Values = Mapping[str, SecretStr]
"""Secrets by name."""

_KEY_ID: Final = re.compile(r"[AP]K[A-Z0-9]{6,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKind:
    """A secret, or a key id with its secret; `mode` is the account that a pair opens.

    `without` says in a sentence what it is to go without one that is not required.
    """

    title: str
    names: tuple[str, ...]
    what_for: str
    where: str
    overlap: str
    required: bool
    without: str = ""
    mode: TradingMode | None = None


_OVERLAP: Final = (
    "Overlap: make the new pair while the old one still works, store it here, and delete the old one at Alpaca a few "
    "minutes later. Functions go on with the old pair until Alpaca refuses it, then read the new one and send the same "
    "request again. Where Alpaca lets you have one pair only, the new one ends the old one at once: do it while the "
    "market is closed, and store it right away."
)
PAPER: Final = SecretKind(
    title="Alpaca paper account",
    names=PAPER_KEYS,
    what_for="Prices and the calendar in every stage, and orders as long as the stage is paper.",
    where="app.alpaca.markets, switch to the paper account, API keys. The key id begins with PK.",
    overlap=_OVERLAP,
    required=True,
    mode=TradingMode.PAPER,
)
LIVE: Final = SecretKind(
    title="Alpaca live account",
    names=LIVE_KEYS,
    what_for=(
        "Orders with real money. Leave it out on paper: with live keys stored nothing starts until live trading is "
        "switched on twice, by `make deploy STAGE=live-1` and `make mode STAGE=live-1`."
    ),
    where="app.alpaca.markets, switch to the live account, API keys. The key id begins with AK.",
    overlap=_OVERLAP,
    required=False,
    without="Only for real money.",
    mode=TradingMode.LIVE,
)
WEBHOOK: Final = SecretKind(
    title="Discord webhook",
    names=(DISCORD,),
    what_for="Alerts. Whoever has the address can post in the channel.",
    where="The channel's settings, Integrations, Webhooks, Copy Webhook URL.",
    overlap=(
        "Overlap: make the new webhook beside the old one, store it here, and delete the old one a few minutes later. "
        "Functions post to the old one until it is gone, then read the new address and post the same message there."
    ),
    required=True,
)
_OVERLAP_OF_KEYS: Final = (
    "Overlap: make the new key beside the old one, store it here, and delete the old one a few minutes later. "
    "Functions ask with the old one until it is refused, then read the new one for the next question."
)
CLAUDE: Final = SecretKind(
    title="Claude",
    names=(KEYS[ANTHROPIC],),
    what_for="Answers to questions that the rules leave open, within the budget and never beyond it.",
    where="platform.claude.com, API keys. Set a spend limit there too: it is a second wall.",
    overlap=_OVERLAP_OF_KEYS,
    required=False,
    without="Without it the rules decide alone.",
)
_OFF: Final = "Nothing as shipped: the provider is off until it has a price and `make models ON=...` switches it on."
DEEPSEEK_KEY: Final = SecretKind(
    title="DeepSeek",
    names=(KEYS[DEEPSEEK],),
    what_for=_OFF,
    where="platform.deepseek.com, API keys.",
    overlap=_OVERLAP_OF_KEYS,
    required=False,
    without="Enter leaves it out.",
)
GEMINI_KEY: Final = SecretKind(
    title="Gemini",
    names=(KEYS[GEMINI],),
    what_for=_OFF,
    where="aistudio.google.com, Get API key.",
    overlap=_OVERLAP_OF_KEYS,
    required=False,
    without="Enter leaves it out.",
)
MODELS: Final = (CLAUDE, DEEPSEEK_KEY, GEMINI_KEY)
KINDS: Final = (PAPER, LIVE, WEBHOOK, *MODELS)
EVERY_NAME: Final = tuple(name for kind in KINDS for name in kind.names)


def kind_of(name: str) -> SecretKind:
    """Find what a name belongs to; raises OperatorError for one that is none of ours."""
    for kind in KINDS:
        if name in kind.names:
            return kind
    raise OperatorError(f"{name!r} is none of the secrets, expected one of {', '.join(EVERY_NAME)}")


def require_form(kind: SecretKind, values: Values) -> None:
    """Raise OperatorError, which names no value, for secrets that cannot be what they are given as."""
    if kind.mode is None:
        return
    slot, secret = kind.names
    key_id = values[slot].get_secret_value()
    wanted, other = (PAPER_KEY, LIVE_KEY) if kind.mode is TradingMode.PAPER else (LIVE_KEY, PAPER_KEY)
    if key_id.startswith(other):
        found = "live" if other == LIVE_KEY else "paper"
        raise OperatorError(f"{slot}: this is a {found} key, expected a {kind.mode.value} key ({wanted}...)")
    if not key_id.startswith(wanted) or not _KEY_ID.fullmatch(key_id):
        raise OperatorError(f"{slot}: not a key id, expected {wanted} and capital letters and digits")
    if _KEY_ID.fullmatch(values[secret].get_secret_value()):
        raise OperatorError(f"{secret}: this looks like a key id, expected the secret that Alpaca shows once beside it")
