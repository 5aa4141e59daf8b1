"""The files in ``conf/``: examples for service managers and proxies, as ``httpmini config example`` prints them.

They are a folder beside the package in the source, and a folder in the package once it is installed.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import httpmini
from httpmini.config.render import annotated

EXAMPLES = {
    "caddy": ("caddy/Caddyfile",),
    "certbot": ("certbot/httpmini",),
    "docker": ("docker/Dockerfile",),
    "haproxy": ("haproxy/haproxy.cfg",),
    "kubernetes": ("kubernetes/httpmini.yaml",),
    "logrotate": ("logrotate/httpmini",),
    "nginx": ("nginx/httpmini.conf",),
    "openrc": ("openrc/httpmini",),
    "systemd": (
        *("systemd/httpmini.toml", "systemd/httpmini.socket", "systemd/httpmini.service"),
        "systemd/httpmini-https.socket",
    ),
    "varnish": ("varnish/default.vcl",),
}
"""What there are examples for, each with its files in ``conf/``."""

_ROOT = "/srv/www"


def settings_example() -> str:
    """Return a config file with every setting, its meaning and its default."""
    return annotated({"site.root": _ROOT})


def example_files(kind: str) -> dict[str, str]:
    """Return the files for one of ``EXAMPLES``: the text of each, by its name."""
    return {Path(name).name: _folder().joinpath(name).read_text("utf-8") for name in EXAMPLES[kind]}


def _folder() -> Traversable:
    installed = files(httpmini) / "conf"
    return installed if installed.is_dir() else Path(httpmini.__file__).parents[1] / "conf"
