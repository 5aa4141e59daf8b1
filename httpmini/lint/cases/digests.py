"""Requests for a digest of the whole file (Want-Repr-Digest, RFC 9530)."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from httpmini.lint.cases.build import KEEP, KEPT, TEN, Case, Expected, ask, case
from httpmini.lint.cases.site_tree import BIG

# Computed here, and written out for the file that everybody knows.
SHA_256 = "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:"
SHA_512 = f"sha-512=:{b64encode(hashlib.sha512(TEN).digest()).decode()}:"
OF_BIG = f"sha-256=:{b64encode(hashlib.sha256(BIG).digest()).decode()}:"
OF_NOTHING = f"sha-256=:{b64encode(hashlib.sha256(b'').digest()).decode()}:"


def digest(name: str, want: str, told: str | None, target: str = "/ten.txt", body: bytes = TEN) -> Case:
    """Make a case in which ``want`` are the lines that ask for a digest."""
    wanted = Expected(200, body, fields={"repr-digest": told, "content-digest": None, "vary": None})
    return case(f"digest: {name}", f"GET {target} HTTP/1.0\r\n{want}\r\n\r\n", wanted)


def want(name: str, value: str, told: str | None) -> Case:
    """Make a case in which Want-Repr-Digest has a value."""
    return digest(name, f"Want-Repr-Digest: {value}", told)


def none_with(name: str, request: str, status: int, reason: str = "") -> Case:
    """Make a case whose response has no digest: it is not about a representation of a file, or has no body."""
    expected = Expected(status, reason=reason, fields={"repr-digest": None})
    return case(f"no digest: {name}", f"{request}Want-Repr-Digest: sha-256=1\r\n\r\n", expected)


CASES: tuple[Case, ...] = (
    digest("not asked for", "X: sha-256=1", None),
    want("sha-256", "sha-256=1", SHA_256),
    want("sha-512", "sha-512=10", SHA_512),
    want("the preferred one", "sha-512=3, sha-256=10", SHA_256),
    want("the other preferred one", "sha-512=5,sha-256=4", SHA_512),
    want("on a tie", "sha-512=7, sha-256=7", SHA_256),
    want("not acceptable", "sha-256=0", None),
    want("one not acceptable", "sha-256=0, sha-512=1", SHA_512),
    want("none acceptable", "sha-256=0, sha-512=0", None),
    want("unknown algorithms", "md5=10, unixsum=9, x*-_.1=8, sha-256=1", SHA_256),
    want("unknown algorithms alone", "md5=10, sha=3", None),
    want("unknown algorithms of any type", 'a, b=?1, c="d, e\\"", f=(1 "2" g);h=:aa==:, i=-1.5, sha-256=2', SHA_256),
    want("with parameters", "sha-256=9;a=1; b", SHA_256),
    want("twice, the later one counts", "sha-256=10, sha-512=5, sha-256=1", SHA_512),
    digest("in two fields", "Want-Repr-Digest: sha-256=1\r\nwant-repr-digest:\tsha-512=2", SHA_512),
    want("malformed: empty", "", None),
    want("malformed: no comma", "sha-256=1 sha-512=2", None),
    want("malformed: two commas", "sha-256=1,,sha-512=2", None),
    want("malformed: a comma at the end", "sha-256=1,", None),
    want("malformed: capitals", "SHA-256=1", None),
    want("malformed: a blank before the weight", "sha-256= 1", None),
    want("malformed: an open string", 'sha-256=1, a="b', None),
    want("malformed: another field's syntax", "sha-256;q=0.5", None),
    want("weight: above 10", "sha-256=11, sha-512=1", None),
    want("weight: negative", "sha-256=-1", None),
    want("weight: a decimal", "sha-256=1.0", None),
    want("weight: a string", 'sha-256="1"', None),
    want("weight: true", "sha-256", None),
    digest("of nothing", "Want-Repr-Digest: sha-256=1", OF_NOTHING, "/empty.txt", b""),
    digest("of 3 MiB", "Want-Repr-Digest: sha-256=1", OF_BIG, "/big.bin", BIG),
    digest("through a link", "Want-Repr-Digest: sha-256=1", SHA_256, "/link-in.txt"),
    case(
        "digest: with HEAD",
        "HEAD /ten.txt HTTP/1.0\r\nWant-Repr-Digest: sha-256=1\r\n\r\n",
        Expected(200, b"", fields={"repr-digest": SHA_256, "content-length": "10"}, head_only=True),
    ),
    case(
        "digest: of the whole file with a part",
        "GET /ten.txt HTTP/1.0\r\nRange: bytes=2-4\r\nWant-Repr-Digest: sha-256=1\r\n\r\n",
        Expected(206, b"234", fields={"repr-digest": SHA_256, "content-length": "3"}),
    ),
    case(
        "digest: of the whole file with several parts",
        "GET /ten.txt HTTP/1.0\r\nRange: bytes=0-1,4-5\r\nWant-Repr-Digest: sha-256=1\r\n\r\n",
        Expected(206, fields={"repr-digest": SHA_256}),
    ),
    none_with("304", "GET /ten.txt HTTP/1.0\r\nIf-None-Match: *\r\n", 304),
    none_with("412", 'GET /ten.txt HTTP/1.0\r\nIf-Match: "x"\r\n', 412, "precondition-failed"),
    none_with("416", "GET /ten.txt HTTP/1.0\r\nRange: bytes=10-\r\n", 416, "range-unsatisfiable"),
    none_with("404", "GET /nothing HTTP/1.0\r\n", 404, "not-found"),
    none_with("a redirection", "GET /sub HTTP/1.0\r\n", 301),
    none_with("a listing", "GET /sub/ HTTP/1.0\r\n", 200),
    none_with("OPTIONS", "OPTIONS /ten.txt HTTP/1.0\r\n", 204),
    case(
        "digest: only for the request that asks",
        ask("/ten.txt", KEEP)
        + ask("/ten.txt", KEEP).replace("\r\n\r\n", "\r\nWant-Repr-Digest: sha-256=1\r\n\r\n")
        + ask("/ten.txt", KEEP),
        Expected(200, TEN, fields={"repr-digest": None}),
        Expected(200, TEN, fields={"repr-digest": SHA_256}),
        Expected(200, TEN, fields={"repr-digest": None}),
    ),
    case(
        "kept over a digest",
        ask("/big.bin", KEEP)[:-2] + "Want-Repr-Digest: sha-256=1\r\n\r\n" + ask("/ten.txt", KEEP),
        Expected(200, BIG, fields={"repr-digest": OF_BIG}),
        KEPT,
    ),
)
