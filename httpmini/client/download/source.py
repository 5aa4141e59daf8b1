"""The file on the server: requested whole or in part, and checked to be of one version."""

from __future__ import annotations

import base64
import re

from httpmini.client.client import Client
from httpmini.client.download.part import Plan, Segment
from httpmini.client.response import Response
from httpmini.client.versions import strong_validators
from httpmini.errors import BadStatus, BrokenResponse
from httpmini.protocol.message import Headers

OVERLAP_BYTES = 64 * 1024
"""How many bytes of a part are compared with what the server sends before more is appended."""
_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<length>[0-9]{1,18})", re.ASCII)
# RFC 9530 §3: a dictionary of digests, each between colons.
_REPR_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:(?P<digest>[A-Za-z0-9+/=]+):", re.ASCII)


class Changed(Exception):
    """The server has another version than the one that the part is of."""


class Source:
    """Sends the requests of a download, and remembers what the responses tell about the file.

    Args:
        client: sends the requests.
        url: of the file.
        headers: fields for each request.

    Attributes:
        url: as given.
        last: the last response; None before the first.
        digest: the SHA-256 that the server has announced, in hexadecimal; empty if it has not.
    """

    def __init__(self, client: Client, url: str, headers: tuple[tuple[str, str], ...]) -> None:
        self.url = url
        self.last: Response | None = None
        self.digest = ""
        self._client = client
        self._headers = (*headers, ("Accept-Encoding", "identity"))
        self._responses = 0

    def forget(self) -> None:
        """Forget what was learned about a version that has been replaced."""
        self._responses, self.digest = 0, ""

    def request_all(self) -> Response:
        """Request the whole file.

        Raises:
            BadStatus: the server refuses it.
            BrokenResponse: the response is only a part of it.
            FetchError: no response came.
        """
        response = self._client.fetch(self.url, headers=self._headers)
        try:
            self._note(response)
            if response.status == 206:
                raise BrokenResponse("the server sent a part (206) that was not requested", "content-range")
            response.raise_for_status()
        except BaseException:
            response.close()
            raise
        return response

    def request_rest(self, plan: Plan, segment: Segment) -> tuple[Response, int]:
        """Request what is missing of a segment (RFC 9110 §13.1.5, §14.2).

        Returns:
            The response, and the number of its first bytes that the part has already; these are to be compared.

        Raises:
            Changed: it is not of the version that the part is of.
            BadStatus, BrokenResponse: it is not the requested part.
            FetchError: no response came.
        """
        first = max(segment.start, segment.done - OVERLAP_BYTES)
        last = "" if segment.end < 0 else str(segment.end - 1)
        conditions = (("Range", f"bytes={first}-{last}"), ("If-Range", plan.validator))
        response = self._client.fetch(self.url, headers=(*self._headers, *conditions))
        self._note(response)
        try:
            _check_part(plan, segment, first, response)
        except BaseException:
            response.close()
            raise
        return response, segment.done - first

    def confirm(self, plan: Plan, *, resumed: bool) -> None:
        """Check that a file assembled from several responses is still the version on the server.

        A file that is rewritten in place may have had one tag and two contents, so that equal tags in the responses
        alone prove nothing.

        Args:
            plan: of the file.
            resumed: whether part of it came from an earlier call.

        Raises:
            Changed: it is not.
            FetchError: no response came.
        """
        if self._responses < 2 and not resumed:
            return
        for method in ("HEAD", "GET"):  # some servers do not support HEAD
            with self._client.fetch(self.url, method=method, headers=self._headers) as response:
                if response.ok:
                    if not is_version(plan, response.headers):
                        raise Changed
                    self._note_digest(response)
                    return

    def _note(self, response: Response) -> None:
        self._responses += 1
        self.last = response
        self._note_digest(response)

    def _note_digest(self, response: Response) -> None:
        """Remember the announced digest. It says nothing about a body that is decoded here (RFC 9530 §3)."""
        match = _REPR_DIGEST.search(", ".join(response.headers.all("Repr-Digest")))
        if match and not response.codings:
            self.digest = _to_hex(match["digest"])


def is_version(plan: Plan, headers: Headers) -> bool:
    """Whether a response is of the version in ``plan``, by its entity tag, or by its date if there is no tag."""
    tag, date = strong_validators(headers)
    return tag == plan.entity_tag if plan.entity_tag else date == plan.last_modified


def _check_part(plan: Plan, segment: Segment, first: int, response: Response) -> None:
    if response.status in (200, 416):
        raise Changed
    if response.status != 206:
        raise BadStatus(f"{response.url}: {response.status} {response.reason}".rstrip(), response.status)
    value = response.headers.get("Content-Range") or ""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        raise BrokenResponse(f"a part (206) with Content-Range {value!r}", "content-range")
    length, end = int(match["length"]), int(match["last"]) + 1
    if plan.length not in (-1, length) or _is_other_version(plan, response.headers):
        raise Changed
    if int(match["first"]) != first or end > length or end not in (length, segment.end):
        raise BrokenResponse(f"requested the bytes from {first}, got {value!r}", "content-range")
    if segment.end < 0:
        plan.length = segment.end = length


def _is_other_version(plan: Plan, headers: Headers) -> bool:
    """Whether a part (206) claims to be of another version. It may leave out the date (RFC 9110 §15.3.7)."""
    pairs = ((headers.get("ETag"), plan.entity_tag), (headers.get("Last-Modified"), plan.last_modified))
    return next((found != known for found, known in pairs if found and known), False)


def _to_hex(digest: str) -> str:
    """Convert a digest from base64 to hexadecimal. An invalid one stays as it is, and matches no file."""
    try:
        return base64.b64decode(digest, validate=True).hex()
    except ValueError:
        return digest
