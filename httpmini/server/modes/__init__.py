"""The architectures of the textbook, one file each. They move bytes and time, and know no protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from httpmini.server.modes.base import Mode

_CLASSES = {
    "iterative": "Iterative",
    "forking": "Forking",
    "threading": "Threading",
    "select": "Select",
    "prefork": "Prefork",
}


class _Modes(Mapping[str, type[Mode]]):
    """A server uses one mode, and a start need not wait for the others: each is imported when it is looked up."""

    def __getitem__(self, name: str) -> type[Mode]:
        class_name = _CLASSES[name]
        found: type[Mode] = getattr(import_module(f"{__name__}.{name}"), class_name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


MODES: Mapping[str, type[Mode]] = _Modes()
"""The modes by the name that they have in a config file."""
