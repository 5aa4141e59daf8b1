"""The architectures of the textbook, one file each. They move bytes and time, and know no protocol."""

from __future__ import annotations

from httpmini.server.modes.base import Mode
from httpmini.server.modes.forking import Forking
from httpmini.server.modes.iterative import Iterative
from httpmini.server.modes.prefork import Prefork
from httpmini.server.modes.select import Select
from httpmini.server.modes.threading import Threading

MODES: dict[str, type[Mode]] = {mode.name: mode for mode in (Iterative, Forking, Threading, Select, Prefork)}
"""The modes by the name that they have in a config file."""
