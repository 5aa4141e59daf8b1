"""httpmini: a minimal HTTP/1.0 file server and client, from scratch.

This module only names what ``import httpmini`` offers. Each name is loaded on first use, so the server does not wait
for the client, and ``python -m httpmini`` handles Ctrl-C almost from the start.
"""

TYPE_CHECKING = False  # importing typing's own takes 5 ms, in which Ctrl-C would show a traceback
if TYPE_CHECKING:
    from httpmini.client.client import Client, fetch
    from httpmini.client.download.download import download
    from httpmini.client.options import Limits, Retries, Timeouts
    from httpmini.client.response import Response
    from httpmini.errors import FetchError
    from httpmini.version import __version__

__all__ = ["Client", "FetchError", "Limits", "Response", "Retries", "Timeouts", "__version__", "download", "fetch"]

_MODULES = {
    "Client": "httpmini.client.client",
    "FetchError": "httpmini.errors",
    "Limits": "httpmini.client.options",
    "Response": "httpmini.client.response",
    "Retries": "httpmini.client.options",
    "Timeouts": "httpmini.client.options",
    "__version__": "httpmini.version",
    "download": "httpmini.client.download.download",
    "fetch": "httpmini.client.client",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'httpmini' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
