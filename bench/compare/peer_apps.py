"""Serve static files with the frameworks that need a program to do so.

    python -m bench.compare.peer_apps aiohttp|waitress ROOT PORT

uvicorn has its own command. It loads ``starlette_app``, which takes the folder from the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

ROOT_VARIABLE = "HTTPMINI_BENCH_ROOT"
MANY_CLIENTS = 20_000
IDLE_S = 600


def starlette_app() -> Any:
    """Return the application for uvicorn."""
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    return Starlette(routes=[Mount("/", StaticFiles(directory=os.environ[ROOT_VARIABLE]))])


def serve_aiohttp(root: str, port: int) -> None:
    """Serve ``root`` with aiohttp's add_static."""
    from aiohttp import web

    app = web.Application()
    app.router.add_static("/", root)
    web.run_app(app, host="127.0.0.1", port=port, keepalive_timeout=IDLE_S, backlog=4096, print=None)


def serve_waitress(root: str, port: int) -> None:
    """Serve ``root`` with whitenoise in waitress."""
    import waitress
    from whitenoise import WhiteNoise

    app = WhiteNoise(nothing, root=root)
    waitress.serve(
        app,
        host="127.0.0.1",
        port=port,
        connection_limit=MANY_CLIENTS,
        channel_timeout=IDLE_S,
        backlog=4096,
        asyncore_use_poll=True,
    )


def nothing(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Return 404, for any target that is not a file."""
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


def main() -> None:
    """Serve until killed."""
    which, root, port = sys.argv[1:]
    {"aiohttp": serve_aiohttp, "waitress": serve_waitress}[which](root, int(port))


if __name__ == "__main__":
    main()
