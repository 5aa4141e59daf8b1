"""Options that several commands share."""

from __future__ import annotations

from typing import Any

import click

config_option = click.option("-c", "--config", "file", metavar="FILE", help="A config file (TOML).")


class Choice(click.Choice[str]):
    """One of several words; for another one, the error names the one that was probably meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word.

        Raises:
            click.BadParameter: it is none of them.
        """
        try:
            return str(super().convert(value, param, ctx))
        except click.BadParameter as error:
            near = nearest(str(value), [str(choice) for choice in self.choices])
            hint = near and f"; did you mean {near}?"
            raise click.BadParameter(f"{error.message.rstrip('.')}{hint}", ctx, param) from None


def nearest(text: str, known: list[str]) -> str:
    """Return the one of ``known`` that is most like ``text``, or an empty string."""
    import difflib  # only for mistakes

    return next(iter(difflib.get_close_matches(text.lower(), known, n=1)), "")
