"""Claude's part in a run: the real one with a person's key, or one on this machine that costs nothing.

Decided: only a run in the present asks the real one. In a run over bars days pass in minutes, and a limit of so many
dollars a day would come again with each of them. Bars may be older than the shipped prices, so such a run has the
newest of them in force from its beginning on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from local_stack.claude.mind import Answer, fill_schema
from local_stack.claude.server import ClaudeServer
from local_stack.run.snapshot import Part
from shared.bootstrap.models import KEYS
from shared.contracts.model_prices import priced, read_price_rows
from shared.domain.model_prices import STARTING_PRICES, PriceRow
from shared.domain.money import plain
from shared.domain.providers import ANTHROPIC
from shared.ports.clock import Clock

SECRET: Final = KEYS[ANTHROPIC]
ADDRESS: Final = "HEARTHWATCH_ANTHROPIC_URL"
PLAYED: Final = Part(name="Claude", what="played", is_real=False)
REAL: Final = Part(name="Claude", what="your key", is_real=True)
_PRICES: Final = ("input", "output", "cache_read", "cache_write")
_DAY: Final = timedelta(days=1)


def prices_from(day: date) -> str:
    """Write the shipped prices without an end as rows in force since before a day, for the template's parameter."""
    newest = [row for row in STARTING_PRICES.rows if row.since is not None and row.until is None]
    return json.dumps([_written(row, day - _DAY) for row in newest], separators=(",", ":"))


def played_claude(clock: Clock, prices: str) -> ClaudeServer:
    """Make a Claude that charges by the shipped prices and the rows beside them."""
    rows = read_price_rows(prices) if prices else ()
    claude = ClaudeServer(clock, prices=priced(STARTING_PRICES, rows))
    claude.answer_with(speak)
    return claude


def speak(body: Mapping[str, Any]) -> Answer:
    """Answer a person's question with a sentence that nobody takes for a model's, all else as its schema says."""
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema") or {}
    if list(schema.get("properties", {})) != ["answer"]:
        return fill_schema(body)
    asked = sum(len(str(message["content"])) for message in body["messages"])
    told = f"Played on this machine by no model: {body['model']} was asked with {asked:,} characters."
    return Answer(text=json.dumps({"answer": told}))


def _written(row: PriceRow, since: date) -> dict[str, str]:
    written = {"model": row.model, "since": since.isoformat()}
    if row.longest_prompt is not None:
        written["longest_prompt"] = str(row.longest_prompt)
    given = {name: getattr(row, name) for name in _PRICES}
    return written | {name: plain(price) for name, price in given.items() if price is not None}
