"""The configuration: TOML and flags in, a typed Config out. A file is accepted as a whole or refused as a whole."""

from httpmini.config.certificates import check_certificates
from httpmini.config.dangers import find_dangers
from httpmini.config.flags import Flags
from httpmini.config.hints import declared_choices, expected
from httpmini.config.render import annotated, differences, show, toml
from httpmini.config.rows import Row, rows
from httpmini.config.schema import DEFAULT, SECTIONS, Config, LogSettings, ServerSettings
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
    "check_certificates",
    "declared_choices",
    "differences",
    "expected",
    "find_dangers",
    "load",
    "rows",
    "show",
    "toml",
]
