"""Site settings over real sockets, in every mode: passwords, variants, rules, error pages, the log."""

from __future__ import annotations

import base64
import gzip
import os
from pathlib import Path

import pytest

from httpmini.site.users import set_password
from tests.conftest import StartServer
from tests.support.processes import ServerProcess
from tests.support.small_site import write_tree
from tests.support.wire import connect, converse, get, read_answer

PASSWORD = "open sesame"
SAID = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
TEXT = b"a text " * 1000
CONFIG = """
[site]
precompressed = ["gzip"]
error_pages = { 404 = "/.pages/404.html" }

[[rules]]
path = "/assets/**"
fields = { Cache-Control = "max-age=31536000, immutable" }

[[redirects]]
path = "/old/**"
to = "/new/**"

[[realms]]
path = "/private/"
name = "inner"
users = "users"
"""


@pytest.fixture
def server(start: StartServer, mode: str, tmp_path: Path) -> ServerProcess:
    files = {
        "private/secret.txt": b"secret",
        "assets/a.txt": TEXT,
        "assets/a.txt.gz": gzip.compress(TEXT),
        ".pages/404.html": b"<h1>gone fishing</h1>",
    }
    root = write_tree(tmp_path / "www", files)
    set_password(str(tmp_path / "users"), "ada", PASSWORD, 4)
    return start(root, "--mode", mode, config=CONFIG)


def test_credentials_count_for_one_request(server: ServerProcess) -> None:
    """Credentials do not carry over to the next request on a connection (RFC 9110 §16.4.2)."""
    right, wrong = f"Authorization: Basic {SAID}\r\n", "Authorization: Basic YWRhOng=\r\n"
    with connect(server.port) as sock:
        statuses = []
        for credentials in ("", right, "", right, wrong):
            head = f"GET /private/secret.txt HTTP/1.0\r\nConnection: keep-alive\r\n{credentials}\r\n"
            sock.sendall(head.encode())
            status, fields, body = read_answer(sock)
            assert (body == b"secret") == (status == 200)
            assert ("www-authenticate" in fields) == (status == 401)
            statuses.append(status)
        assert sock.recv(1) == b"", "another guess needs a new connection"
    assert statuses == [401, 200, 401, 200, 401]
    server.wait_for_line(r'- ada \[.*\] "GET /private/secret.txt HTTP/1.0" 200 6', 2)
    server.wait_for_line(r'- - \[.*\] "GET /private/secret.txt HTTP/1.0" 401 .* reason=credentials-missing section=', 2)
    server.wait_for_line(r'- - \[.*\] "GET /private/secret.txt HTTP/1.0" 401 .* reason=credentials-wrong section=')


def test_passwords_are_never_exposed(server: ServerProcess) -> None:
    get(server.port, "/private/secret.txt", f"Authorization: Basic {SAID}")
    get(server.port, f"http://ada:{PASSWORD.replace(' ', '')}@h/private/secret.txt", f"Referer: http://ada:{SAID}@h/")
    server.wait_for_line(
        r'"GET http://h/private/secret.txt HTTP/1.0" 400 .* "http://h/" .*reason=target-userinfo offset='
    )
    arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{server.pid}/environ").read_bytes()
    for text in ("\n".join(server.lines), arguments.decode(), environment.decode("utf-8", "replace")):
        assert PASSWORD not in text
        assert PASSWORD.replace(" ", "") not in text
        assert SAID not in text


def test_a_new_password_is_valid_at_once(server: ServerProcess, tmp_path: Path) -> None:
    old, new = f"Authorization: Basic {SAID}", "Authorization: Basic " + base64.b64encode(b"ada:new").decode()
    assert [get(server.port, "/private/secret.txt", said)[0] for said in (old, new)] == [200, 401]
    set_password(str(tmp_path / "users"), "ada", "new", 4)
    assert [get(server.port, "/private/secret.txt", said)[0] for said in (old, new)] == [401, 200]


def test_an_unreadable_users_file_is_in_the_error_log(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "users").unlink()
    assert get(server.port, "/private/secret.txt", f"Authorization: Basic {SAID}")[0] == 500
    server.wait_for_line("error: while answering .*FileNotFoundError.*users")
    server.wait_for_line("500 .* reason=users-unreadable")


