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
            from httpmini.config.hints import nearest  # only for mistakes

            near = nearest(str(value).lower(), [str(choice) for choice in self.choices])
            hint = near and f"; did you mean {near}?"
            raise click.BadParameter(f"{error.message.rstrip('.')}{hint}", ctx, param) from None
