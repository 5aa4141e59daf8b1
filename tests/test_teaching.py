"""The lesson of docs/teaching.md, typed literally: every command, and every line that it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tools import tool
from tests.support.wire import free_port

HOME = Path(__file__).parent.parent
PAGE = HOME / "docs/teaching.md"
BEGIN = """set -m
trap 'kill $(jobs -p) 2> /dev/null' EXIT
try() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; }
"""
PORTS = ("8081", "7007", "51216")
MARK = "-- now: "


def lesson() -> list[tuple[str, list[str]]]:
    """Each command with the lines that are seen after it."""
    found: list[tuple[str, list[str]]] = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("    $ "):
            found.append((line[6:], []))
        elif line.startswith("    ") and found:
            found[-1][1].append(line[4:])
    return found


def patient(command: str, promised: list[str]) -> str:
    """The same command for a busy machine: what a person sees after a while is waited for, not slept for."""
    if command.endswith("& sleep 2"):
        return f"rm -f server.log\n{command.removesuffix('sleep 2')}\ntry grep -qs serving server.log"
    if command.startswith(("pgrep", "curl -s -o /dev/null -w '%{http_code}")):
        return f'counted() {{ [ "$({command})" = {promised[0]} ]; }}\ntry counted\n{command}'
    if command.startswith("test "):
        condition, _, then = command.partition(" && ")
        return f"counted() {{ {condition}; }}\ntry counted && {then}"
    if command.startswith("httpmini compare"):  # a mode that has no time to start is left out
        compared = f"{command} > compared 2>&1; ! grep -qE 'it has not|no time' compared"
        return f"compared() {{ {compared}; }}\ntry compared\ncat compared"
    return command.replace("; sleep 1", "")


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What was promised; ``...`` stands for anything, in a line or for lines."""
    rows = [
        r"(?:.*\n)*?" if line.strip() == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\r?\n"
        for line in lines
    ]
    return re.compile("".join(rows).replace(r"\ ", r"\s*"))


@pytest.mark.long
def test_the_lesson(tmp_path: Path) -> None:
    for name in ("cc", "curl", "pgrep"):
        tool(name, {"cc": "gcc", "curl": "curl", "pgrep": "procps"}[name])
    (tmp_path / "examples").symlink_to(HOME / "examples")
    (tmp_path / "bin").mkdir()
    for name, words in (("httpmini", "-m httpmini"), ("python", "")):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        program.chmod(0o755)
    commands = lesson()
    script = BEGIN + "\n".join(f"echo '{MARK}{n}'\n{patient(*one)}" for n, one in enumerate(commands))
    for port in PORTS:
        script = script.replace(port, str(free_port()))
    (tmp_path / "lesson.sh").write_text(script)
    paths = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(HOME)}
    with (tmp_path / "seen").open("w") as seen:
        subprocess.run(
            ["bash", "lesson.sh"],
            cwd=tmp_path,
            env=os.environ | paths,
            stdout=seen,
            stderr=subprocess.STDOUT,
            check=False,
        )
    parts = re.split(rf"^{MARK}\d+\n", (tmp_path / "seen").read_text(), flags=re.MULTILINE)[1:]
    assert len(parts) == len(commands)
    for (command, promised), part in zip(commands, parts, strict=True):
        assert not promised or pattern(promised).search(part), (command, part)
