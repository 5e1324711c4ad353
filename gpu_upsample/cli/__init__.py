"""The command line."""

from gpu_upsample.cli.commands import main

__all__ = ["main"]
