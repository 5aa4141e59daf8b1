"""Recordings: what is in them, what must not be, their bounds, and what comes of sending them again."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from httpmini import recording
from httpmini.cli.main import main
from httpmini.lint.cases import CASES, Case, build
from httpmini.lint.to_case import to_case
from httpmini.recording import MOST_FILE_BYTES, Recording, read_recording
from httpmini.server.http import tape
from httpmini.server.http.credentials import Blanker
from httpmini.server.http.recorded import RecordingService
from httpmini.server.http.tape import Recorder
from tests.conftest import StartServer
from tests.support.answers import check
from tests.support.logs import log_into
from tests.support.processes import eventually, run_command
from tests.support.sans_io import PEER, Conversation, answers_to
from tests.support.tables import check_all, in_batches
from tests.support.wire import connect, read_all, read_answer

SECRETS = {
    "authorization": b"GET / HTTP/1.0\r\nAuthorization: Basic 7777\r\nX: 1\r\n\r\n",
    "any case": b"GET / HTTP/1.0\r\nAUTHORIZATION:7777\r\n\r\n",
    "proxy": b"GET / HTTP/1.0\r\nProxy-Authorization: Basic 7777\r\n\r\n",
    "cookie": b"GET / HTTP/1.0\r\nCookie: a=7777; b=7777\r\nHost: h\r\n\r\n",
    "folded": b"GET / HTTP/1.0\r\nCookie: a=1;\r\n b=7777\r\n\t7777\r\nHost: h\r\n\r\n",
    "blank before the colon": b"GET / HTTP/1.0\r\nAuthorization : 7777\r\n\r\n",
    "blank before the name": b"GET / HTTP/1.0\r\n Authorization: 7777\r\n\r\n",
    "bare LF": b"GET / HTTP/1.0\nAuthorization: Basic 7777\n\n",
    "target": b"GET http://joe:7777@example.org/ HTTP/1.0\r\n\r\n",
    "target without a path": b"GET http://7777@h HTTP/1.0\r\n\r\n",
    "two at signs": b"GET http://joe@7777@h/ HTTP/1.0\r\n\r\n",
    "referer": b"GET / HTTP/1.0\r\nReferer: https://joe:7777@h/\r\n\r\n",
    "second request": b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nCookie: 7777\r\n\r\n",
    "no end": b"GET / HTTP/1.0\r\nCookie: 7777",
    "no end of the target": b"GET http://joe:7777",
}
HARMLESS = (
    b"GET /a@b?c=http://h/@x HTTP/1.0\r\nHost: example.org\r\nX-Cookie: no\r\nReferer: http://h/a@b\r\n\r\n\xff\0",
    b"GET http://example.org/ten.txt HTTP/1.1\r\n\r\n",
)
REQUEST = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"


def blanked(pieces: Iterable[bytes]) -> bytes:
    blanker = Blanker()
    return b"".join([*map(blanker.feed, pieces), blanker.flush()])


def cuts(data: bytes) -> Iterable[list[bytes]]:
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_kept(name: str) -> None:
    data = SECRETS[name]
    for pieces in cuts(data):
        shown = blanked(pieces)
        assert b"7" not in shown, pieces
        assert len(shown) == len(data)
        assert shown.count(b"\n") == data.count(b"\n")


@pytest.mark.parametrize("data", HARMLESS)
def test_everything_else_is(data: bytes) -> None:
    assert all(blanked(pieces) == data for pieces in cuts(data))


class Taped(Conversation):
    """A conversation without sockets that is recorded."""

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(root)
        self.warnings: list[str] = []
        self.recorder = Recorder(str(folder), lambda: "select", log_into(self.warnings))
        self.connection = RecordingService(self.service, self.recorder).connect(PEER, 0.0)


def taped(root: Path, folder: Path, data: bytes) -> Recording:
    conversation = Taped(root, folder)
    conversation.hear(data, 1.5)
    conversation.hear(b"", 2.0)
    (file,) = folder.iterdir()
    found = read_recording(file)
    file.unlink()
    return found


@in_batches("cases", CASES)
def test_every_wire_case_becomes_itself(cases: Sequence[Case], site: Path, tmp_path: Path) -> None:
    """What ``--to-case`` prints is a case with the same request, which the same server passes."""

    def check_one(case: Case) -> None:
        if case.data != blanked([case.data]):
            return
        found = taped(site, tmp_path, case.data)
        if found.is_cut:
            return
        assert found.said("client") == case.data
        made = eval(f"({to_case(found, case.name)})", vars(build))[0]
        assert made.data == case.data
        check(made, answers_to(site, [case.data]))
        assert [answer.status for answer in made.answers] == [answer.status for answer in case.answers]

    check_all(cases, check_one)


def test_times_and_sides(site: Path, tmp_path: Path) -> None:
    found = taped(site, tmp_path, b"GET /ten.txt HTTP/1.0\r\n\r\n")
    assert [(event.at, event.by) for event in found.events] == [(1.5, "client"), (1.5, "server"), (2.0, "client")]
    assert found.said("server").endswith(b"\r\n\r\n0123456789")
    assert not found.is_blanked
    assert not found.is_cut


def test_a_large_answer_is_cut(site: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/large").write_bytes(bytes(3 * MOST_FILE_BYTES))
    folder = tmp_path / "tapes"
    folder.mkdir()
    conversation = Taped(tmp_path / "root", folder)
    conversation.hear(b"GET /large HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert len(conversation.said) > 3 * MOST_FILE_BYTES
    conversation.hear(REQUEST)
    (file,) = folder.iterdir()
    assert file.stat().st_size <= MOST_FILE_BYTES
    assert read_recording(file).is_cut


def test_as_many_files_as_allowed(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that exist count, and are not touched; further connections are served and not recorded."""
    monkeypatch.setattr(tape, "MOST_FILES", 2)
    (tmp_path / "0001.record").write_text("precious")
    conversation = Taped(site, tmp_path)
    service = RecordingService(conversation.service, conversation.recorder)
    for _ in range(3):
        conversation.connection = service.connect(PEER, 0.0)
        conversation.hear(REQUEST)
    assert conversation.said.count(b"0123456789") == 3
    assert sorted(os.listdir(tmp_path)) == ["0001.record", "0002.record"]
    assert (tmp_path / "0001.record").read_text() == "precious"
    assert [line for line in conversation.warnings if "no more connections" in line] == conversation.warnings
    assert len(conversation.warnings) == 1


