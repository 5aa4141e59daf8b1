"""The file on the server: requested whole or in part, and checked to be of one version."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from httpmini.client.client import Client
from httpmini.client.download.plan import Plan, Segment
from httpmini.client.response import Response
from httpmini.client.url import parse_url
from httpmini.client.versions import strong_validators
from httpmini.errors import BadStatus, BrokenResponse, FetchError, NotConnected, TimedOut, TooLarge
from httpmini.protocol.message import Headers

OVERLAP_BYTES = 64 * 1024
"""How many bytes of a part are compared with what the server sends before more is appended."""
# RFC 9110 §14.1: range units ignore case; §14.4: the length may be unknown.
_CONTENT_RANGE = re.compile(
    r"bytes[ ]+(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<length>[0-9]{1,18}|\*)", re.ASCII | re.IGNORECASE
)
# RFC 9530 §3: a dictionary of digests, each between colons.
_REPR_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:(?P<digest>[A-Za-z0-9+/=]+):", re.ASCII)
_LATER = (429, 502, 503, 504)  # the server asks to come back: the part will be of use then


class Changed(Exception):
    """The server has another version than the one that the part is of."""


class Unusable(Exception):
    """The server cannot, or does not, send the requested part of this version; it may still send all of it.

    Attributes:
        error: what is wrong with its response.
    """

    def __init__(self, error: FetchError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Rest:
    """A part of the file on its way.

    Attributes:
        response: its body is the part.
        first: offset of its first byte in the file.
        end: offset after its last byte.
    """

    response: Response
    first: int
    end: int


class Source:
    """Sends the requests of a download, and remembers what the responses tell about the file.

    The bytes are taken as they come: a coding that nobody asked for is part of the file (a .tar.gz that is sent with
    Content-Encoding), and ranges and digests are of the coded bytes (RFC 9110 §8.4, §14.2).

    Args:
        client: sends the requests.
        url: of the file.
        headers: fields for each request.

    Attributes:
        url: as given.
        shown: the URL as it may be shown, without a password.
        last: the last response; None before the first.
        digest: the SHA-256 that the server has announced, in hexadecimal; empty if it has not.
        used: how many responses have had a part in the file.
        retries: for each segment; counted from the start again whenever bytes have come.
    """

    def __init__(self, client: Client, url: str, headers: tuple[tuple[str, str], ...]) -> None:
        self.url = url
        self.shown = parse_url(url).text
        self.last: Response | None = None
        self.digest = ""
        self.used = 0
        self.retries = client.retries
        self._client = client
        self._headers = (*headers, ("Accept-Encoding", "identity"))

    def forget(self) -> None:
        """Forget what was learned about a version that has been replaced."""
        self.used, self.digest = 0, ""

    def check_size(self, size: int) -> None:
        """Refuse a file of ``size`` bytes if a response of that size would be refused.

        Raises:
            TooLarge: it would.
        """
        most = self._client.limits.body_bytes
        if most is not None and size > most:
            raise TooLarge(f"{self.shown}: the file has more than {most} bytes")

    def request_all(self, *, exact: bool = False) -> Response:
        """Request the whole file.

        Args:
            exact: take a 200 only, and no other success.

        Raises:
            BadStatus: the server refuses it.
            BrokenResponse: the response is only a part of it.
            FetchError: no response came.
        """
        response = self._fetch("GET")
        try:
            self._note(response)
            if response.status == 206:
                raise BrokenResponse("the server sent a part (206) that was not requested", "content-range")
            response.raise_for_status()
            if exact and response.status != 200:
                raise _bad_status(response)
        except BaseException:
            response.close()
            raise
        self.used += 1
        return response

    def request_rest(self, plan: Plan, segment: Segment) -> Rest:
        """Request what is missing of a segment, and a little that is there already (RFC 9110 §13.1.5, §14.2).

        Raises:
            Changed: the response is not of the version that the part is of.
            Unusable: it is not a part that could be used.
            BadStatus: the server will not send it now.
            FetchError: no response came.
        """
        first = max(segment.start, segment.done - OVERLAP_BYTES)
        last = "" if segment.end < 0 else str(segment.end - 1)
        try:
            response = self._fetch("GET", ("Range", f"bytes={first}-{last}"), ("If-Range", plan.validator))
        except BrokenResponse as error:
            raise Unusable(error) from error
        except TimedOut as error:
            raise (Unusable(error) if error.phase == "first byte" else error) from error
        try:
            rest = _check_part(plan, segment, response)
            self._note(response)
            self.check_size(plan.length)
        except BaseException:
            response.close()
            raise
        return rest

    def confirm(self, plan: Plan, *, resumed: bool) -> None:
        """Check that a file assembled from several responses is still the version on the server.

        A file that is rewritten in place may have had one tag and two contents, so that equal tags in the responses
        alone prove nothing. A HEAD costs least, but servers refuse it, or answer it without a tag or with another: only
        a GET can say that the file has changed.

        Args:
            plan: of the file.
            resumed: whether part of it came from an earlier call.

        Raises:
            Changed: it is not.
            FetchError: no response came to the GET.
        """
        if self.used < 2 and not resumed:
            return
        try:
            if self._is_confirmed("HEAD", plan):
                return
        except (BrokenResponse, NotConnected, TimedOut):
            pass  # GET may go better
        if self._is_confirmed("GET", plan) is False:
            raise Changed

    def _is_confirmed(self, method: str, plan: Plan) -> bool | None:
        """Ask whether the server still has this version; None if its response does not tell."""
        with self._fetch(method) as response:
            if not response.ok:
                return None
            tag, date = response.headers.get("ETag"), response.headers.get("Last-Modified")
            told = tag if plan.entity_tag else date
            same = is_version(plan, response.headers)
            if same or not told:
                self._note_digest(response)
            return same if told else None

    def _fetch(self, method: str, *conditions: tuple[str, str]) -> Response:
        response = self._client.fetch(self.url, method=method, headers=(*self._headers, *conditions))
        response.keep_codings()
        return response

    def _note(self, response: Response) -> None:
        self.last = response
        self._note_digest(response)

    def _note_digest(self, response: Response) -> None:
        self.digest = digest_of(response.headers) or self.digest


def digest_of(headers: Headers) -> str:
    """Return the SHA-256 of the whole file that a response names, in hexadecimal; "" if it names none."""
    match = _REPR_DIGEST.search(", ".join(headers.all("Repr-Digest")))
    return _to_hex(match["digest"]) if match else ""


def is_version(plan: Plan, headers: Headers) -> bool:
    """Whether a response is of the version in ``plan``, by its entity tag, or by its date if there is no tag."""
    tag, date = strong_validators(headers)
    return tag == plan.entity_tag if plan.entity_tag else date == plan.last_modified


def _check_part(plan: Plan, segment: Segment, response: Response) -> Rest:
    """Return the part that a response brings: any that continues what is there will do (RFC 9110 §14.4, §15.3.7)."""
    if response.status in (200, 416):
        raise Changed
    if response.status != 206:
        error = _bad_status(response)
        raise error if response.status in _LATER else Unusable(error)
    value = response.headers.get("Content-Range") or ""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        raise Unusable(BrokenResponse(f"{response.url}: a part (206) with Content-Range {value!r}", "content-range"))
    first, end = int(match["first"]), int(match["last"]) + 1
    length = plan.length if match["length"] == "*" else int(match["length"])
    if plan.length not in (-1, length) or _is_other_version(plan, response.headers):
        raise Changed
    overlaps = first < segment.done or first == segment.start or is_version(plan, response.headers)
    if not (first <= segment.done < end and end <= length and overlaps):
        wanted = f"the bytes from {segment.done}"
        raise Unusable(BrokenResponse(f"{response.url}: requested {wanted}, got {value!r}", "content-range"))
    return Rest(response, first, end)


def _bad_status(response: Response) -> BadStatus:
    return BadStatus(f"{response.url}: {response.status} {response.reason}".rstrip(), response.status)


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
