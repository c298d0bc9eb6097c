"""How another process on this machine gets into a run that is going on: a file in its folder, and its clock.

The file is there while the run is, and names addresses of this machine only. It holds no secret: whoever reaches the
loopback interface reaches the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from local_stack.loopback import LOOPBACK
from local_stack.run.folder import RunFolder
from shared.domain.errors import Stop, Unavailable

CLOCK_PATH: Final = "/clock"
_SECONDS: Final = 2.0
"""To connect and to read; asked once, because on loopback a second try finds nothing else."""


class NoRun(Stop):
    """No run goes on in a folder."""


class WayIn(BaseModel):
    """Where a run's AWS, page and stand-ins for real services are; each on this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aws: str
    page: str
    stack: str
    region: str
    stand_ins: dict[str, str]

    @field_validator("aws", "page")
    @classmethod
    def _on_this_machine(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname != LOOPBACK:
            raise ValueError(f"expected an address on {LOOPBACK}")
        return url

    @field_validator("stand_ins")
    @classmethod
    def _stand_in_on_this_machine(cls, stand_ins: dict[str, str]) -> dict[str, str]:
        for name, value in stand_ins.items():
            if name.endswith("_URL"):
                cls._on_this_machine(value)
        return stand_ins


@contextmanager
def open_to_others(folder: RunFolder, way_in: WayIn) -> Iterator[None]:
    """Leave the file in the folder for as long as the run goes on."""
    written = folder.way_in.with_suffix(".new")
    written.write_text(way_in.model_dump_json(indent=1) + "\n", encoding="utf-8")
    written.replace(folder.way_in)
    try:
        yield
    finally:
        folder.way_in.unlink(missing_ok=True)


def read_way_in(root: Path) -> WayIn:
    """Find the run of a folder; raises NoRun when none left its addresses there, or others than of this machine."""
    path = RunFolder(root=root).way_in
    try:
        return WayIn.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise NoRun(
            f"no run goes on in {root}: start one with `make run`, or name its folder with --folder"
        ) from problem
    except (OSError, ValidationError, UnicodeDecodeError) as problem:
        raise NoRun(
            f"{path} is not what a run leaves there: stop that run, delete the file, and start it anew"
        ) from problem


class RunClock:
    """The time of a run in another process."""

    def __init__(self, client: httpx.Client, way_in: WayIn) -> None:
        self._client = client
        self._url = f"{way_in.page}{CLOCK_PATH}"

    def now(self) -> datetime:
        """Ask for the run's time; raises Unavailable when it does not answer."""
        try:
            answer = self._client.get(self._url, timeout=_SECONDS).raise_for_status().json()
            at = datetime.fromisoformat(answer["now"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as problem:
            raise Unavailable(f"the run's clock does not answer ({type(problem).__name__})") from problem
        if at.tzinfo is None:
            raise Unavailable("the run's clock does not answer with a time zone")
        return at
