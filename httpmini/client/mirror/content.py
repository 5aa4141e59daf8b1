"""The body of a response as it is read or stored: without a content coding that nobody requested."""

from __future__ import annotations

from collections.abc import Iterator

from httpmini.client.decode import applied_codings, decode, is_known
from httpmini.client.options import Limits
from httpmini.client.response import Response
from httpmini.errors import BrokenResponse
from httpmini.protocol.framing import Data

# The ends of names of files that are stored in a coding. Servers declare it for these (Apache's AddEncoding), and the
# file is wanted as it is.
_PACKED = {
    **dict.fromkeys(("gzip", "x-gzip"), (b".gz", b".tgz", b".taz", b".svgz")),
    **dict.fromkeys(("compress", "x-compress"), (b".z", b".taz")),
    **dict.fromkeys(("bzip2", "x-bzip2"), (b".bz2", b".tbz", b".tbz2")),
    **dict.fromkeys(("xz", "x-xz"), (b".xz", b".txz")),
    "br": (b".br",),
    "zstd": (b".zst", b".tzst"),
}


def content_of(response: Response, limits: Limits, name: bytes = b"") -> Iterator[Data]:
    """Return the pieces of a body, each valid only until the next is requested.

    Requests of a mirror ask for no coding (``Accept-Encoding: identity``). A coding that comes all the same is undone,
    unless ``name`` is that of a file that is stored in it.

    Args:
        response: whose body has not been read.
        limits: on what is decoded.
        name: of the file; empty for a listing.

    Raises:
        BrokenResponse: the coding cannot be undone here.
    """
    codings = [] if response.codings else applied_codings(response.headers)
    if codings and name.lower().endswith(_PACKED.get(codings[0], ())):
        codings = codings[1:]
    if not is_known(codings):
        raise BrokenResponse(
            f"it came in the coding {', '.join(codings)}, which was not requested and cannot be decoded here",
            "content-coding",
        )
    return decode(response.views(), codings, limits) if codings else response.views()
