"""Text from outside: whatever it holds, what is shown is visible, in order, and no longer than allowed."""

from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.assets import admit_symbol
from shared.domain.errors import InvalidValue
from shared.domain.text import MARKS, clean, escaped, shorten, width

HIDDEN = "\u202e\u202d\u2066\u2069\u200e\u200f\u200b\u200c\u200d\u2060\ufeff\u00ad\u061c\x00\x1b\x7f\ud800\ue000\ufdd0"
BLANK = "\u034f\u115f\u1160\u3164\uffa0\u2800\ufe0f\U000e0101\u180e"
STRANGE = "aA \n\t\r\u2028é\u0301\u0308\u00b4ﬁﷺⅨ가ᄀ\u1161한\u11a8😀🇺🇸…"
NASTY = st.text(alphabet=st.sampled_from(HIDDEN + BLANK + STRANGE))
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=())) | NASTY
LIMITS = st.integers(min_value=0, max_value=40)


@given(text=ANY_TEXT, limit=LIMITS, keep_lines=st.booleans())
def test_cleaning_twice_changes_nothing(text: str, limit: int, keep_lines: bool) -> None:
    once = clean(text, limit, keep_lines=keep_lines)
    assert clean(once, limit, keep_lines=keep_lines) == once


@given(text=ANY_TEXT, limit=LIMITS)
def test_clean_text_is_within_its_limit_however_characters_are_counted(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= width(shown) == len(shown.encode("utf-16-le")) // 2 <= limit


@given(text=ANY_TEXT, keep_lines=st.booleans())
def test_nothing_hidden_survives(text: str, keep_lines: bool) -> None:
    shown = clean(text, 10_000, keep_lines=keep_lines)
    rest = shown.replace("\n", "") if keep_lines else shown
    assert not {unicodedata.category(character) for character in rest} & {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
    assert not set(rest) & set(HIDDEN + BLANK)
    assert "  " not in shown
    assert shown == shown.strip()
    assert unicodedata.is_normalized("NFKC", shown)


@given(text=ANY_TEXT, limit=LIMITS)
def test_a_cut_leaves_whole_letters_of_the_text(text: str, limit: int) -> None:
    whole = clean(text, 10_000)
    cut = clean(text, limit)
    kept = cut if cut == whole or limit < 3 else cut.removesuffix("...")
    assert whole.startswith(kept)
    rest = whole[len(kept) :].lstrip(" ")
    assert cut == whole or not kept or whole[len(kept)] == " " or not unicodedata.category(rest[0]).startswith("M")


@given(text=ANY_TEXT, limit=LIMITS)
def test_an_escaped_text_fits_and_is_never_cut_within_an_escape(text: str, limit: int) -> None:
    done = escaped(text, limit, html.escape)
    assert width(done) <= limit
    assert html.escape(html.unescape(done)) == done


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("TSLA \u202egnp.exe", "TSLA gnp.exe"),
        ("TS\u200bLA\ufeff", "TSLA"),
        ("\uff34\uff33\uff2c\uff21 \u2168", "TSLA IX"),
        ("first\r\nsecond\u2028third\tfourth", "first second third fourth"),
        ("bell\x07 escape\x1b[31m null\x00", "bell escape[31m null"),
        ("no\u00a0break \u3000 wide", "no break wide"),
        ("half \ud83d of a pair", "half of a pair"),
        ("a" + "\u0315" * 50, "a" + "\u0315" * MARKS),
        ("e\u200d\u0301", "é"),
        ("", ""),
        (" \u200b ", ""),
    ],
)
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert clean(text, 100) == shown


def test_lines_are_kept_when_asked_for_and_empty_ones_never() -> None:
    assert clean(" one \r\n\n\n two\u2029three ", 100, keep_lines=True) == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("ab defg", 6, "ab..."),
        ("abcd", 2, "ab"),
        ("abcd", 0, ""),
        ("😀😀😀😀", 6, "😀..."),
        ("abq\u0301\u0308cdef", 6, "ab..."),
    ],
)
def test_a_long_text_ends_in_dots(text: str, limit: int, cut: str) -> None:
    assert shorten(text, limit) == cut


def test_a_look_alike_ticker_may_be_shown_and_is_never_a_symbol() -> None:
    cyrillic = "\u0422SLA"
    assert clean(cyrillic, 10) == cyrillic
    with pytest.raises(InvalidValue):
        admit_symbol(cyrillic)
