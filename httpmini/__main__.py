"""``python -m httpmini``, and the ``httpmini`` command."""

import gc
import signal


def main() -> None:
    """Run the command line. Ctrl-C ends the process quietly until somebody knows better what to do about it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # modules are no garbage: looking for some among them, time and again, takes some 4 ms
    from httpmini.cli import main as commands

    gc.freeze()
    gc.enable()
    commands()


if __name__ == "__main__":
    main()
