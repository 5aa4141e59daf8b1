"""What a site imports only when a request needs it, so that the first answer comes sooner.

A server loads it soon after its start (``docs/design/daemon.md``, "What is loaded when"): before children are forked,
each of which would load it again, and before a helper thread needs it, for whose locks of imports a forked child would
wait for ever. A server that serves its clients itself loads it in parts: all of it takes 85 ms, the longest part 25.
"""

from __future__ import annotations

from collections.abc import Callable


def _load_small_things() -> None:
    """Load what dates, credentials, digests and negotiation need."""
    import base64  # noqa: F401
    import calendar  # noqa: F401

    import httpmini.protocol.structured
    import httpmini.site.negotiate  # noqa: F401


def _load_jinja() -> None:
    import jinja2  # noqa: F401


def _load_pages() -> None:
    from httpmini.site import pages

    pages.prepare()


def _load_readme() -> None:
    from httpmini.site.listing import readme

    readme.prepare()


def _load_listings() -> None:
    from httpmini.site.listing import listings

    listings.prepare()


def _load_archives() -> None:
    from httpmini.site.archive import archiver

    archiver.prepare()


_PARTS: tuple[Callable[[], None], ...] = _load_small_things, _load_jinja, _load_pages, _load_readme, _load_listings
_loaded: set[Callable[[], None]] = set()


def prepare_more(*, archives: bool) -> bool:
    """Load the next part of what listings, dates, credentials, digests and, if wanted, archives need.

    Returns:
        Whether there are more parts.
    """
    parts = (*_PARTS, _load_archives) if archives else _PARTS
    left = [part for part in parts if part not in _loaded]
    if left:
        left[0]()
        _loaded.add(left[0])
    return len(left) > 1


def prepare(*, archives: bool) -> None:
    """Load all of it."""
    while prepare_more(archives=archives):
        pass
