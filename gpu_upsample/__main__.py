"""`python -m gpu_upsample` is the command line."""

from gpu_upsample.cli import main

main()
