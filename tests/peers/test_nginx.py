"""nginx in front, with nothing but a bare ``proxy_pass``."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import StartServer
from tests.support.processes import WAIT_S, eventually
from tests.support.tools import tool
from tests.support.wire import accepts, free_port, get

CONFIG = """daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
server {{ listen 127.0.0.1:{port}; proxy_ignore_client_abort on;
location / {{ proxy_pass http://127.0.0.1:{server}; }} }} }}
"""


def test_strangers_do_not_see_the_status_pages(start: StartServer, site: Path, tmp_path: Path, mode: str) -> None:
    """Not even where nginx adds no field that says it is a proxy."""
    server = start(site, "--mode", mode, "--status")
    port, folder = free_port(), tmp_path / "nginx"
    folder.mkdir()
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, server=server.port))
    command = [tool("nginx", "nginx"), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen([*command, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: accepts(port), "nginx listens")
        assert get(port, "/ten.txt")[0] == 200
        for page in ("status", "status.json", "metrics", "health"):
            assert get(port, f"/-/{page}", "Host: localhost")[0] == 404
    finally:
        process.terminate()
        process.wait(WAIT_S)
