"""A ring of the executor's doorbell: it says "look at the Book" and nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class DoorbellRingV1(BaseModel):
    """A ring carries its version only; what is to be done stands in the Book."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: Literal[1] = 1
