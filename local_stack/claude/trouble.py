"""What goes wrong at Claude on demand, one request at a time or by a seeded chance.

By chance, what happens to a request depends on the seed, on what it says and on how often it came: never on which of
many clients was served first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import Final

from local_stack.claude.mind import Answer


class Misbehaviour(StrEnum):
    """What Claude can be told to do; see `CHARGED` for what it takes money for all the same."""

    TOO_MANY_REQUESTS = "too_many_requests"
    TOO_MANY_WITHOUT_A_TIME = "too_many_without_a_time"
    SPEND_LIMIT = "spend_limit"
    PAYMENT_REQUIRED = "payment_required"
    NO_CREDIT = "no_credit"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    GATEWAY_TIMEOUT = "gateway_timeout"
    RESET = "reset"
    HANG = "hang"
    TIMEOUT_AFTER_GENERATION = "timeout_after_generation"
    SLOW_DRIP = "slow_drip"
    RESET_MID_STREAM = "reset_mid_stream"
    CUT_STREAM = "cut_stream"
    ERROR_IN_STREAM = "error_in_stream"
    REFUSAL = "refusal"
    MAX_TOKENS = "max_tokens"
    CONTEXT_EXCEEDED = "context_exceeded"
    EMPTY = "empty"
    PROSE = "prose"
    THINKING_FIRST = "thinking_first"
    CANCELED = "canceled"
    EXPIRED = "expired"


CHARGED: Final = frozenset(
    {
        Misbehaviour.GATEWAY_TIMEOUT,
        Misbehaviour.TIMEOUT_AFTER_GENERATION,
        Misbehaviour.SLOW_DRIP,
        Misbehaviour.RESET_MID_STREAM,
        Misbehaviour.CUT_STREAM,
        Misbehaviour.ERROR_IN_STREAM,
        Misbehaviour.REFUSAL,
        Misbehaviour.MAX_TOKENS,
        Misbehaviour.CONTEXT_EXCEEDED,
        Misbehaviour.EMPTY,
        Misbehaviour.PROSE,
        Misbehaviour.THINKING_FIRST,
    }
)
"""Those that come after the model wrote; CANCELED and EXPIRED happen to requests of a batch only."""

Step = Misbehaviour | Answer | None
"""What becomes of one request; None is the ordinary."""

MESSAGES: Final = "/v1/messages"
BATCHES: Final = "/v1/messages/batches"
IN_BATCH: Final = "in a batch"
"""The place of one request inside a batch, as far as it is answered there."""


class Script:
    """What becomes of the next requests: first what was written down for their path, then chance."""

    def __init__(self) -> None:
        self._written: dict[str, deque[Step]] = defaultdict(deque)
        self._chances: Mapping[Misbehaviour, float] = {}
        self._seed = 0
        self._seen: Counter[bytes] = Counter()
        self._lock = Lock()

    def write(self, path: str, steps: tuple[Step, ...]) -> None:
        """Let these become of the next requests to a path, one each."""
        with self._lock:
            self._written[path].extend(steps)

    def by_chance(self, chances: Mapping[Misbehaviour, float], seed: int) -> None:
        """Let each become of so large a share of the other requests."""
        with self._lock:
            self._chances, self._seed = dict(chances), seed

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._written.clear()
            self._chances = {}

    def step(self, path: str, raw: bytes) -> Step:
        """Take what becomes of a request."""
        with self._lock:
            if self._written[path]:
                return self._written[path].popleft()
            return self._drawn(raw) if self._chances and path == MESSAGES else None

    def _drawn(self, raw: bytes) -> Step:
        digest = hashlib.sha256(raw).digest()
        self._seen[digest] += 1
        seed = f"{self._seed}|{self._seen[digest]}|".encode() + digest
        left = int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") / 2**64
        for kind, share in self._chances.items():
            left -= share
            if left < 0:
                return kind
        return None


def bent(kind: Misbehaviour, answer: Answer) -> Answer:
    """Let the model's answer be what a misbehaviour makes of it."""
    text = answer.text
    match kind:
        case Misbehaviour.REFUSAL:
            return Answer(text="", stop_reason="refusal", seconds=answer.seconds)
        case Misbehaviour.MAX_TOKENS:
            cut = text if text is None else text[: len(text) // 2]
            return Answer(text=cut or '{"cut', stop_reason="max_tokens", seconds=answer.seconds)
        case Misbehaviour.CONTEXT_EXCEEDED:
            return Answer(text="", stop_reason="model_context_window_exceeded", seconds=answer.seconds)
        case Misbehaviour.EMPTY:
            return Answer(text="", seconds=answer.seconds)
        case Misbehaviour.PROSE:
            body = json.dumps({"answer": 1}) if text is None else text
            return Answer(text=f"Here is what you asked for:\n{body}\nTell me if it helps.", seconds=answer.seconds)
        case Misbehaviour.THINKING_FIRST:
            return Answer(text=text, thinking="Let me weigh both sides. " * 4, seconds=answer.seconds)
        case _:
            return answer
