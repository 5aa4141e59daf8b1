"""The remote folder: its listings and files, with redirections followed only inside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from httpmini.client.client import Client
from httpmini.client.digests import WANT
from httpmini.client.mirror.content import content_of
from httpmini.client.mirror.listings import Entry, Listing, below, read_json, read_page, unsafe
from httpmini.client.response import REDIRECTS, Response
from httpmini.client.url import Url, join, parse_url
from httpmini.errors import BadRedirect, BadUrl, BrokenResponse, FetchError, TooLarge
from httpmini.protocol.framing import Data

_LISTING_BYTES = 32 * 1024**2
_REFUSAL_BYTES = 64 * 1024  # read to its end, so that the connection can be kept
_MAX_REDIRECTS = 10
_PLAIN = ("Accept-Encoding", "identity")
_JSON_OR_PAGE = (("Accept", "application/json, text/html;q=0.5"), _PLAIN)
_PAGE = (("Accept", "text/html"), _PLAIN)
_FILE = (("Accept", "*/*"), _PLAIN)


class Remote:
    """The folder on the server.

    Args:
        client: sends the requests.
        start: the folder; nothing outside it is requested.
    """

    def __init__(self, client: Client, start: Entry) -> None:
        self._client = client
        self._start = start

    def list_folder(self, folder: Entry) -> Listing:
        """Fetch the listing of a folder: as JSON, or as a page if the JSON is not httpmini's.

        Raises:
            BadUrl: the folder has neither.
            FetchError: the listing cannot be fetched.
        """
        for headers in (_JSON_OR_PAGE, _PAGE):
            with self._client.fetch(folder.url, headers=headers) as response:
                there = _other_url(folder.url, response)
                if there is not None:
                    raise BadRedirect(f"{folder.url.text} redirects to {there.text}; mirror that URL instead")
                expect_whole(response)
                kind = (response.headers.get("Content-Type") or "no type").partition(";")[0].strip(" \t").lower()
                if kind not in ("application/json", "text/html", "application/xhtml+xml"):
                    break
                is_framed = response.content_length is not None or "Transfer-Encoding" in response.headers
                body = self._read(response)
            if kind == "application/json":
                listing = read_json(body, folder.url)
            else:
                listing = read_page(body, folder.url, is_framed=is_framed)
            if listing is not None:
                return listing
        raise BadUrl(f"{folder.url.text}: not a listing ({kind})")

    def content_of(self, response: Response, name: bytes) -> Iterator[Data]:
        """Return the pieces of the file ``name``; see ``content.content_of``."""
        return content_of(response, self._client.limits, name)

    def expect_reply(self) -> None:
        """Request the start folder once more, to tell a file that gets no response from a server that is gone.

        Raises:
            FetchError: the server is gone.
        """
        self._client.fetch(self._start.url, headers=_PAGE).close()

    def _read(self, response: Response) -> bytes:
        """Return the body of a listing, decoded."""
        body = bytearray()
        for piece in content_of(response, self._client.limits):
            body += piece
            if len(body) > _LISTING_BYTES:
                raise TooLarge(f"{response.url}: the listing has more than {_LISTING_BYTES} bytes")
        return bytes(body)

    def request_file(self, file: Entry, method: str, conditions: tuple[tuple[str, str], ...]) -> Response | Entry:
        """Request a file.

        Returns:
            The response; or the folder that the file turns out to be, if it is redirected to its own name with a slash.

        Raises:
            BadRedirect: redirected to anything outside the start folder, to another folder, or too often.
            FetchError: no response came.
        """
        url = file.url
        for _ in range(_MAX_REDIRECTS + 1):
            wanted = (WANT,) if method == "GET" and not self._client.has_field(WANT[0]) else ()
            response = self._client.fetch(url, method=method, headers=(*_FILE, *wanted, *conditions))
            response.check_digest()
            there = _other_url(url, response)
            if there is None:
                return response
            entry = below(there, self._start)
            if entry is not None and not any(map(unsafe, entry.names)) and not entry.is_folder:
                if there.text == response.url:  # the client follows redirections itself
                    return response
                response.drain()
                url = entry.url
                continue
            response.drain()
            if entry is not None and entry.names == file.names:
                return entry
            raise BadRedirect(f"redirected to {there.text}, which is not a file below {self._start.url.text}")
        raise BadRedirect(f"redirected more than {_MAX_REDIRECTS} times")


def expect_whole(response: Response) -> None:
    """Refuse a response that is not a whole file or page.

    Raises:
        BadStatus: it is not a success.
        BrokenResponse: it is another success than 200.
    """
    if response.status != 200:
        with suppress(FetchError):
            response.read(_REFUSAL_BYTES)
        response.raise_for_status()
        raise BrokenResponse(f"{response.url}: {response.status} is not a complete response")


def _other_url(requested: Url, response: Response) -> Url | None:
    """Return the URL that a response came from or redirects to, if it differs from the one requested.

    Raises:
        BadRedirect: it is not an http or https URL.
    """
    try:
        if response.url != requested.text:
            return parse_url(response.url)
        location = response.location if response.status in REDIRECTS else None
        return None if location is None else join(requested, location)
    except BadRedirect:
        response.close()
        raise
    except BadUrl as error:
        response.close()
        raise BadRedirect(f"redirected to a URL that cannot be followed: {error}") from error
