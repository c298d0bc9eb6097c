"""The places in a run's folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.domain.errors import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """Everything a run leaves behind lies below one folder."""

    root: Path

    @property
    def state(self) -> Path:
        """Hold the saved state."""
        return self.root / "state"

    @property
    def discord(self) -> Path:
        """Hold what Discord received."""
        return self.root / "discord.jsonl"

    @property
    def mail(self) -> Path:
        """Hold what was mailed."""
        return self.root / "mail"

    @property
    def log(self) -> Path:
        """Hold what the functions logged."""
        return self.root / "functions.jsonl"

    @property
    def money(self) -> Path:
        """Hold what was spent at a real provider of models; nothing here ever clears it."""
        return self.root / "money.jsonl"

    @property
    def way_in(self) -> Path:
        """Hold the addresses of the run that goes on, while it does."""
        return self.root / "running.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder; raises Stop while another run does, because two would overwrite each other's state."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "running.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise Stop(f"a run goes on in {self.root} already: stop it, or name another --folder") from problem
            yield

    def clear(self) -> None:
        """Forget the messages and logs of an earlier run."""
        self.mail.mkdir(parents=True, exist_ok=True)
        for path in (self.discord, self.log, *self.mail.glob("*.eml")):
            path.unlink(missing_ok=True)
