"""Where a run is shown: drawn over and over on a terminal, or told line by line elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live

from local_stack.run.plain_lines import lines_between, opening_lines
from local_stack.run.snapshot import Snapshot
from local_stack.run.view import draw

DUMB: Final = frozenset({"dumb", "unknown"})


class Screen(Protocol):
    """Shows snapshots in their order."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show how the run stands."""
        ...

    def say(self, text: str) -> None:
        """Tell something about the run itself."""
        ...


class LiveScreen:
    """The terminal's second screen, redrawn in one piece; what is said stays on it only until the next snapshot."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot over the one before."""
        width, height = self._console.size
        self._live.update(draw(snapshot, width, height), refresh=True)

    def say(self, text: str) -> None:
        """Show a text until the next snapshot."""
        self._live.update(text, refresh=True)


class PlainScreen:
    """Lines on any output, each as soon as it happened."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: Snapshot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        """Tell what happened since the snapshot before."""
        opening = opening_lines(snapshot) if self._shown is None else []
        for line in (*opening, *lines_between(self._shown, snapshot)):
            self.say(line)
        self._shown = snapshot

    def say(self, text: str) -> None:
        """Print a line at once."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()


def screen_for(console: Console, *, plain: bool) -> Screen:
    """Draw on a terminal that can be drawn on, unless plain lines are wanted or colour is refused."""
    drawable = console.is_terminal and not console.is_dumb_terminal and not console.no_color
    return PlainScreen(console) if plain or not drawable else LiveScreen(console)
