"""The journal: one canonical form, one chain per day, and the first bad link is named (REC-02, I7)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.intents import Reason
from shared.domain.journal import Break, Fact, Link, canonical, first_break, genesis, link_hash, next_link
from shared.domain.trading_state import Mode
from tests.unit.builders import MINUTE, NOW, TODAY

TOMORROW = NOW + timedelta(days=1)


def fact(kind: str, at: datetime = NOW, **fields: object) -> Fact:
    return Fact(kind=kind, at=at, fields=fields)


def chain(*facts: Fact) -> list[Link]:
    links: list[Link] = []
    for each in facts:
        head = links[-1] if links and links[-1].day == each.day else None
        links.append(next_link(head, each))
    return links


MORNING = chain(
    fact("quote", price=Decimal("147.86")),
    fact("stop_triggered", NOW + MINUTE, symbol="TSLA"),
    fact("order_sending", NOW + MINUTE, quantity=Decimal(10)),
    fact("order_acknowledged", NOW + MINUTE, order="b-61e69015"),
    fact("intent_closed", NOW + 2 * MINUTE, state="FILLED"),
)
ROOTS = {TODAY: MORNING[-1].hash}


def place(links: Sequence[Link], roots: dict[date, str] | None = None) -> int | None:
    """The number of the first bad link, None when the chain holds."""
    broken = first_break(links, roots)
    return None if broken is None else broken.sequence


def forged(link: Link, body: str) -> Link:
    """The link with another content and a hash that fits it."""
    return replace(link, body=body, hash=link_hash(link.day, link.sequence, link.previous, body))


class TestCanonicalForm:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
            ({"price": Decimal("147.860")}, '{"price":"147.86"}'),
            (Decimal("1E+3"), '"1000"'),
            (0.1, '"0.1"'),
            (float("nan"), '"nan"'),
            (NOW, '"2026-03-04T15:30:00Z"'),
            (NOW.astimezone(timezone(timedelta(hours=-5))), '"2026-03-04T15:30:00Z"'),
            (TODAY, '"2026-03-04"'),
            (Reason.STOP_LOSS, '"stop_loss"'),
            (Mode.HALTED, "2"),
            (frozenset({"b", "a", "c"}), '["a","b","c"]'),
            (("x", None, True, False, 7), '["x",null,true,false,7]'),
            ({Reason.ENTRY: {"x": [Decimal(1)]}}, '{"entry":{"x":["1"]}}'),
            ("Zürich – ü", '"Zürich – ü"'),
            ('"quoted"\n', '"\\"quoted\\"\\n"'),
        ],
    )
    def test_a_value_has_one_text(self, value: object, text: str) -> None:
        assert canonical(value) == text

    def test_equal_decimals_are_written_alike(self) -> None:
        assert canonical(Decimal("10.00")) == canonical(Decimal(10))

    @pytest.mark.parametrize("value", [object(), lambda: None, 1j], ids=["object", "function", "complex"])
    def test_a_value_without_a_text_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidValue):
            canonical({"field": value})

    @pytest.mark.parametrize("text", ["\ud800", "broken \udfff headline"])
    def test_half_a_surrogate_pair_from_outside_can_still_be_journaled(self, text: str) -> None:
        assert place(chain(fact("article", headline=text))) is None

    plain_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=12,
    )

    @given(plain_values)
    def test_the_text_reads_back_as_what_was_written(self, value: object) -> None:
        assert json.loads(canonical(value)) == value

    @given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
    def test_the_order_of_fields_changes_nothing(self, fields: dict[str, int]) -> None:
        assert canonical(dict(reversed(fields.items()))) == canonical(fields)


class TestLinking:
    def test_numbers_count_from_one(self) -> None:
        assert [link.sequence for link in MORNING] == [1, 2, 3, 4, 5]

    def test_the_first_link_follows_the_day_s_genesis(self) -> None:
        assert MORNING[0].previous == genesis(TODAY)

    def test_each_link_follows_the_one_before(self) -> None:
        assert [link.previous for link in MORNING[1:]] == [link.hash for link in MORNING[:-1]]

    def test_days_start_from_different_places(self) -> None:
        assert genesis(TODAY) != genesis(TOMORROW.date())

    def test_the_body_holds_schema_kind_time_and_fields(self) -> None:
        assert MORNING[1].body == (
            '{"at":"2026-03-04T15:31:00Z","fields":{"symbol":"TSLA"},"kind":"stop_triggered","schema":1}'
        )

    def test_the_hash_covers_day_number_predecessor_and_body(self) -> None:
        link = MORNING[1]
        covered = f"2026-03-04|2|{MORNING[0].hash}|{link.body}"
        assert link.hash == hashlib.sha256(covered.encode()).hexdigest()

    def test_a_fact_of_another_day_does_not_follow(self) -> None:
        with pytest.raises(InvalidValue, match=r"head\.day"):
            next_link(MORNING[-1], fact("quote", TOMORROW))

    def test_a_fact_is_dated_in_utc(self) -> None:
        with pytest.raises(InvalidValue, match=r"fact\.at"):
            fact("quote", NOW.replace(tzinfo=None))


class TestVerifying:
    def test_a_whole_chain_holds(self) -> None:
        assert first_break(MORNING, ROOTS) is None

    def test_an_empty_journal_holds(self) -> None:
        assert first_break([]) is None

    def test_two_days_hold_one_after_the_other(self) -> None:
        assert first_break([*MORNING, *chain(fact("quote", TOMORROW))], ROOTS) is None

    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
    def test_a_changed_content_is_named(self, number: int) -> None:
        link = MORNING[number - 1]
        changed = [*MORNING]
        changed[number - 1] = replace(link, body=link.body.replace("2026", "2025"))
        assert first_break(changed) == Break(day=TODAY, sequence=number, what="content and hash disagree")

    @pytest.mark.parametrize("number", [1, 2, 3, 4])
    def test_a_changed_content_with_a_fitting_hash_breaks_at_the_next(self, number: int) -> None:
        changed = [*MORNING]
        changed[number - 1] = forged(MORNING[number - 1], "{}")
        assert place(changed) == number + 1

    @pytest.mark.parametrize("number", [1, 2, 3, 4])
    def test_a_dropped_link_is_named(self, number: int) -> None:
        assert place([link for link in MORNING if link.sequence != number]) == number

    @pytest.mark.parametrize("number", [1, 2, 3, 4])
    def test_two_links_in_the_wrong_order_are_named(self, number: int) -> None:
        mixed = [*MORNING]
        mixed[number - 1], mixed[number] = mixed[number], mixed[number - 1]
        assert place(mixed) == number

    @pytest.mark.parametrize("number", [1, 3, 5])
    def test_a_link_told_twice_is_found(self, number: int) -> None:
        assert place([*MORNING[:number], MORNING[number - 1], *MORNING[number:]]) == number + 1

    def test_a_link_moved_to_another_day_is_found(self) -> None:
        moved = replace(MORNING[0], day=TOMORROW.date())
        assert first_break([moved]) == Break(
            day=TOMORROW.date(), sequence=1, what="does not follow the entry before it"
        )

    def test_a_cut_end_is_invisible_without_the_root(self) -> None:
        assert first_break(MORNING[:-1]) is None

    def test_a_cut_end_is_found_by_the_root(self) -> None:
        assert first_break(MORNING[:-1], ROOTS) == Break(day=TODAY, sequence=4, what="the day does not end on its root")

    def test_a_rewritten_day_is_found_by_the_root(self) -> None:
        assert place(chain(*(fact("quote") for _ in range(5))), ROOTS) == 5

    def test_a_link_added_after_the_root_is_found(self) -> None:
        assert place([*MORNING, next_link(MORNING[-1], fact("late"))], ROOTS) == 6

    def test_a_missing_day_is_found_by_its_root(self) -> None:
        assert first_break([], ROOTS) == Break(day=TODAY, sequence=0, what="the day does not end on its root")

    @given(st.lists(st.text(max_size=8), min_size=1, max_size=8), st.data())
    def test_any_single_changed_character_is_found_at_its_link(self, kinds: list[str], data: st.DataObject) -> None:
        links = chain(*(fact(kind) for kind in kinds))
        number = data.draw(st.integers(min_value=1, max_value=len(links)))
        link = links[number - 1]
        at = data.draw(st.integers(min_value=0, max_value=len(link.body) - 1))
        letter = data.draw(st.characters(exclude_categories=["Cs"]))
        assume(letter != link.body[at])
        links[number - 1] = replace(link, body=link.body[:at] + letter + link.body[at + 1 :])
        assert place(links) == number

    @given(st.permutations(range(5)))
    def test_every_order_but_the_true_one_is_found_where_it_first_differs(self, order: list[int]) -> None:
        assume(order != list(range(5)))
        first = next(at for at, number in enumerate(order) if at != number)
        assert place([MORNING[number] for number in order]) == first + 1

    @given(st.sets(st.integers(min_value=0, max_value=4), min_size=1))
    def test_with_the_root_every_gap_is_found(self, gone: set[int]) -> None:
        assert first_break([link for number, link in enumerate(MORNING) if number not in gone], ROOTS) is not None
