"""Text from outside, made fit to be shown: nothing hidden, nothing that reorders, and no longer than there is room for.

For shown text only. A look-alike letter stays what it is, and compatibility forms become the plain letter, so cleaned
text must never become a symbol: symbols come from `admit_symbol` alone. Lengths count UTF-16 units, the strictest way
in which anybody counts characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

DOTS: Final = "..."
"""Ends a text that was cut; three full stops, because normalising turns the one-character ellipsis into them."""
MARKS: Final = 4
"""Combining marks kept on one letter; every living script does with fewer, and more climb over the lines above."""

_FORBIDDEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
"""Controls, formats (bidi controls and zero-width characters among them), and what is no character at all."""
_LINE_ENDS: Final = frozenset({"\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"})
_BLANK: Final = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
    | {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
"""Letters and marks that show nothing: fillers, joiners and variation selectors."""


def clean(text: str, limit: int, *, keep_lines: bool = False) -> str:
    """Normalise (NFKC), drop what is hidden, make white space single spaces, and cut to `limit`.

    With `keep_lines` line ends stay, one at a time. Cleaning twice changes nothing.
    """
    shown = unicodedata.normalize("NFKC", _visible(unicodedata.normalize("NFKC", text)))
    lines = [" ".join(line.split()) for line in shown.split("\n")]
    return shorten(("\n" if keep_lines else " ").join(line for line in lines if line), limit)


def shorten(text: str, limit: int) -> str:
    """Cut to `limit`, the dots included; a letter keeps its combining marks or goes with them."""
    if width(text) <= limit:
        return text
    dots = DOTS if limit >= len(DOTS) else ""
    end = _end_within(text, limit - len(dots))
    while end and unicodedata.category(text[end]).startswith("M"):
        end -= 1
    return text[:end].rstrip() + dots


def escaped(text: str, limit: int, escape: Callable[[str], str]) -> str:
    """Escape as much of a text as fits into `limit` once it is escaped; `escape` never makes a text shorter."""
    room = limit
    while width(done := escape(shorten(text, room))) > limit:
        room -= max(1, (width(done) - limit) // 8)
    return done


def width(text: str) -> int:
    """Count UTF-16 units."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        if character in _LINE_ENDS:
            character = "\n"
        elif character.isspace():
            character = " "
        elif unicodedata.category(character) in _FORBIDDEN or ord(character) in _BLANK:
            continue
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks <= MARKS:
            kept.append(character)
    return "".join(kept)


def _end_within(text: str, units: int) -> int:
    """Find how many characters fit into so many UTF-16 units."""
    for place, character in enumerate(text):
        units -= 2 if character > "\uffff" else 1
        if units < 0:
            return place
    return len(text)
