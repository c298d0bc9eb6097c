"""DeepSeek's chat completions, which speak OpenAI's language (TIR-02).

It knows no schema: the answer is one JSON object, and the prompt says which. It caches prompts by itself, so the price
of a model here needs a price for reading from the cache. Thinking counts as output and within `max_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from shared.adapters.chat_apis.request import Got, ReadKey, Sender, answered, refusal, tokens, unreadable
from shared.domain.journal import canonical
from shared.domain.model_prices import Usage
from shared.domain.questions import Attempt, Ending, Reply
from shared.ports.clock import Clock

BASE_URL: Final = "https://api.deepseek.com"
ENDINGS: Final = {
    "stop": Ending.COMPLETE,
    "length": Ending.TRUNCATED,
    "content_filter": Ending.REFUSED,
    "insufficient_system_resource": Ending.OVERLOADED,
}
TOO_LONG: Final = "maximum context length"
"""What its refusal of a prompt says that does not fit."""
FORM: Final = "Answer with a single JSON object that fits this JSON schema, and with nothing else:"


class DeepSeekChat:
    """Asks for one completion at a time."""

    def __init__(self, client: httpx.Client, read_key: ReadKey, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._sender = Sender(client, clock, read_key, lambda text: {"Authorization": f"Bearer {text}"})
        self._url = f"{base_url.rstrip('/')}/chat/completions"

    def ask(self, attempt: Attempt) -> Reply:
        """Send one request and wait for its end."""
        return self._sender.ask(self._url, _body(attempt), attempt, _read)


def _body(attempt: Attempt) -> Mapping[str, Any]:
    question = attempt.question
    parts = (question.system, FORM, canonical(question.schema))
    return {
        "model": attempt.model,
        "messages": [
            {"role": "system", "content": "\n\n".join(part for part in parts if part)},
            {"role": "user", "content": question.user},
        ],
        "max_tokens": attempt.most_tokens,
        "response_format": {"type": "json_object"},
        "stream": False,
    }


def _read(got: Got) -> Reply:
    if got.status != 200 or not got.body:
        return refusal(got, spent=got.status == 402, too_long=TOO_LONG)
    try:
        choice = got.body["choices"][0]
        text, reason = choice["message"].get("content") or "", choice["finish_reason"]
        if not isinstance(text, str):
            raise TypeError("the answer is no text")
    except (KeyError, IndexError, TypeError, AttributeError):
        return unreadable(_usage(got.body))
    return answered(
        ENDINGS.get(reason, Ending.OTHER_STOP) if isinstance(reason, str) else Ending.OTHER_STOP,
        text,
        _usage(got.body),
        why=reason,
        request_id=got.body.get("id"),
        model=got.body.get("model"),
    )


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """Read the counts; those of the cache are parts of the prompt's, and a total beyond ours counts what we do not."""
    counts = body.get("usage")
    try:
        if not isinstance(counts, Mapping) or "completion_tokens" not in counts:
            return None
        prompt, hit = tokens(counts, "prompt_tokens"), tokens(counts, "prompt_cache_hit_tokens")
        output = tokens(counts, "completion_tokens")
        if not prompt or tokens(counts, "total_tokens") > prompt + output:
            return None
        return Usage(input=prompt - hit, output=output, cache_read=hit)
    except ValueError:
        return None
