"""The command line: `medidiff VERB ...`. Verbs import what they need when they run, so that help and status are quick."""

import sys


def main() -> None:
    """Runs one verb; an error of ours is one message and its exit status, never a traceback."""
    from medidiff.cli.app import app
    from medidiff.errors import MedidiffError

    try:
        app()
    except MedidiffError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_status)
    except BrokenPipeError:
        sys.exit(141)
