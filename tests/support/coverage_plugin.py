"""Let a server that is measured write down its coverage: its sandbox would not allow it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_SANDBOX = "httpmini.daemon.sandbox"


class _Finder(MetaPathFinder):
    """A finder that patches the sandbox on import; an earlier import would leave its lines unmeasured."""

    def find_spec(self, name: str, path: object = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _SANDBOX:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        enter = module.enter

        def enter_with_coverage(openings: Iterable[Any]) -> bool:
            folder = module.Opening(os.path.dirname(os.environ["COVERAGE_FILE"]), module.KEEP | module.READ)
            return bool(enter([*openings, folder]))

        module.enter = enter_with_coverage  # type: ignore[attr-defined]
        seccomp = import_module("httpmini.daemon.seccomp")
        seccomp.install = lambda _program: False  # type: ignore[attr-defined]


def coverage_init(_registry: object, _options: object) -> None:
    """Install the finder; called by coverage in each process that it measures."""
    sys.meta_path.insert(0, _Finder())
