"""A message as Discord takes it: within its limits, and with nothing in it that acts.

Text goes into an embed, where links are not unfurled and mentions do not ping; only the headline is outside of it,
because that is what a phone shows. Everything is escaped all the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

from shared.domain.alerts import Severity
from shared.domain.messages import Message
from shared.domain.text import escaped, width

USERNAME: Final = "Hearthwatch"
CONTENT_LIMIT: Final = 2000
TITLE_LIMIT: Final = 256
DESCRIPTION_LIMIT: Final = 4096
FIELDS_LIMIT: Final = 25
NAME_LIMIT: Final = 256
VALUE_LIMIT: Final = 1024
EMBED_LIMIT: Final = 6000
"""All texts of all embeds of one message together."""
SHORT_VALUE: Final = 40
"""Fields up to this long stand beside each other."""

_COLORS: Final = {Severity.INFO: 0x3498DB, Severity.WARNING: 0xF1C40F, Severity.CRITICAL: 0xE74C3C}
_NO_MENTIONS: Final[dict[str, list[str]]] = {"parse": []}
_SUPPRESS_EMBEDS: Final = 1 << 2
_MARKDOWN: Final = re.compile(r"[\\*_~`|>#\[\]<]|(?<=:)/(?=/)|(?<=\w)\.(?=[^\W\d_])|^[-+](?=\s)|^\d+(?=\.\s)", re.M)
"""What formats, links or mentions: an address loses its slashes' and its dots' meaning, a number keeps its dot."""
_AT: Final = "@\u200b"
"""An at sign that begins no mention."""


def body_of(message: Message) -> dict[str, Any]:
    """Lay a message out: the headline as content, everything else in one embed."""
    title, description = _fit(message.title, TITLE_LIMIT), _fit("\n\n".join(message.lines), DESCRIPTION_LIMIT)
    embed = {
        "title": title,
        "description": description,
        "color": _COLORS[message.severity],
        "timestamp": message.when,
        "fields": _fields_of(message, EMBED_LIMIT - width(title) - width(description) - width(message.stage)),
        "footer": {"text": message.stage},
    }
    content = _fit(message.headline, CONTENT_LIMIT)
    return {"username": USERNAME, "content": content, "embeds": [embed], "allowed_mentions": _NO_MENTIONS}


def plain_body_of(message: Message) -> dict[str, Any]:
    """Lay a message out as one plain text, for when Discord takes no other."""
    return {
        "username": USERNAME,
        "content": _fit(message.plain, CONTENT_LIMIT),
        "flags": _SUPPRESS_EMBEDS,
        "allowed_mentions": _NO_MENTIONS,
    }


def escape(text: str) -> str:
    """Take the meaning from everything that Discord would format, link or mention."""
    return _MARKDOWN.sub(_with_backslash, text).replace("@", _AT)


def _fields_of(message: Message, room: int) -> list[dict[str, Any]]:
    """Share the room that the embed has left among the fields; what one does not need the others get."""
    fields = []
    shown = message.fields[:FIELDS_LIMIT]
    for place, field in enumerate(shown):
        share = room // (len(shown) - place)
        name = _fit(field.name, min(NAME_LIMIT, share // 2))
        value = _fit(field.value, min(VALUE_LIMIT, share - width(name)))
        fields.append({"name": name, "value": value, "inline": len(value) <= SHORT_VALUE})
        room -= width(name) + width(value)
    return fields


def _with_backslash(match: re.Match[str]) -> str:
    found = match.group()
    return f"{found}\\" if found.isdecimal() else f"\\{found}"


def _fit(text: str, limit: int) -> str:
    return escaped(text, limit, escape)
