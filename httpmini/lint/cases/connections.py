"""Connections that are kept, and requests that arrive together."""

from __future__ import annotations

from httpmini.lint.cases.build import CLOSED, HEAD, KEEP, KEPT, LAST_MODIFIED, TEN, Case, Expected, ask, case, last
from httpmini.lint.cases.site_tree import BIG

CONNECTIONS = (
    case("kept, 1.0", ask("/ten.txt", KEEP), KEPT),
    case("kept, 1.1", ask("/ten.txt", KEEP, version="1.1"), KEPT),
    *(
        case(f"kept: {value!r}", ask("/ten.txt", value), KEPT)
        for value in ("Keep-Alive", ",keep-alive", "keep-alive,,TE", " TE , keep-alive ")
    ),
    *(
        case(f"closed: {value!r}", ask("/ten.txt", value), CLOSED)
        for value in ("close", "keep-alive, close", "Close", ",close", "x", "", "keepalive")
    ),
    case("two kept", ask("/ten.txt", KEEP) * 2, KEPT, KEPT),
    case("an empty line between two", ask("/ten.txt", KEEP) + "\r\n" + ask("/ten.txt", KEEP), KEPT, KEPT),
    case("nothing after close", ask("/ten.txt", KEEP) + ask("/ten.txt", "close") + ask("/sub/", KEEP), KEPT, CLOSED),
    case("nothing after a refusal", ask("/ten.txt", KEEP) + "X\r\n\r\n" + ask("/ten.txt", KEEP), KEPT, Expected(400)),
    case("kept over a 404", ask("/no", KEEP) + ask("/ten.txt", KEEP), Expected(404), KEPT),
    case("kept over a 405", ask("/no", KEEP, "PUT") + ask("/ten.txt", KEEP), Expected(405), KEPT),
    case("kept over a 301", ask("/sub", KEEP) + ask("/ten.txt", KEEP), Expected(301), KEPT),
    case("kept over an empty file", ask("/empty.txt", KEEP) + ask("/ten.txt", KEEP), Expected(200, b""), KEPT),
    case("kept over a listing", ask("/sub/", KEEP) + ask("/ten.txt", KEEP), Expected(200), KEPT),
    case(
        "kept over HEAD",
        ask("/ten.txt", KEEP, "HEAD") + ask("/ten.txt", KEEP),
        Expected(200, b"", head_only=True),
        KEPT,
    ),
    case(
        "kept over a 304",
        f"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n"
        + ask("/ten.txt", KEEP),
        Expected(304, b""),
        KEPT,
    ),
    case("kept over 3 MiB", ask("/big.bin", KEEP) + ask("/ten.txt", KEEP), Expected(200, BIG), KEPT),
    case("twenty kept", ask("/ten.txt", KEEP) * 20, *([KEPT] * 20)),
    case("end in the second head", ask("/ten.txt", KEEP) + "GET /t", KEPT, Expected(400, reason="head-incomplete")),
    case("1.1 goes on only when it says so", "GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 2, CLOSED),
)

# B25: Connection is a list.
CONNECTION_LISTS = (
    *(
        case(f"list that keeps: {value!r}", ask("/ten.txt", value), KEPT)
        for value in ("KEEP-ALIVE", "\tkeep-alive\t", "x,keep-alive,y", "closed, keep-alive", ", ,keep-alive, ,")
    ),
    *(
        case(f"list that closes: {value!r}", ask("/ten.txt", value), CLOSED)
        for value in (
            "close,,TE",
            "close, keep-alive",
            "keep-alive,CLOSE",
            "x, close , y",
            "keep-alive;timeout=5",
            '"keep-alive"',
            "keep alive",
            "keep-alive=1",
            "keep-alive x",
        )
    ),
    case("list in two fields", ask("/ten.txt", "keep-alive\r\nConnection: close"), CLOSED),
    case("list in two fields that keeps", ask("/ten.txt", "TE\r\nConnection: keep-alive"), KEPT),
    case("Keep-Alive alone is not asking", "GET /ten.txt HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", CLOSED),
    case(
        "Proxy-Connection is not Connection",
        "GET /ten.txt HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n",
        Expected(200, TEN, fields={"connection": "close"}),
    ),
)


def _step(status: int, body: bytes | None = None, *, head_only: bool = False) -> Expected:
    return Expected(status, body, fields={"connection": "keep-alive"}, head_only=head_only)


def _kept(start: str, more: str = "") -> str:
    return f"{start} HTTP/1.0\r\nConnection: keep-alive\r\n{more}\r\n"


# B26: requests on one connection, named by one letter each.
STEPS: dict[str, tuple[str, Expected]] = {
    "g": (_kept("GET /ten.txt"), KEPT),
    "h": (_kept("HEAD /ten.txt"), _step(200, b"", head_only=True)),
    "H": (_kept("HEAD /no"), _step(404, b"", head_only=True)),
    "n": (_kept("GET /ten.txt", "If-None-Match: *\r\n"), _step(304, b"")),
    "e": (_kept("GET /empty.txt"), _step(200, b"")),
    "p": (_kept("GET /ten.txt", "Range: bytes=2-4\r\n"), _step(206, b"234")),
    "P": (_kept("GET /ten.txt", "Range: bytes=0-0,-1\r\n"), _step(206)),
    "u": (_kept("GET /ten.txt", "Range: bytes=10-\r\n"), _step(416)),
    "f": (_kept("GET /ten.txt", 'If-Match: "x"\r\n'), _step(412)),
    "m": (_kept("GET /sub"), _step(301)),
    "x": (_kept("GET /no"), _step(404)),
    "a": (_kept("PUT /ten.txt"), _step(405)),
    "k": (_kept("BREW /ten.txt"), _step(501)),
    "t": (_kept("GET x"), _step(400)),
    "o": (_kept("OPTIONS *"), _step(204, b"")),
    "l": (_kept("GET /sub/"), _step(200)),
    "b": (_kept("GET /big.bin"), Expected(200, BIG, fields={"connection": "keep-alive"})),
    "B": (_kept("GET /big.bin", "Range: bytes=5-1048580\r\n"), _step(206, BIG[5:1_048_581])),
    "1": (ask("/ten.txt", KEEP, version="1.1"), KEPT),
    "c": (ask("/ten.txt", "close"), CLOSED),
    "d": (f"GET /ten.txt {HEAD}", CLOSED),
    "r": ("GET /ten.txt HTTP/1.0\r\nX\r\n\r\n", last(400, "field-colon")),
    "v": ("GET /ten.txt HTTP/2.0\r\n\r\n", last(505, "version-major")),
}

ENDS = "cdrv"


def _sequence(letters: str) -> Case:
    """Pipelined requests; after one that ends the connection, there are no responses."""
    answered = next((letters[: at + 1] for at, letter in enumerate(letters) if letter in ENDS), letters)
    return case(
        f"pipelined {letters}",
        "".join(STEPS[letter][0] for letter in letters),
        *(STEPS[letter][1] for letter in answered),
    )


PIPELINED = tuple(
    map(
        _sequence,
        (
            "hg",
            "Hg",
            "hhhg",
            "hngHxg",
            "nnng",
            "nhnh",
            "eg",
            "eeeg",
            "ehe",
            "pg",
            "ppP",
            "Pg",
            "PuPg",
            "ug",
            "uhug",
            "fg",
            "fnfg",
            "mxm",
            "akto",
            "tg",
            "kg",
            "olog",
            "1g1h1n1",
            "Bg",
            "bhB",
            "gcg",
            "hdg",
            "nrg",
            "evg",
            "pPufmxaktolhHneg1d",
        ),
    )
)

CASES: tuple[Case, ...] = (
    *CONNECTIONS,
    *CONNECTION_LISTS,
    *PIPELINED,
)
