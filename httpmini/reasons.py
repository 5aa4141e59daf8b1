"""Why a request is refused: one row for each cause, with a token that never changes.

A status alone says little. Each refusal carries its row: the error page explains it, and tests check for it.
"""

from __future__ import annotations

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """A cause for a 4xx or 5xx.

    Attributes:
        token: its stable name.
        status: the status code of the response.
        section: the RFC section that requires it.
        text: one sentence for the user.
    """

    token: str
    status: int
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.token} ({self.section})"


_ROWS = (
    # The request line.
    Reason("not-http", 400, "RFC 9112 §2.2", "These bytes are not the beginning of an HTTP message."),
    Reason(
        "http2-preface", 400, "RFC 9113 §3.4", "This is an HTTP/2 connection preface; this server speaks HTTP/1.x only."
    ),
    Reason(
        "plain-on-tls",
        400,
        "RFC 9110 §4.2.2",
        "This port speaks TLS: the address begins with https://, not with http://.",
    ),
    Reason("request-line", 400, "RFC 9112 §3", "The request line must have a method, a target and a version."),
    Reason("version", 400, "RFC 9112 §2.3", "The version is not of the form HTTP/digits.digits."),
    Reason(
        "version-major", 505, "RFC 9110 §15.6.6", "This server speaks HTTP/1.x only, and HTTP/0.9 without a version."
    ),
    Reason("simple-request-method", 400, "RFC 1945 §4.1", "A request without a version must be a GET."),
    Reason("target-long", 414, "RFC 9110 §15.5.15", "The request target is longer than this server accepts."),
    Reason(
        "target-character",
        400,
        "RFC 9112 §3.2",
        "The request target contains a character that must be percent-encoded.",
    ),
    Reason("target-form", 400, "RFC 9112 §3.2", "The request target is neither a path nor an http URL."),
    Reason("target-userinfo", 400, "RFC 9110 §4.2.4", "The request target contains a user name."),
    Reason(
        "target-percent",
        400,
        "RFC 3986 §2.1",
        "A percent sign in the request target is not followed by two hexadecimal digits.",
    ),
    Reason("target-nul", 400, "RFC 3986 §7.3", "The request target contains a percent-encoded NUL."),
    # The header fields.
    Reason("head-long", 431, "RFC 6585 §5", "The request head is longer than this server accepts."),
    Reason("fields-many", 431, "RFC 6585 §5", "The request head has more fields than this server accepts."),
    Reason("head-incomplete", 400, "RFC 9112 §8", "The connection ended in the middle of the request head."),
    Reason("head-slow", 408, "RFC 9110 §15.5.9", "The request head was not complete in time."),
    Reason("field-folded", 400, "RFC 9112 §5.2", "A header field is folded over several lines."),
    Reason("field-colon", 400, "RFC 9112 §5", "A header line has no colon."),
    Reason("field-name", 400, "RFC 9110 §5.1", "The name of a header field is not a token."),
    Reason(
        "field-name-space",
        400,
        "RFC 9112 §5.1",
        "There is white space between the name of a header field and its colon.",
    ),
    Reason("field-value", 400, "RFC 9110 §5.5", "The value of a header field contains a control character."),
    Reason("host-missing", 400, "RFC 9112 §3.2", "An HTTP/1.1 request must have a Host field."),
    Reason("host-repeated", 400, "RFC 9112 §3.2", "A request must not have more than one Host field."),
    Reason("host-value", 400, "RFC 9112 §3.2", "The Host field is not a host name or address with an optional port."),
    Reason("content-length", 400, "RFC 9112 §6.3", "Content-Length is not a single decimal number."),
    Reason("transfer-encoding", 400, "RFC 9112 §6.1", "The request has a transfer coding; this server accepts none."),
    # The site.
    Reason("method-unknown", 501, "RFC 9110 §15.6.2", "This server does not know this method."),
    Reason("method-not-allowed", 405, "RFC 9110 §15.5.6", "Files can only be read: with GET, HEAD and OPTIONS."),
    Reason("credentials-missing", 401, "RFC 9110 §15.5.2", "A user name and a password are required."),
    Reason("credentials-malformed", 401, "RFC 7617 §2", "The credentials must be Basic, with user:password in base64."),
    Reason("too-many-guesses", 429, "RFC 6585 §4", "Too many wrong passwords came from your address; wait a little."),
    Reason("credentials-wrong", 401, "RFC 9110 §15.5.2", "The user name or the password is wrong."),
    Reason("not-found", 404, "RFC 9110 §15.5.5", "There is nothing at this address."),
    Reason("forbidden", 403, "RFC 9110 §15.5.4", "The server has no permission to read this."),
    Reason("precondition-failed", 412, "RFC 9110 §15.5.13", "The file is not in the state that the request requires."),
    Reason("range-unsatisfiable", 416, "RFC 9110 §15.5.17", "The file contains nothing of the requested range."),
    Reason("archive-busy", 429, "RFC 6585 §4", "Your address is being sent an archive already; wait for its end."),
    Reason("archive-files", 403, "RFC 9110 §15.5.4", "This folder has too many files to be sent as one."),
    Reason("archive-bytes", 403, "RFC 9110 §15.5.4", "This folder is too large to be sent as one file."),
    Reason("archive-slow", 503, "RFC 9110 §15.6.4", "It takes too long to find out what is in this folder."),
    Reason("no-listing", 403, "RFC 9110 §15.5.4", "This folder has no index page, and listings are turned off."),
    Reason("address-denied", 403, "RFC 9110 §15.5.4", "Your address is not allowed to use this server."),
    Reason("client-unknown", 403, "RFC 9110 §15.5.4", "A proxy in front of this server did not say who its client is."),
    Reason("address-clients", 429, "RFC 6585 §4", "Your address has reached its limit of connections."),
    Reason("address-requests", 429, "RFC 6585 §4", "Your address has reached its limit of requests."),
    # Found by the client in a response (a gateway would send 502).
    Reason("status-line", 502, "RFC 9112 §4", "The response does not begin with a status line."),
    Reason(
        "answer-coding",
        502,
        "RFC 9112 §6.1",
        "The response has a transfer coding as well as a length, or one that is not chunked.",
    ),
    Reason("chunk", 502, "RFC 9112 §7.1", "A chunk of the response is malformed."),
    # The server itself.
    Reason("too-many-clients", 503, "RFC 9110 §15.6.4", "The server is full. Please try again in a moment."),
    Reason(
        "out-of-resources", 503, "RFC 9110 §15.6.4", "The server is out of resources. Please try again in a moment."
    ),
    Reason("users-unreadable", 500, "RFC 9110 §15.6.1", "The server could not read its list of users."),
    Reason("disk-error", 500, "RFC 9110 §15.6.1", "The server could not read this from disk."),
    Reason("fault", 500, "RFC 9110 §15.6.1", "An internal error occurred; it has been logged."),
)


def as_markdown() -> str:
    """Return all reasons as a page: the text of ``docs/reasons.md`` (``make docs``)."""
    lines = [
        "# Reasons",
        "",
        "Every refusal has a reason. It is shown on the error page and logged in the access log:",
        "`reason=`, with the byte of the message at which it went wrong, if there is one. Tokens never",
        "change. This page is generated from `httpmini/reasons.py` (`make docs`).",
        "",
        "| reason | status | section | |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{row.token}` | {row.status} | {row.section} | {row.text} |" for row in _ROWS]
    return "\n".join(lines) + "\n"


REASONS = {reason.token: reason for reason in _ROWS}
"""All reasons by token."""
