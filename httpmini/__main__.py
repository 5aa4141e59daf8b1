"""``python -m httpmini``, and the ``httpmini`` command."""

import gc

# What ``signal`` wraps; that one takes 3.6 ms to load, in which Ctrl-C would still be Python's, with a traceback.
from _signal import SIG_DFL, SIGINT, signal  # type: ignore[import-not-found]


def main() -> None:
    """Run the command line. Ctrl-C ends the process quietly until somebody knows better what to do about it."""
    signal(SIGINT, SIG_DFL)
    gc.disable()  # modules are no garbage: looking for some among them, time and again, takes some 4 ms
    from httpmini.cli import main as commands

    gc.freeze()
    gc.enable()
    commands()


if __name__ == "__main__":
    main()
