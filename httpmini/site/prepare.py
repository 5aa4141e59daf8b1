"""What a site imports only when a request needs it, so that the first answer comes sooner.

A server loads it soon after its start (``docs/design/daemon.md``, "What is loaded when"): before children are forked,
each of which would load it again, and before a helper thread needs it, for whose locks of imports a forked child would
wait for ever.
"""

from __future__ import annotations

from functools import cache


@cache
def prepare(*, archives: bool) -> None:
    """Load what listings, dates, credentials and digests need, and with ``archives`` what these need."""
    import base64  # noqa: F401
    import calendar  # noqa: F401

    import httpmini.protocol.structured
    import httpmini.site.negotiate  # noqa: F401
    from httpmini.site.listing import listings

    listings.prepare()
    if archives:
        from httpmini.site.archive import archiver

        archiver.prepare()
