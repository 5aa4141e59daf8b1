"""Where Python, this program and the C library are on the disk: what may have to be read while the server runs.

Packages may be anywhere: in a virtual environment, in /usr/local/lib/python3.11/dist-packages, in the home folder of a
user, in a folder named in PYTHONPATH, or in a zip archive. Where each really came from is known to the import system.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

# Those that are imported when they are needed; they are not imported here.
_LATE_PACKAGES = ("httpmini", "bcrypt", "click", "idna", "jinja2", "markdown_it", "markupsafe", "mdurl", "msgspec")
_FOR_PACKAGES = ("site-packages", "dist-packages")

OF_THE_SYSTEM = (
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/localtime", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64"),
    *("/dev/urandom", "/sys/devices/system/cpu"),
)
"""What the C library reads on demand: host names, time zones, libraries. No file of another process is among it."""


def program_files() -> set[str]:
    """Return the folders and files of the standard library and of packages, imported or not yet.

    A folder on ``sys.path`` is opened whole only if it is meant for packages: any other may be the current folder, or a
    home folder. From those, only the packages themselves are.
    """
    whole = {str(Path(os.__file__).parent), *filter(_holds_code_only, sys.path)}
    inside = tuple(folder + os.sep for folder in whole)
    return whole | set(_packages(inside))


def _holds_code_only(path: str) -> bool:
    homes = tuple(str(Path(prefix) / "lib") + os.sep for prefix in (sys.prefix, sys.base_prefix))
    return path.startswith(homes) or Path(path).name in _FOR_PACKAGES or _is_archive(path)


def _is_archive(path: str) -> bool:
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:  # there is none, or only root may look
        return False


def _packages(known: tuple[str, ...]) -> Iterator[str]:
    """Yield where packages are that are imported, or may be later, with the libraries that wheels put beside them.

    Those whose paths begin with one of ``known`` are left out.
    """
    for name in {*_LATE_PACKAGES, *(name for name in sys.modules if "." not in name)}:
        for place in _places(_spec_of(name)):
            if not place.startswith(known):  # nearly all of them do: a path is made of few
                path = Path(place).absolute()
                yield str(path)
                yield str(path.with_name(f"{name}.libs"))


def _spec_of(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, ValueError):  # __main__ has none
        return None


def _places(spec: ModuleSpec | None) -> list[str]:
    if spec is None:
        return []
    return spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else [])
