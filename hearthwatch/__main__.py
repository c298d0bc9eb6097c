"""Run the command line: `python -m hearthwatch`."""

from __future__ import annotations

import sys

from hearthwatch.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
