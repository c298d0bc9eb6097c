"""How DeepSeek and Gemini speak on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from shared.adapters.chat_apis.deepseek import DeepSeekChat
from shared.adapters.chat_apis.gemini import GeminiContent
from shared.domain.model_prices import DEEPSEEK, GEMINI
from shared.ports.clock import Clock
from shared.ports.models import Model
from tests.fakes.scripted_http import Step, reply

JSON = "application/json; charset=utf-8"


def client() -> httpx.Client:
    return httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)


class DeepSeekWire:
    """DeepSeek's chat completions, which are preceded by blank lines while it is busy."""

    name = "deepseek"
    asked = DEEPSEEK
    content_type = JSON

    def model(self, url: str, key: str, clock: Clock) -> Model:
        return DeepSeekChat(client(), lambda _: key, clock, base_url=url)

    def complete(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, text, "stop", self.counts(input_tokens, output_tokens))

    def truncated(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, text, "length", self.counts(input_tokens, output_tokens))

    def refused(self, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, "", "content_filter", self.counts(input_tokens, output_tokens))

    def uncounted(self, text: str) -> Step:
        return self._answer(self.asked, text, "stop", None)

    def answered_by(self, model: str, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(model, text, "stop", self.counts(input_tokens, output_tokens))

    def broken_off(self, text: str) -> Step:
        body = json.dumps(self.body(self.asked, text, "stop", None))
        return reply(200, body[: len(body) // 2].encode(), Content_Type=JSON)

    def failure(self, status: int, message: str, headers: Mapping[str, str]) -> Step:
        error = {"message": message, "type": "some_error", "param": None, "code": "invalid_request_error"}
        return reply(status, {"error": error}, Content_Type=JSON, **headers)

    def counts(self, prompt: int, output: int, *, cached: int = 0) -> dict[str, Any]:
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_cache_hit_tokens": cached,
            "prompt_cache_miss_tokens": prompt - cached,
        }

    def body(self, model: str, text: str | None, reason: object, usage: object) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "reasoning_content": "it fell, so"}
        return {
            "id": "2c4b",
            "object": "chat.completion",
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
            **({} if usage is None else {"usage": usage}),
        }

    def _answer(self, model: str, text: str, reason: str, usage: object) -> Step:
        body = json.dumps(self.body(model, text, reason, usage))
        return reply(200, f"\n\n\n{body}".encode(), Content_Type=JSON)


class GeminiWire:
    """Gemini's generateContent, which thinks in a part of its own before it answers."""

    name = "gemini"
    asked = GEMINI
    content_type = JSON

    def model(self, url: str, key: str, clock: Clock) -> Model:
        return GeminiContent(client(), lambda _: key, clock, base_url=url)

    def complete(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, text, "STOP", self.counts(input_tokens, output_tokens))

    def truncated(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, text, "MAX_TOKENS", self.counts(input_tokens, output_tokens))

    def refused(self, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, "", "SAFETY", self.counts(input_tokens, output_tokens))

    def uncounted(self, text: str) -> Step:
        return self._answer(self.asked, text, "STOP", None)

    def answered_by(self, model: str, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(model, text, "STOP", self.counts(input_tokens, output_tokens))

    def broken_off(self, text: str) -> Step:
        body = json.dumps(self.body(self.asked, text, "STOP", None))
        return reply(200, body[: len(body) // 2].encode(), Content_Type=JSON)

    def failure(self, status: int, message: str, headers: Mapping[str, str]) -> Step:
        error = {"code": status, "message": message, "status": "RESOURCE_EXHAUSTED"}
        return reply(status, {"error": error}, Content_Type=JSON, **headers)

    def counts(self, prompt: int, output: int) -> dict[str, Any]:
        """Count an answer of which a third was thought and the rest said."""
        thought = output // 3
        return {
            "promptTokenCount": prompt,
            "candidatesTokenCount": output - thought,
            "thoughtsTokenCount": thought,
            "totalTokenCount": prompt + output,
        }

    def body(self, model: str, text: str, reason: object, usage: object) -> dict[str, Any]:
        parts = [{"text": "it fell, so", "thought": True}, {"text": text[:5]}, {"text": text[5:]}]
        return {
            "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": 0}],
            "modelVersion": model,
            "responseId": "7f3a",
            **({} if usage is None else {"usageMetadata": usage}),
        }

    def _answer(self, model: str, text: str, reason: str, usage: object) -> Step:
        return reply(200, self.body(model, text, reason, usage), Content_Type=JSON)