def test_a_folder_that_is_gone_costs_no_answer(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    conversation = Taped(site, folder)
    (folder / "0001.record").unlink()
    folder.rmdir()
    conversation.hear(REQUEST)
    assert conversation.said.endswith(b"0123456789")
    assert "cannot be written" in conversation.warnings[0]


# With a server.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "ten.txt").write_bytes(b"0123456789")
    (folder / "page.html").write_bytes(b"<p>page")
    return folder


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    folder = tmp_path / "tapes"
    folder.mkdir(mode=0o700)
    return folder


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def talk(port: int) -> None:
    """Three requests on one connection: one in two pieces, with a cookie; a HEAD; one for nothing that is there."""
    with connect(port) as sock:
        sock.sendall(REQUEST[:20])
        sock.sendall(REQUEST[20:-2] + b"Cookie: a=SECRET\r\n\r\n")
        assert read_answer(sock)[2] == b"0123456789"
        sock.sendall(REQUEST.replace(b"GET /ten.txt", b"HEAD /big.bin"))
        assert b"\r\n\r\n" in sock.recv(65536)
        sock.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
        assert read_all(sock)


def test_in_every_mode(mode: str, site: Path, root: Path, tapes: Path, start: StartServer) -> None:
    """Recorded, sent again to a server in the same mode, and to one with other files."""
    server = start(site, "--mode", mode, "--record", str(tapes))
    talk(server.port)
    server.assert_clean_end()
    (file,) = tapes.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"SECRET" not in file.read_bytes()
    assert json.loads(file.read_bytes().splitlines()[0])["mode"] == mode
    status, output, errors = run_command("replay", str(file), "--root", str(site))
    assert (status, errors) == (0, b""), output
    assert [line.split()[-3:] for line in output.decode().splitlines()] == [
        [code, "as", "recorded"] for code in ("200,", "200,", "404,")
    ]
    (root / "ten.txt").write_bytes(b"other")
    status, output, errors = run_command("replay", str(file), "--root", str(root), "--mode", "threading")
    assert status == 1
    assert b"body 5 bytes" in output
    assert b"status 404; recorded: 200" in output
    assert b"blanked" in errors


def test_a_server_that_runs_and_pauses(root: Path, tapes: Path, start: StartServer) -> None:
    """To a URL; and a pause that was recorded is made again, unless it is to be shorter."""
    server = start(root)
    events = [
        {"httpmini": 1, "mode": "select", "wall": 0.0},
        {"at": 0.0, "by": "client", "octets": "GET /ten.txt"},
        {"at": 0.4, "by": "client", "octets": " HTTP/0.9\r\n\r\n".replace("0.9", "1.0")},
        {"at": 0.4, "by": "server", "octets": "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"},
    ]
    file = tapes / "one.record"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    begin = time.monotonic()
    done = replay(file, server.url)
    assert time.monotonic() - begin >= 0.4
    assert done.exit_code == 1
    assert "server: httpmini/" in done.output  # a field that was not recorded
    assert "body" not in done.output


def test_a_proxy_is_recorded(root: Path, tapes: Path, start: StartServer) -> None:
    config = '[proxies]\ntrusted = ["127.0.0.1"]\n'
    server = start(root, "--record", str(tapes), config=f'{config}[site]\nroot = "{root}"\n')
    with connect(server.port) as sock:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        assert read_all(sock).endswith(b"0123456789")
    (file,) = tapes.iterdir()
    eventually(lambda: read_recording(file).said("server").endswith(b"0123456789"), "the answer is recorded")


def test_a_reload_cannot_begin_to_record(root: Path, tapes: Path, start: StartServer) -> None:
    server = start(root, config=f'[site]\nroot = "{root}"\n')
    file = next(tapes.parent.glob("config-*.toml"))
    file.write_text(f'[site]\nroot = "{root}"\n[log]\nrecord = "{tapes}"\n')
    server.process.send_signal(1)
    server.wait_for_line("log.record has changed; that needs a new start")


# Wrong usage.

WRONG: dict[str, tuple[Callable[[SimpleNamespace], list[object]], int, str]] = {
    "no server": (lambda it: [it.file], 2, "name what to serve"),
    "two servers": (lambda it: [it.file, "http://127.0.0.1:1/", "--mode", "select"], 2, "name one server"),
    "another machine": (lambda it: [it.file, "http://192.0.2.1/"], 2, "--i-own-this-server"),
    "https": (lambda it: [it.file, "https://127.0.0.1/"], 2, "only http"),
    "nobody listens": (lambda it: [it.file, "http://127.0.0.1:1/"], 4, "127.0.0.1:1: no connection"),
    "no folder": (lambda it: [it.file, "--root", "nowhere"], 2, "does not exist"),
    "no file": (lambda _: ["nowhere", "--root", "."], 2, "nowhere: cannot be read: No such file"),
    "no recording": (lambda it: [it.other, "--root", "."], 2, "is no recording"),
    "broken": (lambda it: [it.broken, "--root", "."], 2, "broken.record:2: is no event"),
    "of tomorrow": (lambda it: [it.later, "--root", "."], 2, "has form 2; this httpmini reads form 1"),
    "silence": (lambda it: [it.silent, "--root", "."], 2, "the client has sent nothing"),
    "too large": (lambda it: [it.large, "--root", "."], 2, "is larger than any recording"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("recordings")
    first = b'{"httpmini":1,"mode":"select","wall":1.0}\n'
    contents = {
        "file": first + b'{"at":0.1,"by":"client","octets":"GET /\\r\\n"}\n',
        "other": b"GET / HTTP/1.0\r\n\r\n",
        "broken": first + b'{"at":0.1,"by":"nobody","octets":""}\n',
        "later": b'{"httpmini":2,"mode":"select","wall":1.0}\n',
        "silent": first,
        "large": bytes(2 * recording.MOST_FILE_BYTES + 1),
    }
    for name, data in contents.items():
        (folder / f"{name}.record").write_bytes(data)
    return SimpleNamespace(**{name: folder / f"{name}.record" for name in contents})


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage(name: str, files: SimpleNamespace) -> None:
    arguments, status, said = WRONG[name]
    done = replay(*arguments(files))
    assert (done.exit_code, said in done.output) == (status, True), done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--record", "nowhere"], "is not a folder; create it"),
        (["--record", ".", "--tls-cert", "c.pem", "--tls-key", "k.pem"], "cannot record TLS"),
    ],
)
def test_what_cannot_be_recorded(arguments: list[str], said: str, tmp_path: Path) -> None:
    status, _, errors = run_command("serve", str(tmp_path), *arguments)
    assert (status, said in errors.decode()) == (2, True), errors
