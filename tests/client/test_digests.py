"""The client asks for digests and compares: whatever way a file came, one with another digest is an error."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from httpmini.cli.main import main
from httpmini.client.client import Client
from httpmini.client.digests import WANT, announced_sha256
from httpmini.client.download.download import download
from httpmini.client.mirror.listings import read_json
from httpmini.client.mirror.mirror import mirror
from httpmini.client.url import parse_url
from httpmini.errors import Corrupt
from httpmini.protocol.message import Headers
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.progress import EndAfter
from tests.support.small_site import write_tree
from tests.support.versions import wait_for_date
from tests.support.wire import get

CORRUPT = Corrupt.exit_status
CONTENT = random.Random(3).randbytes(3_000_000)
PAGE = b"a page of some length\n" * 500
FILES = {"film.bin": CONTENT, "page.txt": PAGE, "page.txt.gz": gzip.compress(PAGE), "empty": b""}
FOREIGN = f"sha-256=:{b64encode(bytes(32)).decode()}:"
WRONG = f'[site]\nprecompressed = ["gzip"]\n[[rules]]\npath = "/wrong/**"\nfields = {{ Repr-Digest = "{FOREIGN}" }}\n'


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(decode=False, follow=False) as client:
        yield client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve files, the same ones below /wrong/ with a digest that they do not have."""
    folder = tmp_path_factory.mktemp("digests")
    files = {f"{where}{name}": content for name, content in FILES.items() for where in ("", "wrong/")}
    root = write_tree(folder / "www", files)
    (folder / "config.toml").write_text(WRONG)
    server = ServerProcess([str(root), "--port", "0", "-c", str(folder / "config.toml")])
    try:
        wait_for_date(server.url + "film.bin")
        yield server
        server.assert_clean_end()
    finally:
        server.kill()


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path / "out"


class Done(NamedTuple):
    """The result of a command."""

    status: int
    output: bytes
    errors: str


