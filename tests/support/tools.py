"""Programs that tests run. A missing one fails the test if CI is set, and skips it otherwise."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def service_names() -> None:
    """Require the table of service names, which a small system may lack."""
    if not os.path.exists("/etc/services"):
        _missing("/etc/services", "netbase")


def tool(command: str, package: str) -> str:
    """Return the path of ``command``, which is in Debian's ``package``."""
    path = shutil.which(command, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if path is None:
        _missing(command, package)
    return path


def _missing(what: str, package: str) -> NoReturn:
    message = f"{what} is missing: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
