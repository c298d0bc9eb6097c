"""Gemini's generateContent (TIR-02).

The key travels in a header, never in the address. Thinking counts as output and within `maxOutputTokens`. Google
charges nothing for a request that failed with a status of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from shared.adapters.chat_apis.request import Got, ReadKey, Sender, answered, refusal, said, tokens, unreadable
from shared.domain.model_prices import Usage
from shared.domain.questions import Attempt, Ending, Reply
from shared.ports.clock import Clock

BASE_URL: Final = "https://generativelanguage.googleapis.com"
ENDINGS: Final = {
    "STOP": Ending.COMPLETE,
    "MAX_TOKENS": Ending.TRUNCATED,
    "SAFETY": Ending.REFUSED,
    "RECITATION": Ending.REFUSED,
    "BLOCKLIST": Ending.REFUSED,
    "PROHIBITED_CONTENT": Ending.REFUSED,
    "SPII": Ending.REFUSED,
    "LANGUAGE": Ending.REFUSED,
}
TOO_LONG: Final = "exceeds the maximum number of tokens"
"""What its refusal of a prompt says that does not fit."""


class GeminiContent:
    """Asks for one candidate at a time."""

    def __init__(self, client: httpx.Client, read_key: ReadKey, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._sender = Sender(client, clock, read_key, lambda text: {"x-goog-api-key": text})
        self._models = f"{base_url.rstrip('/')}/v1beta/models"

    def ask(self, attempt: Attempt) -> Reply:
        """Send one request and wait for its end."""
        url = f"{self._models}/{quote(attempt.model, safe='')}:generateContent"
        return self._sender.ask(url, _body(attempt), attempt, _read)


def _body(attempt: Attempt) -> Mapping[str, Any]:
    question = attempt.question
    system = {"systemInstruction": {"parts": [{"text": question.system}]}} if question.system else {}
    return {
        **system,
        "contents": [{"role": "user", "parts": [{"text": question.user}]}],
        "generationConfig": {
            "candidateCount": 1,
            "maxOutputTokens": attempt.most_tokens,
            "responseMimeType": "application/json",
            "responseJsonSchema": question.schema,
        },
    }


def _read(got: Got) -> Reply:
    if got.status != 200 or not got.body:
        return refusal(got, spent=got.status == 402, too_long=TOO_LONG)
    usage = _usage(got.body)
    try:
        ending, text, reason = _candidate(got.body)
    except (KeyError, IndexError, TypeError, AttributeError):
        return unreadable(usage)
    return answered(
        ending,
        text,
        usage,
        why=reason,
        request_id=got.body.get("responseId"),
        model=got.body.get("modelVersion"),
    )


def _candidate(body: Mapping[str, Any]) -> tuple[Ending, str, str]:
    """Give how the first candidate ended, its text without its thoughts, and Google's word for the end."""
    feedback = body.get("promptFeedback", {})
    if blocked := feedback.get("blockReason"):
        return Ending.REFUSED, "", said(blocked)
    candidate = body["candidates"][0]
    reason = candidate["finishReason"]
    parts: Sequence[Mapping[str, Any]] = candidate.get("content", {}).get("parts", [])
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    return (ENDINGS.get(reason, Ending.OTHER_STOP), text, said(reason))


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """Read the counts: the prompt's include what was read from the cache, the answer's leave its thoughts out.

    A total beyond these counts something that we do not know the price of.
    """
    counts = body.get("usageMetadata")
    try:
        if not isinstance(counts, Mapping) or "promptTokenCount" not in counts:
            return None
        cached = tokens(counts, "cachedContentTokenCount")
        prompt = tokens(counts, "promptTokenCount") + tokens(counts, "toolUsePromptTokenCount")
        output = tokens(counts, "candidatesTokenCount") + tokens(counts, "thoughtsTokenCount")
        if not prompt or tokens(counts, "totalTokenCount") > prompt + output:
            return None
        return Usage(input=prompt - cached, output=output, cache_read=cached)
    except ValueError:
        return None
