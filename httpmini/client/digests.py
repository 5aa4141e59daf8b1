"""The digest of a whole file that a server announces (Repr-Digest, RFC 9530), and bodies that are compared with it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from httpmini.errors import Corrupt
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers

WANT = ("Want-Repr-Digest", "sha-256=1")
"""The field that asks for it."""

# RFC 9530 §3: a dictionary of digests, each between colons.
_REPR_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:(?P<digest>[A-Za-z0-9+/=]+):", re.ASCII)


def announced_sha256(headers: Headers) -> str:
    """Return the SHA-256 of the whole file that a response announces, in hexadecimal; empty if there is none.

    An invalid one stays as it is, and matches no file.
    """
    match = _REPR_DIGEST.search(", ".join(headers.all("Repr-Digest")))
    if match is None:
        return ""
    try:
        return base64.b64decode(match["digest"], validate=True).hex()
    except ValueError:
        return match["digest"]


def compared(pieces: Iterator[Data], wanted: str, url: str) -> Iterator[Data]:
    """Yield the pieces of a body as they come on the wire, and compare all of them at the end.

    Args:
        pieces: of the body.
        wanted: its SHA-256, in hexadecimal.
        url: where it comes from.

    Raises:
        Corrupt: it has another digest.
    """
    import hashlib  # loads OpenSSL, which other responses need not wait for

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    found = digest.hexdigest()
    if found != wanted:
        raise Corrupt(f"{url}: its SHA-256 is {found}, not {wanted} as announced by the server")
