"""httpmini: a minimal HTTP/1.0 file server and client, from scratch.

Nothing is defined here; this is only what ``import httpmini`` offers.
"""

from httpmini.version import __version__

__all__ = ["__version__"]
