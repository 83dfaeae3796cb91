"""`python -m medidiff` is `medidiff`."""

from medidiff.cli import main

main()
