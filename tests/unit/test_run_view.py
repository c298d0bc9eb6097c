"""The live view and its plain lines, drawn from snapshots."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from rich.console import Console

from local_stack.run.plain_lines import lines_between, opening_lines
from local_stack.run.screen import LiveScreen, PlainScreen, Screen, screen_for
from local_stack.run.snapshot import Part, ShownAlert, ShownOrder, ShownPosition, ShownSchedule, Snapshot
from local_stack.run.view import draw
from shared.domain.coverage import Coverage
from shared.domain.trading_state import HaltReason, trading_state

MINUTE = timedelta(minutes=1)
AT = datetime(2026, 6, 10, 14, 31, tzinfo=UTC)

STOP = "TSLA at 303.10 is at or below its stop-loss of 304.00 (5 % under the entry of 320.00): selling 10.4"


def position(symbol: str, quantity: str, entry: str, last: str | None, stop: str) -> ShownPosition:
    return ShownPosition(
        symbol=symbol,
        quantity=Decimal(quantity),
        entry=Decimal(entry),
        last=None if last is None else Decimal(last),
        stop=Decimal(stop),
    )


def alert(key: str, minutes_ago: int, severity: str, channels: Sequence[str], text: str) -> ShownAlert:
    return ShownAlert(key=key, at=AT - minutes_ago * MINUTE, severity=severity, channels=channels, text=text)


def order(name: str, minutes_ago: int, symbol: str, filled: str, price: str | None, state: str) -> ShownOrder:
    return ShownOrder(
        id=name,
        at=AT - minutes_ago * MINUTE,
        symbol=symbol,
        side="sell",
        quantity=Decimal("10.4"),
        filled=Decimal(filled),
        price=None if price is None else Decimal(price),
        state=state,
    )


def every_minute(*names: str) -> list[ShownSchedule]:
    return [ShownSchedule(name=name, next_at=AT + MINUTE) for name in names]


SNAPSHOT = Snapshot(
    parts=(
        Part(name="exchange", what="simulated", is_real=False),
        Part(name="AWS", what="embedded", is_real=False),
        Part(name="Discord", what="your webhook", is_real=True),
        Part(name="mail", what="outbox", is_real=False),
    ),
    stage="PAPER",
    account="11111111-2222-4333-8444-555555555555",
    speed="60x",
    now=AT,
    session="open until 16:00",
    ticks=62,
    ticks_in_all=391,
    positions=(
        position("TSLA", "10.4", "320", "305.12", "304"),
        position("NVDA", "25", "140.5", "151.2", "112.4"),
        position("BRK.B", "3", "480", None, "384"),
    ),
    coverage=Coverage(Decimal(0), Decimal("92.19"), Decimal("7.81")),
    state=trading_state([HaltReason.STALE_DATA]),
    cash=Decimal("25000.5"),
    equity=Decimal("33123.456"),
    alerts=(
        alert("a", 20, "warning", ["discord"], "Trading state REDUCING, level DATA_STALE; reasons: stale_data"),
        alert("b", 9, "critical", ["discord", "email"], STOP),
        alert("c", 0, "info", [], "KO [bold]moved[/bold]\n-22.00 %"),
    ),
    orders=(
        order("1", 9, "TSLA", "10.4", "302.4471", "filled"),
        order("2", 0, "MRNA", "0", None, "partially_filled"),
    ),
    schedules=(
        *every_minute("reconcile_orders", "poll_prices", "check_risk"),
        ShownSchedule(name="archive_prices", next_at=AT + 29 * MINUTE),
        ShownSchedule(name="prepare_session", next_at=AT + timedelta(hours=21, minutes=59)),
    ),
    page="http://127.0.0.1:8642",
    models="$0.0029 of $5.00 today",
)

NARROW = """\
Hearthwatch  PAPER   Wed 2026-06-10 10:31 New York, 14:31 UTC  60x
Session open until 16:00; tick 62 of 391; account 11111111...
exchange simulated  AWS embedded  Discord your webhook (real)  mail outbox
Trading REDUCING (DATA STALE): stale data  Models $0.0029 of $5.00 today
Cash $25,000.50  Equity $33,123.46  Coverage % broker 0, software 92, none 8

held   quantity   entry      last    stop  to stop      P/L  covered by
TSLA       10.4  320.00    305.12  304.00    0.4 %  -154.75  software
NVDA         25  140.50    151.20  112.40   25.7 %  +267.50  software
BRK.B         3  480.00  no price  384.00        -        -  nothing

