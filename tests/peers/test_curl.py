"""The real curl against every mode, one option after the other."""

from __future__ import annotations

import email
import email.policy
import gzip
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest

from httpmini.lint.cases.build import LAST_MODIFIED, SECOND_AFTER, SECOND_BEFORE
from httpmini.lint.cases.site_tree import BIG, MTIME, SECRET, changed
from httpmini.server.modes import MODES
from tests.support.processes import ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import mask_date

TEN = b"0123456789"
TEXT = b"a line that is there again and again\n" * 200


@pytest.fixture(scope="module", params=sorted(MODES))
def mode_of_module(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def _serve(root: Path, mode: str, *arguments: str) -> Iterator[ServerProcess]:
    running = ServerProcess([str(root), "--port", "0", "--mode", mode, *arguments])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


@pytest.fixture(scope="module")
def server(mode_of_module: str, site: Path) -> Iterator[ServerProcess]:
    with _serve(site, mode_of_module) as running:
        yield running


def curl(server: ServerProcess, *arguments: str, status: int = 0) -> bytes:
    """Run curl and return its standard output; ``URL/`` stands for the server's URL."""
    urls = [server.url + part[4:] if part.startswith("URL/") else part for part in arguments]
    command = [tool("curl", "curl"), "--silent", "--show-error", "--max-time", "20", *urls]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    assert done.returncode == status, (done.returncode, done.stderr)
    assert (done.stderr == b"") == (status == 0), done.stderr
    return done.stdout


def code_of(server: ServerProcess, *arguments: str) -> str:
    """Return only the status code of the last response."""
    return curl(server, *arguments, "-o", "/dev/null", "-w", "%{http_code}").decode()


def heads_of(said: bytes) -> list[bytes]:
    """Split consecutive heads, as -I -L prints them."""
    return [mask_date(head + b"\r\n") for head in said.split(b"\r\n\r\n") if head]


# Versions


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http0.9", "--http2"])
@pytest.mark.parametrize(("name", "content"), [("ten.txt", TEN), ("big.bin", BIG), ("empty.txt", b"")])
def test_versions(server: ServerProcess, version: str, name: str, content: bytes) -> None:
    assert curl(server, version, f"URL/{name}", "-w", "%{http_version}") == content + b"1"


# Resuming


@pytest.mark.parametrize("have", [1, 1_000_000, len(BIG) - 1])
def test_resume(server: ServerProcess, tmp_path: Path, have: int) -> None:
    part = tmp_path / "part"
    part.write_bytes(BIG[:have])
    assert curl(server, "-C", "-", "-o", str(part), "URL/big.bin", "-w", "%{http_code} %{size_download}").decode() == (
        f"206 {len(BIG) - have}"
    )
    assert part.read_bytes() == BIG


def test_resume_of_nothing_is_everything(server: ServerProcess, tmp_path: Path) -> None:
    part = tmp_path / "part"
    assert curl(server, "-C", "-", "-o", str(part), "URL/big.bin", "-w", "%{http_code}") == b"200"
    assert part.read_bytes() == BIG


@pytest.mark.parametrize("have", [len(TEN), len(TEN) + 5])
def test_resume_of_what_is_complete(server: ServerProcess, tmp_path: Path, have: int) -> None:
    """curl takes a 416 for the end of the work, and does not save its page, even if its file is longer than ours."""
    part = tmp_path / "part"
    content = (TEN + b"xxxxx")[:have]
    part.write_bytes(content)
    assert curl(server, "-C", "-", "-o", str(part), "URL/ten.txt", "-w", "%{http_code}") == b"416"
    assert part.read_bytes() == content


def test_resume_of_a_file_that_changed(mode_of_module: str, tmp_path: Path) -> None:
    """curl splices: it sends no If-Range. The one that is given by hand gets the whole file, which curl refuses."""
    root = tmp_path / "root"
    root.mkdir()
    part = tmp_path / "part"
    with _serve(root, mode_of_module) as server:
        (root / "file").write_bytes(b"old " * 100)
        written = (root / "file").stat().st_ctime
        eventually(lambda: time.time() > written + 1, "its tag is strong")
        tag = curl(server, "-I", "URL/file", "-o", "/dev/null", "-w", "%header{etag}").decode()
        assert tag.startswith('"')
        part.write_bytes(b"old " * 50)
        (root / "file").write_bytes(b"new " * 100)
        again = ("-H", f"If-Range: {tag}", "-C", "-", "-o", str(part), "URL/file", "-w", "%{http_code}")
        assert curl(server, *again, status=33) == b"200"  # CURLE_RANGE_ERROR: it asked for a part
        assert part.read_bytes() == b"old " * 50
        assert curl(server, "-C", "-", "-o", str(part), "URL/file", "-w", "%{http_code}") == b"206"
        assert part.read_bytes() == b"old " * 50 + b"new " * 50


# Ranges


@pytest.mark.parametrize(
    ("spec", "code", "content"),
    [
        ("0-0", "206", TEN[:1]),
        ("2-5", "206", TEN[2:6]),
        ("7-", "206", TEN[7:]),
        ("-3", "206", TEN[-3:]),
        ("-100", "206", TEN),
        ("5-100", "206", TEN[5:]),
        ("0-3,2-6", "206", TEN[:7]),
    ],
)
def test_one_range(server: ServerProcess, spec: str, code: str, content: bytes) -> None:
    assert curl(server, "-r", spec, "URL/ten.txt", "-w", "%{http_code}") == content + code.encode()


def test_a_range_after_the_end(server: ServerProcess) -> None:
    assert code_of(server, "-r", "10-", "URL/ten.txt") == "416"
    assert curl(server, "-r", "10-", "URL/ten.txt", "-o", "/dev/null", "-w", "%header{content-range}") == b"bytes */10"


def test_several_ranges(server: ServerProcess) -> None:
    said = curl(server, "-i", "-r", "0-1,1000000-1000009,-4", "URL/big.bin")
    line, _, rest = said.partition(b"\r\n")
    assert line == b"HTTP/1.0 206 Partial Content"
    message = email.message_from_bytes(rest, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/byteranges"
    assert int(message["Content-Length"]) == len(rest.partition(b"\r\n\r\n")[2])
    found = [(str(part["Content-Range"]), part.get_payload(decode=True)) for part in message.iter_parts()]
    size = len(BIG)
    assert found == [
        (f"bytes 0-1/{size}", BIG[:2]),
        (f"bytes 1000000-1000009/{size}", BIG[1_000_000:1_000_010]),
        (f"bytes {size - 4}-{size - 1}/{size}", BIG[-4:]),
    ]


# Conditions


@pytest.mark.parametrize(
    ("when", "code", "content"),
    [
        (LAST_MODIFIED, "304", b""),
        (SECOND_AFTER, "304", b""),  # a 200, but curl itself takes that for a 304
        (SECOND_BEFORE, "200", TEN),
        # With a minus: If-Unmodified-Since. An equal date gets a 200 too, but curl itself takes that for a 304.
        ("-" + SECOND_AFTER, "200", TEN),
        ("-" + SECOND_BEFORE, "412", None),
    ],
    ids=["the same", "later", "earlier", "unmodified since later", "unmodified since earlier"],
)
def test_a_date(server: ServerProcess, when: str, code: str, content: bytes | None) -> None:
    said = curl(server, "-z", when, "URL/ten.txt", "-w", "%{http_code}")
    assert said.endswith(code.encode())
    if content is not None:
        assert said == content + code.encode()


@pytest.mark.parametrize(("seconds", "code"), [(0, "304"), (-1, "200")])
def test_the_date_of_a_file(server: ServerProcess, site: Path, tmp_path: Path, seconds: int, code: str) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(b"mine")
    date = changed(site)
    os.utime(copy, (date + seconds, date + seconds))
    said = curl(server, "-R", "-z", str(copy), "-o", str(copy), "URL/ten.txt", "-w", "%{http_code}")
    assert said == code.encode()
    assert copy.read_bytes() == (TEN if code == "200" else b"mine")
    assert copy.stat().st_mtime == date


def test_tags_that_curl_keeps(server: ServerProcess, tmp_path: Path) -> None:
    tag = tmp_path / "tag"
    options = ("--etag-save", str(tag), "URL/ten.txt", "-w", "%{http_code}")
    assert curl(server, *options) == TEN + b"200"
    assert curl(server, "--etag-compare", str(tag), "URL/ten.txt", "-w", "%{http_code}") == b"304"


# HEAD


TARGETS = ("", "ten.txt", "empty.txt", "big.bin", "sub/", "sub", "nothing", "%00")


@pytest.mark.parametrize("more", [(), ("-H", "If-None-Match: *"), ("-H", "Connection: keep-alive")])
def test_head_equals_that_of_get(server: ServerProcess, more: tuple[str, ...]) -> None:
    urls = [f"URL/{target}" for target in TARGETS]
    head = curl(server, "-I", *more, *urls)
    get = curl(server, "-D", "-", *("-o", "/dev/null") * len(urls), *more, *urls)
    assert heads_of(head) == heads_of(get)
    assert len(heads_of(head)) == len(TARGETS)


# Redirections


def test_follow_to_a_folder(server: ServerProcess) -> None:
    said = curl(server, "-L", "URL/sub?x=1", "-w", "%{http_code} %{num_redirects} %{url_effective}")
    assert b"file.txt" in said
    assert said.endswith(f"200 1 {server.url}sub/?x=1".encode())


def test_follow_to_an_index(server: ServerProcess) -> None:
    assert curl(server, "-L", "URL/indexed") == b"an index\n"


def test_heads_of_a_redirection(server: ServerProcess) -> None:
    first, second = heads_of(curl(server, "--head", "-L", "URL/sub"))
    assert first.startswith(b"HTTP/1.0 301 Moved Permanently\r\n")
    assert b"\r\nLocation: ./sub/\r\n" in first
    assert second.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"\r\nLocation:" not in second


# The root


OUTSIDE = {
    "../secret.txt": "404",
    "%2e%2e/secret.txt": "404",
    "%2E%2E%2Fsecret.txt": "404",
    "..%2fsecret.txt": "404",
    "sub/../../secret.txt": "404",
    "sub/%2e%2e/%2e%2e/secret.txt": "404",
    "..%5csecret.txt": "404",
    "%252e%252e/secret.txt": "404",
    "%c0%ae%c0%ae/secret.txt": "404",
    "../www-secret/secret.txt": "404",
    "/../secret.txt": "404",
    "link-out.txt": "404",
    "..%00/secret.txt": "400",
    "%u002e%u002e/secret.txt": "400",
    "%2e%2e%zz/secret.txt": "400",
}


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
def test_nothing_outside(server: ServerProcess, version: str) -> None:
    urls = [f"URL/{target}" for target in OUTSIDE]
    said = curl(server, "--path-as-is", "--globoff", version, *urls, "-w", "\n<code %{http_code}>\n")
    codes = [line[6:9].decode() for line in said.splitlines() if line.startswith(b"<code ")]
    assert dict(zip(OUTSIDE, codes, strict=True)) == OUTSIDE
    assert SECRET not in said


# Connections


FOUR = ("URL/ten.txt", "URL/empty.txt", "URL/nothing", "URL/big.bin", *("-o", "/dev/null") * 4)


@pytest.mark.parametrize(
    ("options", "connects"),
    [
        (("--http1.0", "-H", "Connection: keep-alive"), b"1;0;0;0;"),
        (("--http1.1", "-H", "Connection: keep-alive"), b"1;0;0;0;"),
        (("--http1.1", "-H", "Connection: keep-alive", "-I"), b"1;0;0;0;"),
        (("--http1.0",), b"1;1;1;1;"),
        (("--http1.1",), b"1;1;1;1;"),
        (("--http1.1", "-H", "Connection: close"), b"1;1;1;1;"),
    ],
)
def test_connections(server: ServerProcess, options: tuple[str, ...], connects: bytes) -> None:
    """A 1.0 server keeps a connection open if the client requests it."""
    assert curl(server, *options, "-w", "%{num_connects};", *FOUR) == connects


# What is refused


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
@pytest.mark.parametrize(
    "upload",
    [
        ("--data", "a=b"),
        ("--data", ""),
        ("--data-binary", "@FILE"),
        ("-F", "file=@FILE"),
        ("-T", "FILE"),
        ("-X", "DELETE"),
        ("-X", "PATCH", "--data-binary", "@FILE"),
    ],
)
def test_nothing_can_be_sent(
    server: ServerProcess, tmp_path: Path, site: Path, version: str, upload: tuple[str, ...]
) -> None:
    """curl reads the 405 with Allow even while it is sending; the folder does not change."""
    file = tmp_path / "upload"
    file.write_bytes(b"x" * 2_000_000)
    options = [part.replace("FILE", str(file)) for part in upload]
    names = sorted(os.listdir(site))
    said = curl(server, version, *options, "URL/ten.txt", "-o", "/dev/null", "-w", "%{http_code} %header{allow}")
    assert said == b"405 GET, HEAD, OPTIONS"
    assert (site / "ten.txt").read_bytes() == TEN
    assert sorted(os.listdir(site)) == names


def test_a_chunked_upload_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(b"x" * 100_000)
    chunked = ("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{file}")
    assert b"transfer-encoding" in curl(server, *chunked, "URL/ten.txt")


def test_options(server: ServerProcess) -> None:
    said = curl(server, "-X", "OPTIONS", "--request-target", "*", "URL/", "-w", "%{http_code} %header{allow}")
    assert said == b"204 GET, HEAD, OPTIONS"


# Compressed neighbours


@pytest.fixture(scope="module")
def compressed(mode_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve a folder with a precompressed file and one without a compressed variant."""
    base = tmp_path_factory.mktemp("compressed")
    root = base / "root"
    root.mkdir()
    (root / "page.txt").write_bytes(TEXT)
    (root / "page.txt.gz").write_bytes(gzip.compress(TEXT))
    (root / "alone.txt").write_bytes(TEXT)
    for name in os.listdir(root):
        os.utime(root / name, (MTIME, MTIME))
    config = base / "config.toml"
    config.write_text('[site]\nprecompressed = ["gzip"]\n')
    with _serve(root, mode_of_module, "-c", str(config)) as running:
        yield running


def _head_and_body(server: ServerProcess, tmp_path: Path, *arguments: str) -> tuple[dict[str, str], bytes]:
    head = tmp_path / "head"
    body = curl(server, "-D", str(head), *arguments)
    lines = head.read_text("iso-8859-1").splitlines()[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}, body


def test_compressed_is_decoded(compressed: ServerProcess, tmp_path: Path) -> None:
    fields, body = _head_and_body(compressed, tmp_path, "--compressed", "URL/page.txt")
    assert body == TEXT
    assert fields["content-encoding"] == "gzip"
    assert int(fields["content-length"]) < len(TEXT)
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert "accept-encoding" in fields["vary"].lower()


def test_without_compressed_it_is_the_plain_file(compressed: ServerProcess, tmp_path: Path) -> None:
    fields, body = _head_and_body(compressed, tmp_path, "URL/page.txt")
    assert body == TEXT
    assert "content-encoding" not in fields
    assert int(fields["content-length"]) == len(TEXT)
    assert "accept-encoding" in fields["vary"].lower()


def test_each_variant_has_its_tag(compressed: ServerProcess, tmp_path: Path) -> None:
    plain, _ = _head_and_body(compressed, tmp_path, "URL/page.txt")
    packed, _ = _head_and_body(compressed, tmp_path, "--compressed", "URL/page.txt")
    assert plain["etag"] != packed["etag"]
    for options, fields, code in (
        ((), plain, "304"),
        ((), packed, "200"),
        (("--compressed",), packed, "304"),
        (("--compressed",), plain, "200"),
    ):
        assert code_of(compressed, *options, "-H", f"If-None-Match: {fields['etag']}", "URL/page.txt") == code


def test_a_file_without_neighbours_is_plain(compressed: ServerProcess, tmp_path: Path) -> None:
    fields, body = _head_and_body(compressed, tmp_path, "--compressed", "URL/alone.txt")
    assert body == TEXT
    assert "content-encoding" not in fields


@pytest.mark.parametrize("accepted", ["gzip;q=0", "identity", "br", "*;q=0, identity", ""])
def test_gzip_that_is_not_accepted_is_not_sent(compressed: ServerProcess, tmp_path: Path, accepted: str) -> None:
    field = f"Accept-Encoding: {accepted}" if accepted else "Accept-Encoding;"  # curl's way to send an empty one
    fields, body = _head_and_body(compressed, tmp_path, "-H", field, "URL/page.txt")
    assert body == TEXT
    assert "content-encoding" not in fields


# Passwords


@pytest.fixture(scope="module")
def private(mode_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve a folder with a password-protected part."""
    base = tmp_path_factory.mktemp("private")
    root = base / "root"
    (root / "private").mkdir(parents=True)
    (root / "private" / "plan.txt").write_bytes(SECRET)
    (root / "open.txt").write_bytes(TEN)
    hashed = bcrypt.hashpw("pass:wörd".encode(), bcrypt.gensalt(5)).decode()
    (base / "users.htpasswd").write_text(f"ada:{hashed}\n")
    config = base / "config.toml"
    config.write_text('[[realms]]\npath = "/private/"\nname = "Private"\nusers = "users.htpasswd"\n')
    with _serve(root, mode_of_module, "-c", str(config)) as running:
        yield running


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("-u", "ada:pass:wörd"), "200"),
        (("--basic", "-u", "ada:pass:wörd", "--http1.0"), "200"),
        (("--anyauth", "-u", "ada:pass:wörd"), "200"),  # asks without first, and reads the challenge
        (("-u", "ada:pass:word"), "401"),
        (("-u", "ada:pass"), "401"),
        (("-u", "ada:"), "401"),
        (("-u", "Ada:pass:wörd"), "401"),
        (("-u", "bob:pass:wörd"), "401"),
        (("-u", ":pass:wörd"), "401"),
        ((), "401"),
        (("--oauth2-bearer", "token"), "401"),
        (("-H", "Authorization: Basic !!!"), "401"),
    ],
)
def test_passwords(private: ServerProcess, options: tuple[str, ...], code: str) -> None:
    said = curl(private, *options, "URL/private/plan.txt", "-w", "%{http_code}")
    assert said.endswith(code.encode())
    assert (SECRET in said) == (code == "200")


