"""The command line. Only the entry is here; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit status."""
    from tillbridge.cli.app import run

    sys.exit(run(sys.argv[1:]))
