"""Over any path of prices: one exit of a lot at a time, each under its own generation, and no trailing stop that falls
(RSK-12)."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.intents import Intent, IntentState, Side
from tests.fakes.desk import Desk, held
from tests.fakes.venue import MINUTE, TSLA

RULES = st.fixed_dictionaries(
    {}, optional={"trailing": st.sampled_from(["0.03", "0.1"]), "take_profit": st.just("0.04")}
)
STEPS = st.lists(
    st.tuples(
        st.integers(-6, 6).map(lambda dollars: dollars or 1),
        st.integers(1, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
"""How far the next price lies from the one before, how often its tick comes, and whether an exit ends unfilled."""


@given(rules=RULES, steps=STEPS)
@settings(max_examples=60)
def test_no_path_of_prices_makes_two_exits_at_once_or_one_generation_twice(
    rules: dict[str, str], steps: list[tuple[int, int, bool]]
) -> None:
    desk = Desk(held(TSLA, "10", "100", "0.05", **rules))
    price, trailing, prepared = Decimal(100), Decimal(0), list[Intent]()
    for by, deliveries, ends in steps:
        desk.wait(MINUTE)
        price = max(price + by, Decimal(50))
        desk.set_price(TSLA, str(price))
        for _ in range(deliveries):
            desk.poll()
            prepared += desk.use.check_risk(desk.tick).prepared
        position = desk.position(TSLA)
        assert position is not None
        now_at = position.trailing_stop_price or Decimal(0)
        assert now_at >= trailing
        trailing = now_at
        open_exits = [i for i in desk.ledger.open.values() if i.side is Side.SELL and not i.rests]
        assert len(open_exits) <= 1
        for intent in open_exits if ends else ():
            gone = intent.moved_to(IntentState.ABANDONED, closed_at=desk.clock.now())
            desk.world.ledgers.save(desk.ledger.with_changed(gone))
    names = [(intent.purpose, intent.generation) for intent in prepared]
    assert len(names) == len(set(names))
    assert len({intent.id for intent in prepared}) == len(prepared)
