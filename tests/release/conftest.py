"""The package as it is released: built once, and installed where the source is not."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S

HOME = Path(__file__).parents[2]
ONE_TIME = "1700000000"


def run(*command: str | Path, folder: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a command that must succeed; return what it has written to standard output."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=WAIT_S, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def build(folder: Path, source: Path = HOME) -> tuple[Path, Path]:
    """Build the wheel and the source archive; return their paths."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": ONE_TIME}
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, folder=source, environment=environment)
    (wheel,), (archive,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, archive


def clean_environment(home: Path) -> dict[str, str]:
    """An environment in which nothing leads to the source."""
    return {
        "PATH": f"{home}/venv/bin:{os.defpath}:/usr/bin:/bin",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``venv/``, into which pip has installed the wheel. The libraries are those of this environment."""
    home = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv")
    python = home / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", "--no-compile", "-q")
    run(*pip, "--disable-pip-version-check", built[0])
    (packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # .pth files in there are not read
    return home
