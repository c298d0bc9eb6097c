"""Any bars at all, invented by hypothesis: gaps, wild prints, minutes without trades, splits and dividends."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.end_to_end.checker import check_replay
from tests.end_to_end.expected import MINUTE, Holding, market, session
from tests.end_to_end.replaying import replay

DAYS = (date(2026, 3, 5), date(2026, 3, 6), date(2026, 3, 9))
"""A Thursday, a Friday and, after New York's clocks went forward, a Monday."""
STEPS = st.sampled_from([0, 0, 0, 0, 1, -1, 1, -1, 2, -3, 6, -6, -12, 25, -25, 40, -45, None])
"""How many dollars the next bar's close lies from the one before; None is a step without a trade."""
LOSSES = st.sampled_from(["0.01", "0.05", "0.10", "0.20", "0.50"])
ACTIONS = st.sampled_from(["split,2,", "split,0.5,", "dividend,,1", "dividend,,8"])
QUANTITIES = st.sampled_from(["1", "10", "10.4", "3.7", "0.000000002", "333"])


def closes(steps: list[int | None], start: int) -> list[int | None]:
    """Add the steps up, staying between 20 and 400 dollars; None stays None."""
    levels = accumulate((step or 0 for step in steps), lambda at, step: min(400, max(20, at + step)), initial=start)
    return [None if step is None else level for step, level in zip(steps, list(levels)[1:], strict=True)]


@given(
    steps=st.lists(st.lists(STEPS, min_size=1, max_size=14), min_size=1, max_size=3),
    minutes=st.sampled_from([1, 5, 15]),
    action=st.none() | ACTIONS,
    loss=LOSSES,
    above=st.integers(min_value=-10, max_value=30),
    quantity=QUANTITIES,
)
@settings(max_examples=60)
def test_every_replay_agrees_with_the_reckoning(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[list[int | None]],
    minutes: int,
    action: str | None,
    loss: str,
    above: int,
    quantity: str,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    bars_at, step = folder / "bars", minutes * MINUTE
    bars_at.mkdir()
    prices = closes([0, *(each for day in steps for each in day)], 100)[1:]
    lines, rest = ["ts,open,high,low,close,volume"], iter(prices)
    for day, moves in zip(DAYS, steps, strict=False):
        opens, _ = session(day)
        for number, _ in enumerate(moves):
            price = next(rest)
            if price is not None:
                stamp = (opens + number * step).strftime("%Y-%m-%dT%H:%M:%SZ")
                lines.append(f"{stamp},{price},{price + 1},{price - 1},{price},1000000")
    # bars in a row tell the length of a bar, and every day trades on after a breach
    for day in DAYS[: len(steps)]:
        opens, _ = session(day)
        late = [opens + (20 + extra) * step for extra in range(5)]
        lines += [f"{at.strftime('%Y-%m-%dT%H:%M:%SZ')},100,101,99,100,1000000" for at in late]
    lines[1:] = sorted(lines[1:])
    (bars_at / "TSLA.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    actions: Path | None = None
    if action is not None:
        actions = bars_at / "corporate_actions.csv"
        text = f"symbol,ex_date,type,ratio,cash_amount\nTSLA,{DAYS[1]},{action}\n"
        actions.write_text(text, encoding="utf-8")
    bars = market(bars_at, ("TSLA",), step, str(DAYS[0]), str(DAYS[-1]), actions=actions)
    held = [Holding(symbol="TSLA", quantity=Decimal(quantity), entry=Decimal(100 + above), loss=Decimal(loss))]
    report = replay(folder, "--bars", bars_at, holdings=held)
    check_replay(report, bars, held)