told   severity  by              what
10:31  info      nobody yet      KO [bold]moved[/bold] -22.00 %
10:22  critical  discord, email  TSLA at 303.10 is at or below its stop-loss …
10:11  warning   discord         Trading state REDUCING, level DATA_STALE; re…

ordered  symbol  order      filled   price  state
10:31    MRNA    sell 10.4       0       -  partially filled
10:22    TSLA    sell 10.4    10.4  302.45  filled

Next 10:32 3 functions; 11:00 archive_prices; Thu 08:30 prepare_session
Messages: http://127.0.0.1:8642  Ctrl-C stops and keeps the state
"""

WIDE = """\
Hearthwatch  PAPER   Wed 2026-06-10 10:31 New York, 14:31 UTC  60x
Session open until 16:00; tick 62 of 391; account 11111111-2222-4333-8444-555555555555
exchange simulated  AWS embedded  Discord your webhook (real)  mail outbox
Trading REDUCING (DATA STALE): stale data  Models $0.0029 of $5.00 today
Cash $25,000.50  Equity $33,123.46  Coverage % broker 0, software 92, none 8

held   quantity   entry      last    stop  to stop      P/L  covered by
TSLA       10.4  320.00    305.12  304.00    0.4 %  -154.75  software
NVDA         25  140.50    151.20  112.40   25.7 %  +267.50  software
BRK.B         3  480.00  no price  384.00        -        -  nothing