@pytest.mark.parametrize(
    "target",
    [
        "private/plan.txt",
        "private/",
        "private/nothing",
        "%70rivate/plan.txt",
        "/private/plan.txt",
        "/private//plan.txt",
        "private/%70lan.txt",
    ],
)
def test_every_way_in_asks(private: ServerProcess, target: str) -> None:
    said = curl(private, "--path-as-is", f"URL/{target}", "-i")
    assert said.startswith(b"HTTP/1.0 401 ")
    assert b'\r\nWWW-Authenticate: Basic realm="Private"' in said
    assert SECRET not in said
    assert b"plan.txt" not in said


def test_what_is_not_private_needs_no_password(private: ServerProcess) -> None:
    assert curl(private, "URL/open.txt") == TEN
    assert curl(private, "-u", "bob:wrong", "URL/open.txt") == TEN


def test_credentials_count_for_one_request(private: ServerProcess) -> None:
    """On one connection, a request with credentials is followed by one without."""
    keep = ("-H", "Connection: keep-alive", "-w", "%{http_code} %{num_connects};", "-o", "/dev/null")
    first = (*keep, "-u", "ada:pass:wörd", "URL/private/plan.txt")
    assert curl(private, *first, "--next", "--silent", *keep, "URL/private/plan.txt") == b"200 1;401 0;"
