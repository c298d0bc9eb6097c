"""What Lambda itself brings to a Python function: the runtime's client and boto3, with what these two need.

Put together as links to the packages of this environment. awscrt is left out although it may be installed here: Lambda
has none, and botocore would load it.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "awslambdaric",
    "simplejson",
    "snapshot-restore-py",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
)
_COMPILED: Final = "__pycache__"


def bring(folder: Path) -> Path:
    """Fill a new folder with what Lambda brings, and return it."""
    (folder / _COMPILED).mkdir(parents=True)
    for package in PACKAGES:
        found = distribution(package)
        for file in found.files or ():
            parts = file.parts[:2] if file.parts[0] == _COMPILED else file.parts[:1]
            if parts[0] != ".." and not (link := folder.joinpath(*parts)).exists():
                link.symlink_to(Path(str(found.locate_file("/".join(parts)))).resolve())
    return folder
