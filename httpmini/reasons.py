"""Why a request is refused: one row for each cause, with a token that never changes.

A 400 alone says little. Each refusal carries its row: the error page explains it, and a test asserts on it.
"""

from __future__ import annotations

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """A cause for a 4xx or 5xx.

    Attributes:
        token: its stable name.
        status: the status code that it is answered with.
        section: the RFC section that says so.
        text: one sentence for a person.
    """

    token: str
    status: int
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.token} ({self.section})"


_ROWS = (
    # The request line.
    Reason("not-http", 400, "RFC 9112 §2.2", "These bytes do not begin an HTTP message."),
    Reason(
        "http2-preface", 400, "RFC 9113 §3.4", "This is an HTTP/2 connection preface; only HTTP/1.x is spoken here."
    ),
    Reason("request-line", 400, "RFC 9112 §3", "The request line is not a method, a target and a version."),
    Reason("version", 400, "RFC 9112 §2.3", "The version is not HTTP/digits.digits."),
    Reason("version-major", 505, "RFC 9110 §15.6.6", "Only HTTP/1.x is spoken here, and 0.9 without a version."),
    Reason("simple-request-method", 400, "RFC 1945 §4.1", "A request without a version can only be a GET."),
    Reason("target-long", 414, "RFC 9110 §15.5.15", "The request target is longer than this server takes."),
    Reason(
        "target-character", 400, "RFC 9112 §3.2", "The request target has a character that must be percent-encoded."
    ),
    Reason("target-form", 400, "RFC 9112 §3.2", "The request target is neither a path nor an http URL."),
    Reason("target-userinfo", 400, "RFC 9110 §4.2.4", "The target has a user name in it."),
    Reason(
        "target-percent",
        400,
        "RFC 3986 §2.1",
        "A percent sign in the target is not followed by two hexadecimal digits.",
    ),
    Reason("target-nul", 400, "RFC 3986 §7.3", "The target has a percent-encoded NUL."),
    # The header fields.
    Reason("head-long", 431, "RFC 6585 §5", "The head is longer than is taken here."),
    Reason("fields-many", 431, "RFC 6585 §5", "The head has more fields than are taken here."),
    Reason("head-incomplete", 400, "RFC 9112 §8", "The connection ended in the middle of the request head."),
    Reason("head-slow", 408, "RFC 9110 §15.5.9", "The request head was not complete in time."),
    Reason("field-folded", 400, "RFC 9112 §5.2", "A header field is folded over several lines."),
    Reason("field-colon", 400, "RFC 9112 §5", "A header line has no colon."),
    Reason("field-name", 400, "RFC 9110 §5.1", "A header field name is not a token."),
    Reason("field-name-space", 400, "RFC 9112 §5.1", "There is white space between a field name and its colon."),
    Reason("field-value", 400, "RFC 9110 §5.5", "A header field value has a control character."),
    Reason("host-missing", 400, "RFC 9112 §3.2", "An HTTP/1.1 request must have a Host field."),
    Reason("host-repeated", 400, "RFC 9112 §3.2", "A request must not have more than one Host field."),
    Reason("host-value", 400, "RFC 9112 §3.2", "The Host field is not a host with or without a port."),
    Reason("content-length", 400, "RFC 9112 §6.3", "Content-Length is not one decimal number."),
    Reason("transfer-encoding", 400, "RFC 9112 §6.1", "Transfer codings belong to HTTP/1.1; this server takes none."),
    # What the site says.
    Reason("method-unknown", 501, "RFC 9110 §15.6.2", "This method is not known here."),
    Reason("method-not-allowed", 405, "RFC 9110 §15.5.6", "Files can only be read here: GET, HEAD and OPTIONS."),
    Reason("credentials-missing", 401, "RFC 9110 §15.5.2", "This needs a user name and a password."),
    Reason(
        "credentials-malformed", 401, "RFC 7617 §2", "What came as credentials is not Basic, base64 of user:password."
    ),
    Reason("credentials-wrong", 401, "RFC 9110 §15.5.2", "The user name or the password is wrong."),
    Reason("not-found", 404, "RFC 9110 §15.5.5", "There is nothing under this name."),
    Reason("forbidden", 403, "RFC 9110 §15.5.4", "The server may not read this."),
    Reason("precondition-failed", 412, "RFC 9110 §15.5.13", "It is not in the state that the request expects."),
    Reason("range-unsatisfiable", 416, "RFC 9110 §15.5.17", "Nothing of the range that was asked for exists."),
    Reason("no-listing", 403, "RFC 9110 §15.5.4", "This folder has no index page, and its content is not listed."),
    Reason("address-denied", 403, "RFC 9110 §15.5.4", "Your address is not allowed to use this server."),
    Reason("address-clients", 429, "RFC 6585 §4", "Your address has all the connections that one may have here."),
    Reason("address-requests", 429, "RFC 6585 §4", "Your address has asked more often than one may here."),
    # What our client says of a server (a gateway would answer 502).
    Reason("status-line", 502, "RFC 9112 §4", "The answer does not begin with a status line."),
    Reason(
        "answer-coding",
        502,
        "RFC 9112 §6.1",
        "The answer has a transfer coding beside a length, or one that is not chunked.",
    ),
    Reason("chunk", 502, "RFC 9112 §7.1", "A chunk of the answer is not what a chunk looks like."),
    # What the server says of itself.
    Reason("too-many-clients", 503, "RFC 9110 §15.6.4", "All places are taken. Please try again in a moment."),
    Reason(
        "out-of-resources", 503, "RFC 9110 §15.6.4", "The machine is out of resources. Please try again in a moment."
    ),
    Reason("users-unreadable", 500, "RFC 9110 §15.6.1", "The server could not read its list of users."),
    Reason("disk-error", 500, "RFC 9110 §15.6.1", "The server could not read this from its disk."),
    Reason("fault", 500, "RFC 9110 §15.6.1", "The server made a mistake; it has been logged."),
)


def as_markdown() -> str:
    """All reasons as a page; ``docs/reasons.md`` is this (``make docs``)."""
    lines = [
        "# Reasons",
        "",
        "Every refusal has one: on the error page, in the access log (`reason=`, and the byte of the message at which",
        "it went wrong, where there is one) and in the tests. Tokens never change. Made from `httpmini/reasons.py`.",
        "",
        "| reason | status | section | |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{row.token}` | {row.status} | {row.section} | {row.text} |" for row in _ROWS]
    return "\n".join(lines) + "\n"


REASONS = {reason.token: reason for reason in _ROWS}
"""Every reason by its token."""