Run = Callable[..., Done]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Run a command of httpmini in this process."""

    def run_command(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        output, errors = capfdbinary.readouterr()
        return Done(int(end.value.code or 0), output, errors.decode())

    return run_command


# Downloads.


@pytest.mark.parametrize("segments", [1, 4])
def test_a_download(server: ServerProcess, client: Client, out: Path, segments: int) -> None:
    assert download(client, server.url + "film.bin", out / "film.bin", segments=segments).sha256 == sha256(CONTENT)
    with pytest.raises(Corrupt, match="announced by the server"):
        download(client, server.url + "wrong/film.bin", out / "wrong.bin", segments=segments)
    assert os.listdir(out) == ["film.bin"]


@pytest.mark.parametrize("segments", [1, 4])
def test_a_resumed_download(server: ServerProcess, client: Client, out: Path, segments: int) -> None:
    for folder in ("", "wrong/"):
        with pytest.raises(KeyboardInterrupt):
            download(
                client,
                f"{server.url}{folder}film.bin",
                out / (folder.strip("/") or "right"),
                segments=segments,
                progress=EndAfter(1_000_000, KeyboardInterrupt()),
            )
    done = download(client, server.url + "film.bin", out / "right")
    assert (done.sha256, done.resumed_from > 0) == (sha256(CONTENT), True)
    with pytest.raises(Corrupt):
        download(client, server.url + "wrong/film.bin", out / "wrong")
    assert os.listdir(out) == ["right"]


def test_what_was_spoiled_on_the_disk(server: ServerProcess, client: Client, out: Path) -> None:
    """A part that another program has changed, together with its checksum: only the digest shows it."""
    with pytest.raises(KeyboardInterrupt):
        download(client, server.url + "film.bin", out / "film", progress=EndAfter(1_000_000, KeyboardInterrupt()))
    plan = json.loads((out / "film.part.json").read_text())
    with (out / "film.part").open("r+b") as part:
        part.write(b"spoiled")
    for segment in plan["segments"]:
        segment["crc32"] = zlib.crc32((out / "film.part").read_bytes()[: segment["checked"]])
    (out / "film.part.json").write_text(json.dumps(plan))
    with pytest.raises(Corrupt):
        download(client, server.url + "film.bin", out / "film")
    assert os.listdir(out) == []


@pytest.mark.parametrize("more", [(), ("--compressed",), ("-i",), ("-o", "file", "--compressed"), ("-o", "file")])
@pytest.mark.parametrize("name", FILES)
def test_get(server: ServerProcess, out: Path, run: Run, more: tuple[str, ...], name: str) -> None:
    """Also a body that is decoded: the digest is of what came."""
    right, wrong = (run("get", *more, f"{server.url}{folder}{name}") for folder in ("", "wrong/"))
    assert (right.status, right.errors) == (0, "")
    if more[-1:] != ("-i",):
        assert (Path("file").read_bytes() if more[:1] == ("-o",) else right.output) == FILES[name]
    assert wrong.status == CORRUPT
    assert "announced by the server" in wrong.errors


@pytest.mark.parametrize(
    ("more", "asks"),
    [
        ((), True),
        (("-O",), True),
        (("-O", "--segments", "3"), True),
        (("-H", "Range: bytes=0-9"), False),
        (("-I",), False),
        (("-H", "Want-Repr-Digest:"), False),
        (("-O", "-H", "want-repr-digest:"), False),
        (("-X", "HEAD"), False),
    ],
)
def test_when_it_asks(server: ServerProcess, out: Path, run: Run, more: tuple[str, ...], asks: bool) -> None:
    done = run("get", "-v", *more, server.url + "film.bin")
    assert done.status == 0
    assert ("> Want-Repr-Digest: sha-256=1" in done.errors) == asks
    assert ("< Repr-Digest: " in done.errors) == asks


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_what_a_digest_is_not_compared_with(server: ServerProcess, client: Client, method: str) -> None:
    """A response without a body, and a part."""
    fields = [WANT, ("Range", "bytes=0-9")] if method == "GET" else [WANT]
    with client.fetch(server.url + "wrong/film.bin", method=method, headers=fields) as response:
        assert announced_sha256(response.headers) == bytes(32).hex()
        response.check_digest()
        assert response.read() == (CONTENT[:10] if method == "GET" else b"")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f"sha-256=:{b64encode(bytes(32)).decode()}:", bytes(32).hex()),
        (f"sha-512=:AAAA:, sha-256=:{b64encode(bytes(32)).decode()}:", bytes(32).hex()),
        ("sha-256=:A:", "A"),
        ("sha-512=:AAAA:", ""),
        ("xsha-256=:AAAA:", ""),
    ],
)
def test_what_is_announced(value: str, found: str) -> None:
    assert announced_sha256(Headers((("Repr-Digest", value),))) == found


# Mirrors.


@pytest.fixture
def requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is requested from now on."""
    targets: list[str] = []

    def trace(direction: str, head: bytes) -> None:
        if direction == ">":
            targets.append(head.split(b" ")[1].decode())

    monkeypatch.setattr(client, "_trace", trace)
    return targets


def know_digest(server: ServerProcess, name: str) -> None:
    """Have the listing tell the digest of a file, which it does not while that was just written."""
    eventually(lambda: "repr-digest" in get(server.port, f"/{name}", ": ".join(WANT))[1], "it has a digest")


def copy(client: Client, server: ServerProcess, out: Path, **more: bool) -> tuple[int, int, int]:
    done = mirror(client, server.url, str(out), **more)  # type: ignore[arg-type]
    return done.fetched, done.unchanged, done.skipped


@pytest.fixture
def plain(start: StartServer, tmp_path: Path) -> ServerProcess:
    server = start(write_tree(tmp_path / "www", {"a.txt": b"aaaa", "sub/b.bin": CONTENT}))
    for name in ("a.txt", "sub/b.bin"):
        know_digest(server, name)
    return server


def test_what_is_equal_is_not_requested(plain: ServerProcess, client: Client, out: Path, requests: list[str]) -> None:
    assert copy(client, plain, out) == (2, 0, 0)
    requests.clear()
    assert copy(client, plain, out) == (0, 2, 0)
    assert requests == ["/", "/sub/"]
    os.utime(out / "a.txt", (1e9, 1e9))
    os.utime(out / "sub/b.bin", (1e9, 1e9))
    requests.clear()
    assert copy(client, plain, out) == (0, 2, 0), "even if its date differs"
    assert requests == ["/", "/sub/"]
    assert copy(client, plain, out, dry_run=True) == (0, 2, 0)


