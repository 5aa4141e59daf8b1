"""A transfer as a JSON object, for scripts: every key is always present, null where nothing is known."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from httpmini.client.response import Response
from httpmini.client.transport.timings import Timings
from httpmini.errors import FetchError, HttpminiError

if TYPE_CHECKING:
    from httpmini.client.download.download import Downloaded

# Attributes of errors that are reported beside the message.
_DETAILS = ("phase", "limit_s", "rule", "offset", "status")


@dataclass
class Transfer:
    """What is known of a transfer so far.

    Attributes:
        url: as requested, without a password.
        response: the response; the first one if a download needed several.
        downloaded: the resulting file of a download.
        wire_bytes: size of the body on the wire; None if only decoded bytes were counted.
        decoded_bytes: size of the body after decoding.
        sha256: of the decoded body or the saved file, in hexadecimal.
        path: of the file that was written.
        error: what went wrong.
        exit_status: for that error.
    """

    url: str
    response: Response | None = None
    downloaded: Downloaded | None = None
    wire_bytes: int | None = None
    decoded_bytes: int | None = None
    sha256: str | None = None
    path: str | None = None
    error: HttpminiError | None = None
    exit_status: int = 0
    _started: float = field(default_factory=time.monotonic)

    def fail(self, error: HttpminiError, exit_status: int = 1) -> None:
        """Note that it ended with ``error``; ``exit_status`` is for errors that have none of their own."""
        self.error = error
        self.exit_status = error.exit_status if isinstance(error, FetchError) else exit_status

    def as_json(self) -> bytes:
        """Return the object as one line."""
        return json.dumps(self._as_dict()).encode("ascii") + b"\n"

    def _as_dict(self) -> dict[str, Any]:
        response, downloaded = self.response, self.downloaded
        known = asdict(response.timings if response else Timings())
        timings = {name: value for name, value in known.items() if name.endswith("_s")}
        timings["total_s"] = time.monotonic() - self._started
        return {
            "url": self.url,
            "final_url": response.url if response else None,
            "status": response.status if response else None,
            "reason": response.reason if response else None,
            "version": "{}.{}".format(*response.version) if response else None,
            "redirects": [{"status": status, "url": url} for status, url in response.history] if response else [],
            "headers": [list(field) for field in response.headers] if response else None,
            "sizes": {"wire": self.wire_bytes, "decoded": self.decoded_bytes},
            "sha256": self.sha256,
            "timings": {name: None if value is None else round(value, 6) for name, value in timings.items()},
            "file": self.path,
            "resumed_from": downloaded.resumed_from if downloaded else 0,
            "error": self._error_as_dict(),
        }

    def _error_as_dict(self) -> dict[str, Any] | None:
        if self.error is None:
            return None
        details = {name: getattr(self.error, name) for name in _DETAILS if hasattr(self.error, name)}
        kind = type(self.error).__name__
        return {"kind": kind, "message": str(self.error), "exit_status": self.exit_status, **details}
