"""Options that several commands share."""

from __future__ import annotations

import click

config_option = click.option("-c", "--config", "file", metavar="FILE", help="A config file (TOML).")
