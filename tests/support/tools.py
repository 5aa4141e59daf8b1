"""Programs that tests run: missing ones fail where CI is set, and are a visible skip elsewhere."""

from __future__ import annotations

import os
import shutil

import pytest


def tool(command: str, package: str) -> str:
    """The path of ``command``, which Debian has in ``package``."""
    path = shutil.which(command)
    if path is None:
        message = f"{command} is missing: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path
