"""The configuration: TOML and flags in, a typed Config out; a file is refused as a whole, or taken as a whole."""

from httpmini.config.loader import Flags
from httpmini.config.render import annotated, declared_choices, differences, expected, show, toml
from httpmini.config.schema import DEFAULT, SECTIONS, Config, LogSettings, Row, ServerSettings, rows
from httpmini.config.sites import load

__all__ = [
    "DEFAULT",
    "SECTIONS",
    "Config",
    "Flags",
    "LogSettings",
    "Row",
    "ServerSettings",
    "annotated",
    "declared_choices",
    "differences",
    "expected",
    "load",
    "rows",
    "show",
    "toml",
]
