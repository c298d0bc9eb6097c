"""No credential lies in the repository (SEC-01): every tracked file is searched for what keys look like."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
LARGEST: Final = 4_000_000
PATTERNS: Final = {
    "a key of AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a secret of AWS": re.compile(r"(?i)aws_?secret\w*['\"]?\s*[:=]\s*['\"]?[A-Za-z0-9/+]{40}\b"),
    "a key id of Alpaca": re.compile(r"\b(?:PK|AK|CK)(?=[A-Z]*\d)[A-Z0-9]{18}\b|\b(?:PK|AK|CK)[A-Z0-9]{24}\b"),
    "a secret of Alpaca": re.compile(r"(?i)(?:apca|alpaca)[\w-]*secret[\w-]*['\"]?\s*[:=]\s*['\"]?[A-Za-z0-9]{40}\b"),
    "a webhook of Discord": re.compile(r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{15,}/[\w-]{60,}"),
    "a bot token of Discord": re.compile(r"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}\b"),
    "a key of a model's provider": re.compile(r"\bsk-(?:ant-|proj-)?[\w-]{32,}\b"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
}
SHOWN: Final = {
    "a key of AWS": "AKIA" + "Q7Z2X4M9T1BB3C5D",
    "a secret of AWS": "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG" + "/bPxRfiCYEXAMPLEKEY",
    "a key id of Alpaca": "PK" + "Q7Z2X4M9T1BB3C5D7E",
    "a secret of Alpaca": 'ALPACA_SECRET="' + "a1B2" * 10 + '"',
    "a webhook of Discord": "https://discord.com/api/webhooks/" + "104759348211136102/" + "aB3_" * 17,
    "a bot token of Discord": "M" + "a1" * 12 + "." + "b2C3d4" + "." + "e5F6" * 7,
    "a key of a model's provider": "sk-" + "ant-api03-" + "x1Y2" * 10,
    "a token of GitHub": "ghp_" + "a1B2" * 9,
    "a private key": "-----BEGIN " + "EC PRIVATE KEY-----",
}
"""What each pattern must find, put together here so that this file holds none of it."""


def kept_files() -> list[Path]:
    """List what is tracked or would be: everything that git does not ignore."""
    git = which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in (ROOT / name for name in names) if path.is_file() and path.stat().st_size <= LARGEST]


def credentials_in(text: str) -> Iterator[str]:
    for name, pattern in PATTERNS.items():
        yield from (f"{name}: {found[0][:12]}..." for found in pattern.finditer(text))


def test_no_kept_file_holds_a_credential() -> None:
    files = kept_files()
    assert ROOT / "template.yaml" in files

    found = {
        str(path.relative_to(ROOT)): hits
        for path in files
        if (hits := list(credentials_in(path.read_text(encoding="utf-8", errors="replace"))))
    }
    assert found == {}


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_pattern_finds_what_it_is_for(name: str) -> None:
    assert PATTERNS[name].search(f'value = "{SHOWN[name]}"  # note')


def test_files_that_hold_credentials_are_ignored() -> None:
    """The keys of a run on one machine, and what SAM keeps of the first deploy."""
    git = which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    for name in (".env", "samconfig.toml", "build/anything"):
        assert subprocess.run([git, "check-ignore", "-q", name], cwd=ROOT, check=False).returncode == 0, name
