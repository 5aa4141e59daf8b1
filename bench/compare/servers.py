"""The servers: how each is configured and started, with one worker, on the same folder, on a port of this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.compare.peer_apps import IDLE_S, MANY_CLIENTS, ROOT_VARIABLE
from bench.compare.site import SMALL

HERE = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Place:
    """Where a server runs.

    Attributes:
        folder: the folder for its own files.
        root: the folder it serves.
        port: the port it listens on.
    """

    folder: Path
    root: Path
    port: int


@dataclass(frozen=True)
class Server:
    """How to run one server.

    Attributes:
        name: its name on the command line of the bench.
        label: its name in tables.
        command: returns the command that starts it, after writing its configuration.
        needs: the programs it needs.
        modules: the Python modules it needs.
        logs: whether it writes an access log here.
        mode: the mode, if it is httpmini.
        prefix: what comes before every target.
        unreaped: whether it never waits for its children, so that only a control group knows their time.
        per_client: whether it starts a process for each client; it does not get thousands of idle ones.
        in_turn: whether it serves one client at a time, so that a slow one holds up all others.
        only: the keys of the only workloads that it can be measured under; empty for all.
        version: the command that prints its version.
        environment: additional environment variables.
    """

    name: str
    label: str
    command: Callable[[Place], list[str]]
    needs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    logs: bool = True
    mode: str = ""
    prefix: str = ""
    unreaped: bool = False
    per_client: bool = False
    in_turn: bool = False
    only: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def missing(self, scratch: Path) -> str | None:
        """Return why it cannot run here, or None if it can."""
        for program in self.needs:
            if shutil.which(program, path=PATH) is None:
                return f"{program} is not installed"
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                return f"the Python module {module} is not installed"
        if not self.mode:
            return None
        command = self.command(Place(scratch, scratch, 1))
        check = [*command[: command.index("serve")], "config", "check", *command[command.index("-c") :]]
        done = subprocess.run(check, capture_output=True, cwd=scratch)
        return f"this httpmini does not know mode {self.mode}" if done.returncode else None

    def says(self) -> str:
        """Return its version; "" if it is unknown."""
        if not self.version:
            return ""
        done = subprocess.run(
            self.version, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PATH": PATH}
        )
        found = re.search(r"\d+\.\d+(\.\w+)*", done.stdout.decode(errors="replace"))
        return found[0] if found else ""


def _ours(mode: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        config = place.folder / "httpmini.toml"
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        each = 4 if mode == "threading" else 2  # descriptors that httpmini reserves for a client, at most
        clients = min(MANY_CLIENTS - 1000, descriptors // each - 100)
        workers = "workers = 1" if mode == "prefork" else ""
        config.write_text(f"""
[server]
mode = "{mode}"
listen = ["127.0.0.1:{place.port}"]
max_clients = {clients}
backlog = 4096
{workers}
[site]
root = "{place.root}"
[limits]
idle_s = {IDLE_S}
[log]
access = "{place.folder}/access.log"
error = "{place.folder}/error.log"
""")
        return [sys.executable, "-m", "httpmini", "serve", "-c", str(config)]

    return command


def _nginx(*, cache: bool, log: bool) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        at = place.folder
        access = f"access_log {at}/access.log combined" if log else "access_log off"
        cached = f"open_file_cache max={MANY_CLIENTS} inactive=60s;" if cache else ""
        user = "user root;" if os.getuid() == 0 else ""  # its default user may not be able to read the folder
        (at / "nginx.conf").write_text(f"""
daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; {user}
worker_rlimit_nofile {MANY_CLIENTS};
events {{ worker_connections {MANY_CLIENTS}; }}
http {{
  include /etc/nginx/mime.types; default_type application/octet-stream;
  {access}; sendfile on; tcp_nopush on; {cached}
  keepalive_requests 1000000000; keepalive_timeout {IDLE_S}s; types_hash_max_size 2048;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;
  uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  server {{ listen 127.0.0.1:{place.port} backlog=4096; root {place.root}; autoindex on; }}
}}
""")
        return ["nginx", "-p", str(at), "-e", f"{at}/error.log", "-c", f"{at}/nginx.conf"]

    return command


def _lighttpd(place: Place) -> list[str]:
    config = place.folder / "lighttpd.conf"
    config.write_text(f"""
