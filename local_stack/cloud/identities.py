"""Who signs requests on this machine: the owner, each function, and Lambda in each function's name.

The sessions share what botocore reads from its files, which costs more than everything else when many are made.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

OWNER_KEY: Final = "LOCALOWNER"
SECRET: Final = "local"  # noqa: S105 -- opens nothing: only the key's id is looked at
PATIENT: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1, "mode": "standard"})
"""This machine's own calls wait longer than a function's and ask once: on loopback a failure is a defect."""


class Identities:
    """Sessions and clients by access key."""

    def __init__(self, url: str, region: str) -> None:
        self._url = url
        self._region = region
        self.session = cache(self._session)
        self.client = cache(self._client)

    def _session(self, key_id: str) -> boto3.Session:
        core = botocore.session.get_session()
        core.register_component("data_loader", _loader())
        return boto3.Session(
            aws_access_key_id=key_id,
            aws_secret_access_key=SECRET,
            region_name=self._region,
            botocore_session=core,
        )

    def _client(self, key_id: str, service: Any) -> Any:
        return self.session(key_id).client(service, endpoint_url=self._url, config=PATIENT)


def key_of(function: str) -> str:
    """Give the access key of a function."""
    return f"LOCAL{function.upper()}"


def lambda_key_of(function: str) -> str:
    """Give the access key with which Lambda acts in a function's name."""
    return f"LAMBDA{function.upper()}"


@cache
def _loader() -> Loader:
    return create_loader()
