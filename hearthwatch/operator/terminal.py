"""Talking with the operator: questions, answers that are not shown, and lines without any secret in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from getpass import getpass
from typing import IO, Final, Protocol

from pydantic import SecretStr

from hearthwatch.operator.aws import OperatorError
from shared.bootstrap.redaction import Redactor

LONGEST_LINE: Final = 10_000


class Terminal(Protocol):
    """Where the operator sits, or where a program's lines come from."""

    @property
    def interactive(self) -> bool:
        """Say whether somebody can be asked."""
        ...

    def say(self, text: str = "") -> None:
        """Print a line."""
        ...

    def ask(self, question: str) -> str:
        """Ask for a line; raises OperatorError when none comes."""
        ...

    def ask_secret(self, question: str) -> SecretStr:
        """Ask for a line that is not shown; raises OperatorError when none comes."""
        ...

    def lines(self) -> Iterator[str]:
        """Read what was piped in."""
        ...


class Console:
    """The terminal of this process; every line passes the redactor."""

    def __init__(self, redactor: Redactor, *, given: IO[str] | None = None, out: IO[str] | None = None) -> None:
        self._redactor = redactor
        self._given = given
        self._out = out

    @property
    def interactive(self) -> bool:
        """Say whether somebody sits there."""
        return self._input.isatty()

    def say(self, text: str = "") -> None:
        """Print a line at once, so that a slow step does not hide what came before."""
        print(self._redactor.redact(text), file=self._out or sys.stdout, flush=True)

    def ask(self, question: str) -> str:
        """Ask; what is piped in answers as well."""
        print(self._redactor.redact(question), end=" ", file=self._out or sys.stdout, flush=True)
        line = self._input.readline(LONGEST_LINE)
        if not self.interactive:
            self.say()
        if not line:
            raise OperatorError("no answer: nothing more was done")
        return line.strip()

    def ask_secret(self, question: str) -> SecretStr:
        """Ask at the terminal without an echo."""
        try:
            return SecretStr(getpass(f"{question} ").strip())
        except EOFError as problem:
            raise OperatorError("no answer: nothing more was done") from problem

    def lines(self) -> Iterator[str]:
        """Read the lines that were piped in."""
        yield from self._input

    @property
    def _input(self) -> IO[str]:
        return self._given or sys.stdin


def agrees(terminal: Terminal, question: str) -> bool:
    """Ask a question whose answer is no unless somebody says yes."""
    return terminal.ask(f"{question} [y/N]").lower() in ("y", "yes")