def test_files_that_are_there_already(
    plain: ServerProcess, client: Client, out: Path, requests: list[str], tmp_path: Path
) -> None:
    """Without any notes of an earlier run: what is equal becomes the mirror's own, what is not is left alone."""
    write_tree(out, {"a.txt": b"aaaa", "sub/b.bin": b"another"})
    assert copy(client, plain, out) == (0, 1, 1)
    assert "/a.txt" not in requests
    assert (out / "sub/b.bin").read_bytes() == b"another"
    write_tree(tmp_path / "www", {"a.txt": b"bbbb"})
    assert copy(client, plain, out) == (1, 0, 1)
    assert (out / "a.txt").read_bytes() == b"bbbb"


def test_what_differs_is_fetched(
    plain: ServerProcess, client: Client, out: Path, requests: list[str], tmp_path: Path
) -> None:
    """A file was changed here, and has the size and the date that it had."""
    copy(client, plain, out)
    status = (out / "a.txt").stat()
    (out / "a.txt").write_bytes(b"AAAA")
    os.utime(out / "a.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    state = json.loads((out / ".httpmini-mirror.json").read_text())
    for known in state["files"].values():
        known["sha256"] = ""  # as an earlier release has left it
    (out / ".httpmini-mirror.json").write_text(json.dumps(state))
    assert copy(client, plain, out) == (1, 1, 0)
    assert (out / "a.txt").read_bytes() == b"aaaa"


def test_a_new_version_is_fetched(plain: ServerProcess, client: Client, out: Path, tmp_path: Path) -> None:
    """It has the size and the modification time of the one before."""
    copy(client, plain, out)
    there = tmp_path / "www" / "a.txt"
    status = there.stat()
    there.write_bytes(b"bbbb")
    os.utime(there, ns=(status.st_atime_ns, status.st_mtime_ns))
    for _ in range(2):
        know_digest(plain, "a.txt")
        copy(client, plain, out)
        assert (out / "a.txt").read_bytes() == b"bbbb"
    assert copy(client, plain, out) == (0, 2, 0)


def test_a_mirror_compares_what_it_fetches(server: ServerProcess, client: Client, out: Path) -> None:
    said: list[str] = []
    done = mirror(client, server.url + "wrong/", str(out), say=said.append)
    assert (done.fetched, done.skipped) == (0, 4)
    assert all("announced by the server" in line for line in said)
    assert not [name for name in os.listdir(out) if not name.startswith(".")]


def test_a_coding_that_is_undone(start: StartServer, client: Client, out: Path, tmp_path: Path) -> None:
    """The listing tells the digest of what is stored there, which is not what is stored here."""
    rule = '[[rules]]\npath = "*.txt"\nfields = { Content-Encoding = "gzip" }\n'
    server = start(write_tree(tmp_path / "www", {"a.txt": gzip.compress(PAGE)}), config=rule)
    know_digest(server, "a.txt")
    assert copy(client, server, out) == (1, 0, 0)
    assert (out / "a.txt").read_bytes() == PAGE
    assert copy(client, server, out) == (0, 1, 0)


Entry = dict[str, object]
HEX = "0a" * 32


@pytest.mark.parametrize(
    ("entry", "digests"),
    [
        ({"sha256": HEX}, {"./a": HEX}),
        ({}, {"./a": ""}),
        ({"sha256": HEX.upper()}, {"./a": ""}),
        ({"sha256": HEX + "0"}, {"./a": ""}),
        ({"sha256": 5}, {"./a": ""}),
        ({"sha256": None}, {"./a": ""}),
        ({"sha256": ["x"]}, {"./a": ""}),
    ],
)
def test_the_digest_in_a_listing(entry: Entry, digests: dict[str, str]) -> None:
    body = json.dumps({"entries": [{"href": "./a", **entry}]}).encode()
    listing = read_json(body, parse_url("http://x/"))
    assert listing is not None
    assert (listing.links, listing.digests) == (("./a",), digests)
