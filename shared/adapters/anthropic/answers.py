"""What came back from Claude: a message, whole or in the events of a stream, and how it ended (TIR-08, faults 27, 28).

Text counts as an answer only when Claude ended its turn and the text is one strict JSON object. Everything else is an
abstention, and costs what was counted all the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from shared.adapters.anthropic.counting import count
from shared.domain.model_prices import ModelId
from shared.domain.questions import Billed, Ending, Reply
from shared.domain.text import clean

DEEPEST: Final = 32
"""Levels of nesting in an answer; the schemas asked for have a handful."""
_DETAIL: Final = 200
_PRICED_BY_TOKENS: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_ENDINGS: Final[Mapping[str, Ending]] = {
    "refusal": Ending.REFUSED,
    "max_tokens": Ending.TRUNCATED,
    "model_context_window_exceeded": Ending.CONTEXT_EXCEEDED,
}


class Garbled(Exception):
    """What arrived is no message; says what is wrong with it, never what it holds."""


@dataclass(slots=True)
class Message:
    """A message as far as it has come; `blocks` are (type, text) by their place."""

    model: str = ""
    stop_reason: object = None
    stop_details: object = None
    counted_first: object = None
    counted_last: object = None
    blocks: dict[int, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def whole(cls, body: object) -> Message:
        """Read a message that came in one piece. Raises Garbled."""
        if not isinstance(body, Mapping) or not isinstance(content := body.get("content"), list):
            raise Garbled("no message with content")
        found = cls(
            model=_text(body.get("model")),
            stop_reason=body.get("stop_reason"),
            stop_details=body.get("stop_details"),
            counted_last=body.get("usage"),
        )
        for place, block in enumerate(content):
            found._open(place, block)
        return found

    def take(self, event: object) -> bool:
        """Add an event of a stream; say whether it was the last one. Raises Garbled, also for an error event."""
        if not isinstance(event, Mapping):
            raise Garbled("an event that is no object")
        match event.get("type"):
            case "message_start":
                start = _object(event, "message")
                self.model, self.counted_first = _text(start.get("model")), start.get("usage")
            case "content_block_start":
                self._open(event.get("index"), event.get("content_block"))
            case "content_block_delta":
                self._extend(event.get("index"), _object(event, "delta"))
            case "message_delta":
                delta = _object(event, "delta")
                self.stop_reason = delta.get("stop_reason", self.stop_reason)
                self.stop_details = delta.get("stop_details", self.stop_details)
                self.counted_last = event.get("usage")
            case "error":
                error = event.get("error")
                raise Garbled(f"an error inside the stream: {error_type(error)}")
            case "message_stop":
                return True
            case _:
                pass
        return False

    def _open(self, place: object, block: object) -> None:
        if not isinstance(place, int) or not isinstance(block, Mapping):
            raise Garbled("a block of content without a place")
        kind = _text(block.get("type"))
        self.blocks[place] = (kind, _text(block.get("text")) if kind == "text" else "")

    def _extend(self, place: object, delta: Mapping[str, object]) -> None:
        if not isinstance(place, int) or place not in self.blocks:
            raise Garbled("a piece of a block that never began")
        if delta.get("type") == "text_delta":
            kind, text = self.blocks[place]
            self.blocks[place] = (kind, text + _text(delta.get("text")))


def reply_of(message: Message, asked: ModelId | None, request_id: str = "") -> Reply:
    """Say how a message that came to its end ended, and what it costs.

    `asked` is the model that was asked, None when the caller compares. What another one wrote may cost anything.
    """
    counted = count(message.counted_first, message.counted_last)
    doubt = counted.doubt or _doubt(message, asked)
    text = "".join(text for _, (kind, text) in sorted(message.blocks.items()) if kind == "text")
    ending = _ending(message, text)
    return Reply(
        ending=ending,
        billed=Billed.UNKNOWN if doubt else Billed.BY_USAGE,
        text=text.encode("utf-8", "replace").decode(),
        usage=counted.usage,
        detail=clean("; ".join(part for part in (_why(message, ending), doubt) if part), _DETAIL),
        request_id=request_id,
        model=clean(message.model, 100),
    )


def is_one_object(text: str) -> bool:
    """Say whether a text is exactly one JSON object: strict, no name twice, no number out of reach, not too deep."""
    try:
        read = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return False
    return isinstance(read, dict) and _is_plain(read)


def answered_by(asked: ModelId, answered: str) -> bool:
    """Say whether a model's name is the one asked for or a dated form of it."""
    return re.fullmatch(rf"{re.escape(asked)}(-\d{{8}})?", answered, re.ASCII) is not None


def error_type(error: object) -> str:
    """Give Claude's own name for an error, "unnamed" when it has none that can be shown."""
    name = error.get("type") if isinstance(error, Mapping) else None
    return name if isinstance(name, str) and re.fullmatch(r"[a-z_]{1,60}", name) else "unnamed"


def _ending(message: Message, text: str) -> Ending:
    reason = _text(message.stop_reason)
    if reason != "end_turn":
        return _ENDINGS.get(reason, Ending.OTHER_STOP)
    if not text.strip():
        return Ending.EMPTY
    return Ending.COMPLETE if is_one_object(text) else Ending.UNREADABLE


def _why(message: Message, ending: Ending) -> str:
    if ending is Ending.COMPLETE:
        return ""
    details = message.stop_details
    category = _text(details.get("category")) if isinstance(details, Mapping) else ""
    return " ".join(part for part in (f"stopped: {_text(message.stop_reason) or 'for no reason'}", category) if part)


def _doubt(message: Message, asked: ModelId | None) -> str:
    if asked is not None and not answered_by(asked, message.model):
        return f"answered by {message.model or 'nobody'}"
    odd = {kind for kind, _ in message.blocks.values()} - _PRICED_BY_TOKENS
    return f"it holds {', '.join(sorted(odd))}" if odd else ""


def _object(event: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = event.get(name)
    if not isinstance(found, Mapping):
        raise Garbled(f"an event without its {name}")
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number out of reach")
    return number


def _is_plain(value: object) -> bool:
    """Walk level by level: no deeper than allowed, and every text fit to be stored."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        below: list[object] = []
        for part in level:
            if isinstance(part, str) and not _storable(part):
                return False
            below += _inside(part)
        if not below:
            return True
        level = below
    return False


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else ()


def _storable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
