"""The command line."""

from __future__ import annotations

import sys

_PACKAGES = {"click": "Click", "rich": "Rich", "PIL": "Pillow"}
"""What the command line imports -> the package that has it."""


def main() -> None:
    """Run the command line, or say what to install for it."""
    try:
        from gpu_upsample.cli.commands import main as run

        run(prog_name="gpu-upsample")
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        sys.exit(f"gpu-upsample needs {_PACKAGES[error.name]}: pip install click rich pillow")
