"""`python -m shared.ladder` is the same as `ladder`."""

from shared.ladder.cli import main

main()