def test_variants(server: ServerProcess) -> None:
    _, plain, body = get(server.port, "/assets/a.txt")
    assert body == TEXT
    _, packed, body = get(server.port, "/assets/a.txt", "Accept-Encoding: gzip")
    assert gzip.decompress(body) == TEXT
    assert packed["content-encoding"] == "gzip"
    assert plain["vary"] == packed["vary"] == "Accept-Encoding"
    assert plain["etag"] != packed["etag"]
    assert plain["content-type"] == packed["content-type"] == "text/plain; charset=utf-8"
    status, fields, body = get(server.port, "/assets/a.txt", "Accept-Encoding: gzip;q=0")
    assert (status, body, fields.get("content-encoding")) == (200, TEXT, None)
    _, _, whole = get(server.port, "/assets/a.txt", "Accept-Encoding: gzip")
    status, _, part = get(server.port, "/assets/a.txt", "Accept-Encoding: gzip", "Range: bytes=2-9")
    assert (status, part) == (206, whole[2:10])


def test_rules_redirects_and_pages(server: ServerProcess) -> None:
    assert get(server.port, "/assets/a.txt")[1]["cache-control"] == "max-age=31536000, immutable"
    status, fields, _ = get(server.port, "/old/x?y")
    assert (status, fields["location"]) == (301, "/new/x?y")
    status, fields, body = get(server.port, "/nothing")
    assert (status, body, fields["content-type"]) == (404, b"<h1>gone fishing</h1>", "text/html; charset=utf-8")
    head = converse(server.port, [b"HEAD /nothing HTTP/1.0\r\n\r\n"])
    assert head.endswith(b"\r\n\r\n")
    assert converse(server.port, [b"GET /nothing\r\n"]) == b"<h1>gone fishing</h1>"


def test_error_pages_and_variants_leak_no_descriptors(server: ServerProcess) -> None:
    with connect(server.port) as sock:
        before = None
        for _ in range(20):
            for target in ("/nothing", "/assets/a.txt", "/private/secret.txt"):
                head = f"GET {target} HTTP/1.0\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n"
                sock.sendall(head.encode())
                read_answer(sock)
            worker = (server.children() or [server.pid])[0]
            now = len(os.listdir(f"/proc/{worker}/fd"))
            assert before is None or now == before
            before = now


@pytest.mark.parametrize(("product", "field"), [("", None), ("quiet", "quiet"), ("a/1 b/2", "a/1 b/2")])
def test_the_server_field(start: StartServer, site: Path, product: str, field: str | None) -> None:
    server = start(site, config=f'[server]\nproduct = "{product}"\n')
    assert get(server.port, "/ten.txt")[1].get("server") == field


REFUSED = [
    (b"GET /nothing HTTP/1.0\r\n\r\n", 'reason=not-found section="RFC 9110 15.5.5"'),
    (b"GET / HTTP/1.0\r\nX : y\r\n\r\n", 'reason=field-name-space offset=16 section="RFC 9112 5.1"'),
    (b"GET / HTTP/1.0\r\nX: \0\r\n\r\n", 'reason=field-value offset=19 section="RFC 9110 5.5"'),
    (b"GET  /%zz HTTP/1.0\r\n\r\n", 'reason=target-percent offset=6 section="RFC 3986 2.1"'),
    (b"GET http://h/a%00 HTTP/1.0\r\n\r\n", 'reason=target-nul offset=14 section="RFC 3986 7.3"'),
    (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 'reason=host-repeated offset=25 section="RFC 9112 3.2"'),
    (b"BREW / HTTP/1.0\r\n\r\n", 'reason=method-unknown section="RFC 9110 15.6.2"'),
    (b"\x16\x03\x01", 'reason=not-http offset=0 section="RFC 9112 2.2"'),
    (b"GET / HTT", 'reason=head-incomplete section="RFC 9112 8"'),
]


@pytest.mark.parametrize("form", ["common", "combined"])
def test_the_log_says_why(start: StartServer, mode: str, site: Path, form: str) -> None:
    server = start(site, "--mode", mode, config=f'[log]\nformat = "{form}"\n')
    for data, _ in REFUSED:
        converse(server.port, [data])
    for _, why in REFUSED:
        server.wait_for_line(f"^127.0.0.1 - .* {why}$")
    get(server.port, "/ten.txt")
    line = server.wait_for_line('"GET /ten.txt HTTP/1.0" 200 10')
    assert "reason=" not in line
