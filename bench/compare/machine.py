"""A description of the machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import Any

from bench.compare.servers import Server


def describe(servers: list[Server]) -> dict[str, Any]:
    """Return the properties of the machine and the versions of the servers, but nothing that identifies it."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": cpu[1].strip() if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory[1]) / 2**20) if memory else None,
        "kernel": platform.release(),
        "system": _system(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "versions": {server.name: server.says() for server in servers},
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def in_words(machine: dict[str, Any]) -> str:
    """Return the description in one line."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Linux {machine['kernel']}, Python {machine['python']}, {machine['date']}"
    )
