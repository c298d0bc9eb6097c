"""What Claude counted, read so that a call is never thought cheaper than it was.

A stream counts twice, at its start and at its end, where the counts are totals: the larger one of each kind holds.
Where the tokens of a request may not be all that is billed, the doubt is named, and the caller takes the bound that
was reserved: tools that run at the provider, another model that stepped in, a faster or a reserved tier, and cache
entries that live for an hour cost more than the prices of tokens say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from shared.domain.model_prices import Usage

MOST: Final = 100_000_000
"""More tokens than any model takes; a count beyond it is no count."""
_ANYWHERE: Final = frozenset({None, "global", "not_available"})
_HOUR: Final = "ephemeral_1h_input_tokens"

_Counts = dict[str, int]


class Counted(NamedTuple):
    """The tokens of a call, None when they cannot be read, and why they may not be all that it costs."""

    usage: Usage | None
    doubt: str = ""


class _Unreadable(Exception):
    """A count that is none."""


def count(first: object, last: object) -> Counted:
    """Read the counts at the start of a message, which may be missing, and those at its end, which must be whole."""
    blocks = [block for block in (first, last) if isinstance(block, Mapping)]
    try:
        if not isinstance(last, Mapping) or "output_tokens" not in _kinds(last):
            return Counted(None, "the answer came without its count of tokens")
        found = _largest([_kinds(block) for block in blocks] + [_together(_iterations(block)) for block in blocks])
        if "input_tokens" not in found:
            return Counted(None, "the answer came without its count of tokens")
        doubt = next((reason for block in blocks if (reason := _doubt(block))), "")
    except _Unreadable as problem:
        return Counted(None, f"the count of tokens cannot be read: {problem}")
    usage = Usage(
        input=found["input_tokens"],
        output=found["output_tokens"],
        cache_read=found.get("cache_read_input_tokens", 0),
        cache_write=found.get("cache_creation_input_tokens", 0),
        batch=any(block.get("service_tier") == "batch" for block in blocks),
        in_one_country=any(block.get("inference_geo") not in _ANYWHERE for block in blocks),
    )
    return Counted(usage, doubt)


def _kinds(block: Mapping[str, object]) -> _Counts:
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    found = {name: _number(name, block[name]) for name in names if block.get(name) is not None}
    written = block.get("cache_creation")
    if isinstance(written, Mapping):
        whole = sum(_number(name, tokens) for name, tokens in written.items() if tokens is not None)
        found["cache_creation_input_tokens"] = max(whole, found.get("cache_creation_input_tokens", 0))
    return found


def _iterations(block: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    listed = block.get("iterations") or ()
    if not isinstance(listed, list | tuple) or not all(isinstance(entry, Mapping) for entry in listed):
        raise _Unreadable("iterations")
    return listed


def _together(parts: Sequence[Mapping[str, object]]) -> _Counts:
    total: _Counts = {}
    for part in parts:
        for name, tokens in _kinds(part).items():
            total[name] = total.get(name, 0) + tokens
    return total


def _largest(found: Sequence[_Counts]) -> _Counts:
    return {name: max(counts.get(name, 0) for counts in found) for counts in found for name in counts}


def _doubt(block: Mapping[str, object]) -> str:
    tools = block.get("server_tool_use")
    if isinstance(tools, Mapping) and any(tools.values()):
        return "tools ran at the provider"
    if block.get("service_tier") not in (None, "standard", "batch"):
        return f"it ran at the tier {block['service_tier']}"
    if block.get("speed") not in (None, "standard"):
        return f"it ran at the speed {block['speed']}"
    written = block.get("cache_creation")
    if isinstance(written, Mapping) and written.get(_HOUR):
        return "it was cached for an hour"
    if any(entry.get("type") != "message" or entry.get("model") for entry in _iterations(block)):
        return "other requests ran inside it"
    return ""


def _number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise _Unreadable(name)
    return value
