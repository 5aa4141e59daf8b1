"""``python -m httpmini``, and the ``httpmini`` command."""

import gc

# What ``signal`` wraps. ``signal`` itself takes 3.6 ms to load; until then Ctrl-C would be Python's, with a traceback.
from _signal import SIG_DFL, SIG_IGN, SIGINT, getsignal, signal  # type: ignore[import-not-found]


def main() -> None:
    """Run the command line. Until a command handles it, Ctrl-C ends the process quietly, if it was not ignored."""
    if getsignal(SIGINT) != SIG_IGN:
        signal(SIGINT, SIG_DFL)
    gc.disable()  # modules are not garbage; collecting again and again while they load takes some 4 ms
    from httpmini.cli.main import main as commands

    gc.freeze()
    gc.enable()
    commands()


if __name__ == "__main__":
    main()
