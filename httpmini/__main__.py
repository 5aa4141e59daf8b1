"""``python -m httpmini``, and the ``httpmini`` command."""

import signal


def main() -> None:
    """Run the command line. Ctrl-C ends the process quietly until somebody knows better what to do about it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from httpmini.cli import main as commands

    commands()


if __name__ == "__main__":
    main()
