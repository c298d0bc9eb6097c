"""Ask Discord about a webhook without posting to it."""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from shared.adapters.discord.webhook import DiscordWebhook
from shared.domain.stage import Stage
from shared.ports.clock import Clock


def webhook_name(address: SecretStr, clock: Clock, *, loopback: bool) -> str:
    """Give the name that Discord knows a webhook by; raises ChannelDead, Throttled or Unavailable."""
    with httpx.Client(trust_env=not loopback) as client:
        return DiscordWebhook(
            client, lambda anew: address.get_secret_value(), Stage.PAPER, clock, loopback=loopback
        ).self_test()
