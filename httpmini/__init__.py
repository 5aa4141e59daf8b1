"""httpmini: a minimal HTTP/1.0 file server and client, from scratch.

Nothing is defined here; this is only what ``import httpmini`` offers. Each is loaded when it is first asked for, so
that the server need not wait for the client, and ``python -m httpmini`` is ready for Ctrl-C almost at once.
"""

TYPE_CHECKING = False  # typing's own costs 5 ms, and a program has to be ready for Ctrl-C soon
if TYPE_CHECKING:
    from httpmini.client.client import Client, fetch
    from httpmini.client.download.download import download
    from httpmini.client.options import Limits, Retries, Timeouts
    from httpmini.client.response import Response
    from httpmini.errors import FetchError
    from httpmini.version import __version__

__all__ = ["Client", "FetchError", "Limits", "Response", "Retries", "Timeouts", "__version__", "download", "fetch"]

_HOMES = {
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
    if name not in _HOMES:
        raise AttributeError(f"module 'httpmini' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
