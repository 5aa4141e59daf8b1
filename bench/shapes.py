"""The dearest request by the shape of its head: the processor time of one, up to the limits, without sockets.

    python -m bench.shapes [--rounds N]

The site has 200 rules, 200 redirects, 20 realms, compressed neighbours and a listing. The best of several rounds
counts, because the machine may be busy; no shape should take more than 2 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from httpmini import config
from httpmini.daemon.build_http import build_http
from httpmini.daemon.build_site import build_site
from httpmini.server.core.connection import Interest
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.service import HttpService
from httpmini.server.listeners.peer import Peer
from httpmini.site.users import set_password

COUNT = 200
REALMS = 20
PATH_BYTES = 8000
FIELD_BYTES = 16000
GLOBS = ("/old-{0}/**", "*.x{0}", "/**/deep-{0}/*", "*a*b{0}")

LONG_GLOB = "/**/aaaaaa/**/aaaaaa/**/aaaaaa/**/aaaaaa/**/b"


def make_site(folder: Path) -> HttpService[HttpGeneration]:
    """Write the site and return what serves it."""
    root = folder / "www"
    (root / "few").mkdir(parents=True)
    for number in range(REALMS):
        (root / f"private-{number}" / "a" / "b").mkdir(parents=True)
    (root / "small.txt").write_text("small\n")
    for number in range(64):
        (root / "few" / f"{number}.txt").touch()
    set_password(str(folder / "users"), "ada", "right", 4)
    settings = folder / "httpmini.toml"
    settings.write_text("\n".join(_settings()))
    loaded = config.load(str(settings), config.Flags(root=str(root)))
    generation = build_http(loaded, [build_site(loaded)], lambda _place: lambda _line: None, lambda *_: None)
    return HttpService(generation)


def _settings() -> Iterator[str]:
    yield '[site]\nprecompressed = ["br", "gzip"]'
    for number in range(COUNT):
        glob = GLOBS[number % len(GLOBS)].format(number)
        yield f'[[rules]]\npath = "{glob}"\nfields = {{ X-{number} = "1" }}'
        to = "/new/**" if glob.endswith("**") else "/new"
        yield f'[[redirects]]\npath = "{glob}"\nto = "{to}"'
    yield f'[[redirects]]\npath = "{LONG_GLOB}"\nto = "/new"'
    for number in range(REALMS):
        yield f'[[realms]]\npath = "/private-{number}/a/b"\nusers = "users"'


def _head(target: str = "/small.txt", method: str = "GET", **fields: str) -> bytes:
    named = {"Host": "h", **{name.replace("_", "-"): value for name, value in fields.items()}}
    return (
        f"{method} {target} HTTP/1.1\r\n".encode("latin-1")
        + b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in named.items())
        + b"\r\n"
    )


def _fill(piece: str, size: int) -> str:
    return piece * (size // len(piece))


def shapes() -> dict[str, bytes]:
    """Return the heads by what is special about them."""
    every = "".join(f"/deep-{number}/a-b" for number in range(2, COUNT, 4))
    paths = {
        "4,000 names": _fill("/a", PATH_BYTES),
        "255 names, long": _fill("/" + "a" * 30, PATH_BYTES)[:7900],
        "one long name": "/" + "a" * (PATH_BYTES - 1),
        "one long name of a and b": "/" + _fill("ab", PATH_BYTES - 1),
        "escapes": "/" + _fill("%41", PATH_BYTES - 1),
        "escaped slashes": "/" + _fill("%2F", PATH_BYTES - 1),
        "2,000 escaped names": _fill("/%41", PATH_BYTES),
        "every part of the globs": every,
        "a glob with five stars": "/aaaaaa" * 255,
        "dots": _fill("/..", PATH_BYTES),
        "one long name of combining characters": "/" + _fill("\xcc\x81\xcc\xa3", PATH_BYTES - 1),
        "long names of combining characters": _fill("/a" + "\xcc\x81\xcc\xa3" * 190, PATH_BYTES),
        "below a realm": "/private-1/a/b" + _fill("/a", PATH_BYTES - 20),
        "a long query": "/old-0/x?" + _fill("%", PATH_BYTES - 20),
        "a query to encode": "/old-0/x?" + _fill("\xfc", PATH_BYTES - 20),
        "an authority": "http://" + "a" * (PATH_BYTES - 20) + "@/",
        "a listing": "/few/",
    }
    found = {"a file": _head(), "a plain 404": _head("/no")}
    found |= {f"path: {name}": _head(path) for name, path in paths.items()}
    found |= {f"OPTIONS: {name}": _head(path, "OPTIONS") for name, path in paths.items() if name != "an authority"}
    lists = (
        "Accept",
        "Accept-Encoding",
        "Connection",
        "If-None-Match",
        "If-Match",
        "Range",
        "Referer",
        "User-Agent",
        "Host",
        "If-Modified-Since",
        "If-Range",
        "Authorization",
        "Cookie",
    )
    fillings = {
        "commas": ",",
        "a,": "a,",
        "semicolons": ";",
        "tags": '"",',
        "blanks": " ",
        "@": "@",
        "quotes": '"',
        "digits": "1",
        "letters": "a",
        "high": "\xfc",
        "weights": "a/b;q=0.1,",
        "ranges": "1-2,",
    }
    for field in lists:
        for name, filling in fillings.items():
            for begin, end in (("", ""), ("bytes=", ""), ("", "@"), ("http://a:", "@b"), ("Basic ", "=")):
                if (begin == "bytes=") > (field == "Range") or (begin == "Basic ") > (field == "Authorization"):
                    continue
                value = begin + _fill(filling, FIELD_BYTES) + end
                target = (
                    "/few/" if field == "Accept" else "/private-1/a/b" if field == "Authorization" else "/small.txt"
                )
                found[f"{field}: {begin}{name}{end}"] = _head(target, **{field.replace("-", "_"): value})
    many = b"Accept: " + b",a/b;q=0.1" * 15 + b"\r\n"
    found["90 fields of Accept"] = _head("/few/")[:-2] + many * 90 + b"\r\n"
    return found


def cost_ms(service: HttpService[HttpGeneration], head: bytes, rounds: int) -> tuple[float, bytes]:
    """Return the processor time from the bytes of a head to those of its response, and the status line."""
    best, said = float("inf"), b""
    for number in range(rounds):
        connection = service.connect(Peer("192.0.2.1", 4711), 0.0)
        # Another head each time: what is remembered must not help.
        data = head.replace(b"\r\n\r\n", b"\r\nX: %d\r\n\r\n" % number)
        begun = time.process_time()
        octets = connection.receive(data, 0.0)
        best = min(best, time.process_time() - begun)
        said = octets or b"".join(piece for piece in connection.output if isinstance(piece, bytes))
        if connection.interest is not Interest.CLOSED:
            connection.lose(0.0)
    return best * 1000, said[:12]


def costs(folder: Path, rounds: int) -> list[tuple[float, bytes, str]]:
    """Return the milliseconds, the beginning of the response and the name of each shape, the dearest first."""
    service = make_site(folder)
    return sorted(((*cost_ms(service, head, rounds), name) for name, head in shapes().items()), reverse=True)


def main() -> None:
    """Print the table, the dearest first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=25, help="rows to print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = costs(Path(folder), options.rounds)
    print("| ms | response | shape |\n|---:|---|---|")
    for cost, said, name in rows[: options.most]:
        print(f"| {cost:.2f} | {said.decode('latin-1')} | {name} |")


if __name__ == "__main__":
    main()
