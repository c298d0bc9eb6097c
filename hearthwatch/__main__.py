"""Run the command line: `python -m hearthwatch`."""

from __future__ import annotations

import os
import sys

UNUSABLE = 2
READER_LEFT = 141
"""As of a program that ends with SIGPIPE."""

if __name__ == "__main__":
    try:
        from hearthwatch.commands import main
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] in ("hearthwatch", "local_stack", "shared"):
            raise
        print(
            f"hearthwatch: this Python has no {missing.name}: take .venv/bin/python, which `make setup` makes",
            file=sys.stderr,
        )
        sys.exit(UNUSABLE)
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read has left; what is still to be written goes nowhere, or Python complains as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_LEFT
    sys.exit(code)