server.modules = ("mod_accesslog")
server.document-root = "{place.root}"
server.bind = "127.0.0.1"
server.port = {place.port}
server.errorlog = "{place.folder}/error.log"
accesslog.filename = "{place.folder}/access.log"
server.max-fds = {MANY_CLIENTS}
server.max-connections = {MANY_CLIENTS - 1000}
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = {IDLE_S}
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html", ".css" => "text/css", ".js" => "text/javascript", ".svg" => "image/svg+xml")
""")
    return ["lighttpd", "-D", "-f", str(config)]


def _busybox(place: Place) -> list[str]:
    return ["busybox", "httpd", "-f", "-p", f"127.0.0.1:{place.port}", "-h", str(place.root)]


def _caddy(place: Place) -> list[str]:
    config = place.folder / "Caddyfile"
    config.write_text(f"""{{
    admin off
    auto_https off
}}
http://127.0.0.1:{place.port} {{
    bind 127.0.0.1
    root * {place.root}
    file_server
    log {{
        output file {place.folder}/access.log {{
            roll_disabled
        }}
    }}
}}
""")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]


def _http_server(place: Place) -> list[str]:
    return [sys.executable, "-m", "http.server", str(place.port), "-b", "127.0.0.1", "-d", str(place.root)]


def _bare_fork(place: Place) -> list[str]:
    program = Path(__file__).with_name("bare_fork.py")
    return [sys.executable, str(program), str(place.root / SMALL[1:]), str(place.port)]


def _uvicorn(place: Place) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", "--factory", "bench.compare.peer_apps:starlette_app"]
    command += ["--host", "127.0.0.1", "--port", str(place.port), "--app-dir", str(HERE)]
    return [*command, "--backlog", "4096", "--timeout-keep-alive", str(IDLE_S)]


def _app(which: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        sys.executable,
        "-m",
        "bench.compare.peer_apps",
        which,
        str(place.root),
        str(place.port),
    ]


def _granian(place: Place) -> list[str]:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(place.port), "--workers", "1", "--backlog", "4096"]
    return [*command, "--static-path-mount", str(place.root), "bench.compare.peer_apps:nothing"]


def _python(package: str) -> tuple[str, ...]:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return (sys.executable, "-c", code)


def _mode(name: str, *, in_turn: bool = False, per_client: bool = False) -> Server:
    return Server(
        name,
        f"httpmini, {name}",
        _ours(name),
        mode=name,
        in_turn=in_turn,
        per_client=per_client,
        version=_python("httpmini"),
    )


def _nginx_as(name: str, label: str, *, cache: bool, log: bool) -> Server:
    command = _nginx(cache=cache, log=log)
    return Server(name, label, command, needs=("nginx",), logs=log, version=("nginx", "-v"))


SERVERS = (
    _mode("select"),
    _mode("prefork"),
    _mode("iterative", in_turn=True),
    _mode("threading"),
    _mode("forking", per_client=True),
    _nginx_as("nginx", "nginx", cache=False, log=True),
    _nginx_as("nginx-cache", "nginx, open_file_cache", cache=True, log=True),
    _nginx_as("nginx-cache-quiet", "nginx, open_file_cache, no log", cache=True, log=False),
    _nginx_as("nginx-quiet", "nginx, no log", cache=False, log=False),
    Server("lighttpd", "lighttpd", _lighttpd, needs=("lighttpd",), version=("lighttpd", "-v")),
    Server(
        "busybox",
        "busybox httpd",
        _busybox,
        needs=("busybox",),
        logs=False,
        unreaped=True,
        per_client=True,
        version=("busybox", "--help"),
    ),
    Server("caddy", "caddy", _caddy, needs=("caddy",), version=("caddy", "version"), environment={"GOMAXPROCS": "1"}),
    Server("http.server", "python -m http.server", _http_server, version=(sys.executable, "--version")),
    Server("bare-fork", "a bare fork in Python", _bare_fork, logs=False, per_client=True, only=("2",)),
    Server(
        "uvicorn",
        "uvicorn + starlette",
        _uvicorn,
        modules=("uvicorn", "starlette"),
        version=_python("uvicorn"),
    ),
    Server("aiohttp", "aiohttp", _app("aiohttp"), modules=("aiohttp",), logs=False, version=_python("aiohttp")),
    Server(
        "waitress",
        "waitress + whitenoise",
        _app("waitress"),
        modules=("waitress", "whitenoise"),
        logs=False,
        version=_python("waitress"),
    ),
    Server(
        "granian",
        "granian",
        _granian,
        modules=("granian",),
        logs=False,
        prefix="/static",
        version=_python("granian"),
    ),
)
BY_NAME = {server.name: server for server in SERVERS}
OURS = tuple(server.name for server in SERVERS if server.mode)


def environment(server: Server, place: Place) -> dict[str, str]:
    """Return the environment of a server, with a home folder of its own to write to."""
    mine = {"PATH": PATH, "HOME": str(place.folder), ROOT_VARIABLE: str(place.root)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTHON"))}
    return {**kept, **mine, **server.environment}
