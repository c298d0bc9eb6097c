"""Questions to models, and what comes back: an answer or an abstention, never anything between (TIR-01, TIR-08).

Anything but a normal end is an abstention, and an abstention is no vote. What it cost is another matter: a call that
failed after the provider began to write is paid for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.budget import DecisionId, GrantId, Reservation
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.charges import Charge
from shared.domain.errors import InvalidValue
from shared.domain.intents import CycleId
from shared.domain.journal import Plain, canonical
from shared.domain.model_prices import ModelId, Usage

MOST_TOKENS: Final = 4_096
"""What an answer may take, thinking included (TIR-08)."""
FRAME_TOKENS: Final = 512
"""What a provider adds around a request: the frame of its messages and the instruction that goes with a schema."""


class Task(StrEnum):
    """What kind of work it is; models are assigned to it as data (TIR-02)."""

    NEWS = "news"
    SENTIMENT = "sentiment"
    TECHNICAL = "technical"
    CODE = "code"
    DECISION = "decision"
    CHAT = "chat"


class Misread(Exception):
    """A model's text is not the value that was asked for; says where it differs, never the text itself."""


class Effort(StrEnum):
    """How much a model thinks before it answers."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Ending(StrEnum):
    """How an answer ended; only COMPLETE may be read."""

    COMPLETE = "complete"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    CONTEXT_EXCEEDED = "context_exceeded"
    OTHER_STOP = "other_stop"
    EMPTY = "empty"
    UNREADABLE = "unreadable"
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"
    THROTTLED = "throttled"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    SPEND_LIMIT = "spend_limit"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"


WORTH_ANOTHER_TRY: Final = frozenset(
    {Ending.THROTTLED, Ending.OVERLOADED, Ending.SERVER_ERROR, Ending.UNREACHABLE, Ending.BROKEN_OFF}
)
"""Endings after which the same rung is asked once more, under a reservation of its own (BUD-03)."""


class Billed(StrEnum):
    """What the provider takes for a call."""

    BY_USAGE = "by_usage"
    NOTHING = "nothing"
    """It certainly refused before it began, or never had the request."""
    UNKNOWN = "unknown"
    """It may have written an answer that nobody received: the whole reservation counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, independent of who answers it.

    `system` and `user` are the prompt; text from outside stands delimited in `user`. `schema` is a JSON schema that the
    answer must fit. `shared_prefix` says that `system` is the same for many questions, so that a provider may cache it.
    `urgent` False may wait for a batch. `request` names a person's explicit request, without which the dearest rung is
    never asked; `grant` an allowance. `decision` counts as one decision a day.
    """

    work: WorkId
    purpose: Purpose
    task: Task
    system: str
    user: str
    schema: Mapping[str, Plain]
    cycle: CycleId | None = None
    decision: DecisionId | None = None
    most_tokens: int = MOST_TOKENS
    least_tokens: int = 512
    effort: Effort = Effort.LOW
    shared_prefix: bool = False
    urgent: bool = True
    highest: Rung = Rung.SONNET
    request: str = ""
    grant: GrantId | None = None

    def __post_init__(self) -> None:
        if not self.user.strip():
            raise InvalidValue("question.user", self.user, "some text")
        if not 1 <= self.least_tokens <= self.most_tokens <= MOST_TOKENS:
            raise InvalidValue("question.most_tokens", self.most_tokens, f"{self.least_tokens} to {MOST_TOKENS}")
        for name, text in (("system", self.system), ("user", self.user)):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise InvalidValue(f"question.{name}", f"{len(text)} characters", "no half surrogate pair among them")

    @property
    def input_bound(self) -> int:
        """Bound the tokens of the prompt: one covers at least one byte of text, and a frame goes around it."""
        texts = (self.system, self.user, canonical(self.schema))
        return FRAME_TOKENS + sum(len(text.encode()) for text in texts)

    def key(self, model: ModelId) -> str:
        """Name this question to one model by its content: the same content is the same question (BUD-10)."""
        parts = {
            "model": model,
            "system": self.system,
            "user": self.user,
            "schema": self.schema,
            "most_tokens": self.most_tokens,
            "effort": self.effort,
        }
        return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to one model: the question, how long the answer may get, and until when it is waited for.

    `most_tokens` may be fewer than the question's own. `caches` lets the provider cache `system`, which makes the first
    such request dearer and those after it cheaper.
    """

    model: ModelId
    question: Question
    most_tokens: int
    deadline: datetime
    caches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a provider sent back for one attempt.

    `text` is the raw answer, also of an abstention. `usage` is given whenever the provider counted. `retry_after` is
    how long it asked us to wait, `detail` its own words about a failure, `request_id` its name for the request.
    """

    ending: Ending
    billed: Billed
    text: str = ""
    usage: Usage | None = None
    latency: timedelta = timedelta(0)
    retry_after: timedelta | None = None
    detail: str = ""
    request_id: str = ""
    model: str = ""
    """What the provider says that answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingBatch:
    """Requests that were handed in together and are not settled yet."""

    name: str
    provider: str
    submitted_at: datetime
    held: tuple[Reservation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung's part in an answer: asked, taken from the cache, passed over or denied, and why."""

    rung: Rung
    provider: str
    model: ModelId | None
    outcome: str
    reason: str
    charge: Charge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a question ended: the value of the rung that sufficed, or None when all abstained, and every step's reason.

    `raw` is the text behind the value.
    """

    value: Plain
    rung: Rung | None
    raw: str
    asked_at: datetime
    steps: tuple[Step, ...]
    from_cache: bool = False

    @property
    def abstained(self) -> bool:
        """Say whether no rung gave an answer that may be used."""
        return self.rung is None

    @property
    def charges(self) -> tuple[Charge, ...]:
        """Give what was charged on the way."""
        return tuple(step.charge for step in self.steps if step.charge is not None)
