"""``python -m httpmini``: the same as the ``httpmini`` command."""

from httpmini.cli import main

if __name__ == "__main__":
    main()