told   severity  by              what
10:31  info      nobody yet      KO [bold]moved[/bold] -22.00 %
10:22  critical  discord, email  TSLA at 303.10 is at or below its stop-loss of 304.00 (5 % under the entry of 320.00…
10:11  warning   discord         Trading state REDUCING, level DATA_STALE; reasons: stale_data

ordered  symbol  order      filled   price  state
10:31    MRNA    sell 10.4       0       -  partially filled
10:22    TSLA    sell 10.4    10.4  302.45  filled

Next 10:32 reconcile_orders, poll_prices, check_risk; 11:00 archive_prices; Thu 08:30 prepare_session
Messages: http://127.0.0.1:8642  Ctrl-C stops and keeps the state
"""


def drawn(snapshot: Snapshot, width: int, height: int) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(draw(snapshot, width, height))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize(("width", "height", "golden"), [(80, 24, NARROW), (120, 40, WIDE)], ids=["80x24", "120x40"])
def test_the_view_is_laid_out_as_drawn_here(width: int, height: int, golden: str) -> None:
    assert drawn(SNAPSHOT, width, height) == golden


def crowded() -> Snapshot:
    return replace(
        SNAPSHOT,
        positions=[*SNAPSHOT.positions] * 10,
        alerts=[replace(SNAPSHOT.alerts[1], key=str(n)) for n in range(50)],
        orders=[replace(SNAPSHOT.orders[0], id=str(n)) for n in range(50)],
        errors=["poll_prices: Unavailable: the price source did not answer " * 5],
    )


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("height", [24, 30, 40, 60])
@pytest.mark.parametrize("snapshot", [SNAPSHOT, crowded()], ids=["ordinary", "crowded"])
def test_the_view_never_leaves_the_screen(snapshot: Snapshot, width: int, height: int) -> None:
    lines = drawn(snapshot, width, height).splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) <= width


def test_the_newest_stays_when_there_is_no_room() -> None:
    alerts = [replace(SNAPSHOT.alerts[1], key=str(n), text=f"number {n}") for n in range(50)]
    shown = drawn(replace(SNAPSHOT, alerts=alerts), 80, 24)
    assert "number 49" in shown
    assert "number 1 " not in shown


def test_left_out_positions_are_counted() -> None:
    shown = drawn(replace(SNAPSHOT, positions=[*SNAPSHOT.positions] * 3), 80, 24)
    assert "held (+4)" in shown


def test_an_empty_run_says_nothing_three_times() -> None:
    empty = replace(SNAPSHOT, positions=(), alerts=(), orders=(), state=None, coverage=None)
    assert drawn(empty, 80, 24).count("nothing\n") == 3
    assert "not judged yet" in drawn(empty, 80, 24)


def test_an_error_takes_the_last_line() -> None:
    shown = drawn(replace(SNAPSHOT, errors=("one", "check_risk: no table")), 80, 24)
    assert shown.splitlines()[-1] == "Errors 2, last: check_risk: no table"


# plain lines


def test_plain_lines_open_with_what_is_real() -> None:
    assert opening_lines(SNAPSHOT) == [
        "Hearthwatch PAPER, account 11111111-2222-4333-8444-555555555555, 60x",
        "exchange: simulated",
        "AWS: embedded",
        "Discord: your webhook (real)",
        "mail: outbox",
        "messages: http://127.0.0.1:8642",
    ]


def test_the_first_snapshot_tells_everything_there_is() -> None:
    assert lines_between(None, SNAPSHOT) == [
        "2026-06-10 10:31 session open until 16:00",
        "2026-06-10 10:31 trading state REDUCING, level DATA_STALE; reasons: stale_data",
        "2026-06-10 10:31 order sell 10.4 TSLA: filled, 10.4 filled at 302.4471",
        "2026-06-10 10:31 order sell 10.4 MRNA: partially filled",
        "2026-06-10 10:31 alert warning (discord): Trading state REDUCING, level DATA_STALE; reasons: stale_data",
        f"2026-06-10 10:31 alert critical (discord, email): {STOP}",
        "2026-06-10 10:31 alert info (nobody yet): KO [bold]moved[/bold] -22.00 %",
        "2026-06-10 10:31 tick 62 of 391: 3 held, cash $25,000.50, equity $33,123.46, "
        "coverage 0 % broker, 92 % software, 8 % none, models $0.0029 of $5.00 today",
    ]


def test_a_tick_in_which_nothing_happened_says_nothing() -> None:
    assert lines_between(SNAPSHOT, replace(SNAPSHOT, now=AT + MINUTE, ticks=63)) == []


def test_only_what_is_new_or_changed_is_told() -> None:
    after = replace(
        SNAPSHOT,
        now=AT + MINUTE,
        state=trading_state([]),
        alerts=(*SNAPSHOT.alerts[:2], replace(SNAPSHOT.alerts[2], channels=("discord",))),
        orders=(SNAPSHOT.orders[0], order("2", 0, "MRNA", "10.4", "31.2", "filled")),
        errors=("check_risk: no table",),
    )
    assert lines_between(SNAPSHOT, after) == [
        "2026-06-10 10:32 trading state ACTIVE, level NORMAL; reasons: none",
        "2026-06-10 10:32 order sell 10.4 MRNA: filled, 10.4 filled at 31.2",
        "2026-06-10 10:32 alert info (discord): KO [bold]moved[/bold] -22.00 %",
        "2026-06-10 10:32 error: check_risk: no table",
    ]


def test_every_half_hour_says_how_things_stand() -> None:
    times = [AT + n * MINUTE for n in range(90)]
    snapshots = [replace(SNAPSHOT, now=at) for at in times]
    told = [lines_between(one, other) for one, other in pairwise(snapshots)]
    assert [line[11:16] for lines in told for line in lines] == ["11:00", "11:30", "12:00"]


# which of the two


@pytest.mark.parametrize(
    ("terminal", "environment", "plain", "kind"),
    [
        (True, {"TERM": "xterm-256color"}, False, LiveScreen),
        (True, {"TERM": "xterm-256color"}, True, PlainScreen),
        (True, {"TERM": "dumb"}, False, PlainScreen),
        (True, {"TERM": "xterm-256color", "NO_COLOR": "1"}, False, PlainScreen),
        (False, {"TERM": "xterm-256color"}, False, PlainScreen),
    ],
    ids=["a terminal", "lines wanted", "a dumb terminal", "no colour", "a pipe"],
)
def test_what_cannot_be_drawn_on_gets_lines(
    terminal: bool, environment: dict[str, str], plain: bool, kind: type[Screen]
) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, _environ=environment)
    assert type(screen_for(console, plain=plain)) is kind


def test_a_plain_screen_opens_once_and_tells_each_thing_once() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with screen_for(console, plain=True) as screen:
        screen.show(SNAPSHOT)
        screen.show(SNAPSHOT)
    assert isinstance(console.file, io.StringIO)
    told = console.file.getvalue().splitlines()
    assert told == [*opening_lines(SNAPSHOT), *lines_between(None, SNAPSHOT)]


def test_a_live_screen_is_drawn_in_one_piece_and_left_behind() -> None:
    console = Console(
        file=io.StringIO(), width=80, height=24, force_terminal=True, _environ={"TERM": "xterm"}, color_system=None
    )
    with screen_for(console, plain=False) as screen:
        screen.show(SNAPSHOT)
    assert isinstance(console.file, io.StringIO)
    written = console.file.getvalue()
    assert written.startswith("\x1b[?1049h")
    assert written.endswith("\x1b[?25h\x1b[?1049l")
    assert "\x1b[2J" not in written  # a screen that is cleared first flickers
    assert "Session open until 16:00" in written
