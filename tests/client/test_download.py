"""Downloads that resume where they were cut off, and never mix two versions in one file."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpmini.client.client import Client
from httpmini.client.download.download import Downloaded, download
from httpmini.client.download.part import kept_plan
from httpmini.client.download.plan import Plan
from httpmini.client.download.source import is_version
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.client.versions import strong_validators
from httpmini.errors import BadStatus, CannotRun, Corrupt, TooLarge
from httpmini.protocol.message import Headers
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.progress import EndAfter
from tests.support.versions import wait_for_date

SIZE = 3_000_000
CONTENT = random.Random(1).randbytes(SIZE)
OTHER = random.Random(2).randbytes(SIZE)


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(retries=Retries(times=1, first_s=0.01), timeouts=Timeouts(60, 60, 60)) as client:
        yield client


@pytest.fixture
def server(start: StartServer, mode: str, tmp_path: Path) -> ServerProcess:
    (tmp_path / "www").mkdir()
    settled(tmp_path / "www" / "film.bin", CONTENT)
    return start(tmp_path / "www", "--mode", mode)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "film.bin"


def settled(path: Path, content: bytes, age_s: int = 100) -> None:
    """Put a file with an old enough time in its place, in one step."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.utime(new, (new.stat().st_mtime - age_s,) * 2)
    os.replace(new, path)


def cut(client: Client, url: str, target: Path, count: int, segments: int = 1) -> None:
    """Start a download, and interrupt it after about ``count`` bytes; of a file that can be resumed."""
    wait_for_date(url)
    with pytest.raises(KeyboardInterrupt):
        download(client, url, target, segments=segments, progress=EndAfter(count, KeyboardInterrupt()))
    assert not target.exists()
    assert Path(f"{target}.part").stat().st_size >= count
    assert Path(f"{target}.part.json").exists()


def only_the_file(target: Path) -> bool:
    return os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("segments", [1, 3, 8])
def test_all_of_it(server: ServerProcess, client: Client, target: Path, segments: int) -> None:
    done = download(client, server.url + "film.bin", target, segments=segments)
    assert target.read_bytes() == CONTENT
    assert (done.size, done.resumed_from, done.path) == (SIZE, 0, str(target))
    assert only_the_file(target)


@pytest.mark.parametrize("segments", [1, 3])
def test_goes_on_where_it_was_cut_off(server: ServerProcess, client: Client, target: Path, segments: int) -> None:
    url = server.url + "film.bin"
    cut(client, url, target, 1_000_000, segments)
    done = download(client, url, target)
    assert target.read_bytes() == CONTENT
    assert 1_000_000 <= done.resumed_from < SIZE
    assert only_the_file(target)
    server.wait_for_line('"GET /film.bin HTTP/1.0" 206 ')


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("size", [SIZE, SIZE - 1, 10, 0])
def test_begins_anew_when_the_file_changed(
    server: ServerProcess, client: Client, target: Path, tmp_path: Path, segments: int, size: int
) -> None:
    url = server.url + "film.bin"
    cut(client, url, target, 1_000_000, segments)
    settled(tmp_path / "www" / "film.bin", OTHER[:size])
    done = download(client, url, target, segments=segments)
    assert target.read_bytes() == OTHER[:size]
    assert done.resumed_from == 0
    assert only_the_file(target)


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("offset", [0, 500_000])
def test_a_part_that_was_damaged_is_not_built_upon(
    server: ServerProcess, client: Client, target: Path, offset: int
) -> None:
    url = server.url + "film.bin"
    cut(client, url, target, 1_000_000)
    _flip(Path(f"{target}.part"), offset)
    assert download(client, url, target).resumed_from == 0
    assert target.read_bytes() == CONTENT


BROKEN_PLANS: dict[str, Callable[[dict[str, object]], object]] = {
    "another file": lambda plan: json.dumps({**plan, "url": "http://127.0.0.1/other"}),
    "no validator": lambda plan: json.dumps({**plan, "entity_tag": "", "last_modified": ""}),
    "another length": lambda plan: json.dumps({**plan, "length": SIZE + 1}),
    "no segments": lambda plan: json.dumps({**plan, "segments": []}),
    "a gap": lambda plan: json.dumps(
        {**plan, "segments": [{"start": 5, "end": SIZE, "done": 5, "checked": 5, "crc32": 0}]}
    ),
    "more done than there": lambda plan: json.dumps(
        {**plan, "segments": [{"start": 0, "end": SIZE, "done": SIZE, "checked": SIZE, "crc32": 1}]}
    ),
    "done after the end": lambda plan: json.dumps(
        {**plan, "segments": [{"start": 0, "end": SIZE, "done": SIZE + 9, "checked": SIZE + 9, "crc32": 1}]}
    ),
    "texts": lambda plan: json.dumps({**plan, "length": "x"}),
    "more keys": lambda plan: json.dumps({**plan, "x": 1}),
}


@pytest.mark.parametrize("name", BROKEN_PLANS)
def test_notes_that_are_not_true_are_not_believed(
    start: StartServer, client: Client, target: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "www").mkdir()
    settled(tmp_path / "www" / "film.bin", CONTENT)
    url = start(tmp_path / "www").url + "film.bin"
    cut(client, url, target, 1_000_000)
    notes = Path(f"{target}.part.json")
    notes.write_text(str(BROKEN_PLANS[name](json.loads(notes.read_text()))))
    assert download(client, url, target).resumed_from == 0
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("digest", "most"), [("0" * 64, None), (None, 10)])
def test_an_error_does_not_show_the_password(
    server: ServerProcess, target: Path, digest: str | None, most: int | None
) -> None:
    url = server.url.replace("://", "://ada:secret@") + "film.bin"
    with Client(limits=Limits(body_bytes=most)) as client, pytest.raises((Corrupt, TooLarge)) as error:
        download(client, url, target, sha256=digest)
    assert "secret" not in str(error.value)


def test_a_part_of_all_of_it_is_finished(server: ServerProcess, client: Client, target: Path) -> None:
    """Killed between the last byte and the rename: nothing is left to request, and the download succeeds."""
    url = server.url + "film.bin"
    cut(client, url, target, SIZE)
    done = download(client, url, target)
    assert (done.resumed_from, target.read_bytes()) == (SIZE, CONTENT)
    server.stop()  # then all of its lines have come
    assert not any(" 206 " in line for line in server.access_lines())


def test_sha256(server: ServerProcess, client: Client, target: Path) -> None:
    right = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(Corrupt, match=right):
        download(client, server.url + "film.bin", target, sha256="0" * 64)
    assert os.listdir(target.parent) == []
    assert download(client, server.url + "film.bin", target, sha256=right.upper()).sha256 == right
    assert only_the_file(target)


def test_the_digest_that_the_server_says(start: StartServer, client: Client, target: Path, tmp_path: Path) -> None:
    """RFC 9530; a rule in the config file sets the field here."""
    (tmp_path / "www").mkdir()
    settled(tmp_path / "www" / "film.bin", CONTENT)
    settled(tmp_path / "www" / "other.bin", OTHER)
    import base64

    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    config = f'[[rules]]\npath = "/**"\nfields = {{ Repr-Digest = "sha-512=:AA==:, sha-256=:{digest}:" }}\n'
    server = start(tmp_path / "www", config=config)
    assert download(client, server.url + "film.bin", target).sha256 == hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(Corrupt, match="announced by the server"):
        download(client, server.url + "other.bin", target.with_name("other.bin"))
    assert only_the_file(target)


def test_what_is_there_is_not_overwritten(server: ServerProcess, client: Client, target: Path, tmp_path: Path) -> None:
    target.write_bytes(b"mine")
    with pytest.raises(CannotRun, match="exists already"):
        download(client, server.url + "film.bin", target)
    assert target.read_bytes() == b"mine"
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    target.unlink()
    target.symlink_to(outside)
    with pytest.raises(CannotRun, match="exists already"):
        download(client, server.url + "film.bin", target)
    download(client, server.url + "film.bin", target, overwrite=True)
    assert outside.read_bytes() == b"mine"
    assert not target.is_symlink()
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_a_symlink_is_not_written_through(
    server: ServerProcess, client: Client, target: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    Path(f"{target}.part").symlink_to(tmp_path / "outside")
    with pytest.raises(CannotRun, match=r"film\.bin\.part"):
        download(client, server.url + "film.bin", target)
    assert (tmp_path / "outside").read_bytes() == b"mine"


def test_two_at_one_file(server: ServerProcess, client: Client, target: Path) -> None:
    class Second:
        def begin(self, name: str, total: int | None, done: int) -> None:
            with pytest.raises(CannotRun, match="another download"):
                download(client, server.url + "film.bin", target)

        def advance(self, count: int) -> None:
            pass

        def end(self) -> None:
            pass

    download(client, server.url + "film.bin", target, progress=Second())
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("path", "status"), [("nothing", 404), ("%zz", 400)])
def test_no_page_of_an_error_becomes_the_file(
    server: ServerProcess, client: Client, target: Path, path: str, status: int
) -> None:
    with pytest.raises(BadStatus) as caught:
        download(client, server.url + path, target)
    assert caught.value.status == status
    assert os.listdir(target.parent) == []


def test_rate(server: ServerProcess, client: Client, target: Path) -> None:
    pieces: list[int] = []

    class Pieces(EndAfter):
        def __init__(self) -> None:
            pass

        def advance(self, count: int) -> None:
            pieces.append(count)

    done: Downloaded = download(client, server.url + "film.bin", target, rate=40_000_000, progress=Pieces())
    assert done.size == sum(pieces) == SIZE
    assert max(pieces) <= 256 * 1024


WRITER = """
import os, sys, random, time
folder, name = sys.argv[1:]
contents = [bytes([number, *bytes(499_999)]) * 6 for number in range(4)]
pauses = random.Random(5)
print("ready", flush=True)
number = 0
while True:
    new = os.path.join(folder, ".new")
    with open(new, "wb") as file:
        file.write(contents[number % 4])
    os.utime(new, ns=(time.time_ns() - 10**11,) * 2)  # a newer file would not be fetched in parts at all
    os.replace(new, os.path.join(folder, name))
    number += 1
    time.sleep(pauses.choice((0, 0.01, 0.1, 0.5, 2)))
"""
FETCHER = """
import sys
from httpmini.client.client import Client
from httpmini.client.download import segments as module
from httpmini.client.download.download import download
from httpmini.errors import HttpminiError
module.SAVE_S = 0.05
try:
    with Client() as client:
        done = download(client, sys.argv[1], sys.argv[2], segments=4, rate=float(sys.argv[3]) or None)
    print(done.resumed_from)
except HttpminiError as error:
    print(error, file=sys.stderr)
    sys.exit(9)
"""


def fetch_or_be_killed(url: str, target: Path, rate: int, after_s: float) -> tuple[int, str, str]:
    """Return the exit status, the bytes that were there before, and the message; the status is -9 after a kill."""
    pipe = subprocess.PIPE
    with subprocess.Popen(fetcher(url, target, rate), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, errors = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
    return process.returncode, out, errors


def fetcher(url: str, target: Path, rate: int) -> list[str]:
    """Return the command that downloads ``url`` with ``rate`` bytes a second; 0 for no limit."""
    return [sys.executable, "-c", FETCHER, url, str(target), str(rate)]


@pytest.mark.long
def test_killed_at_50_moments_while_the_file_is_rewritten(start: StartServer, target: Path, tmp_path: Path) -> None:
    """Never a mixture: the file is one of the versions, or it is missing and the call has said why.

    The versions have one length and differ in six bytes only: comparing where two parts meet is not enough.
    """
    (tmp_path / "www").mkdir()
    versions = {bytes([number, *bytes(499_999)]) * 6 for number in range(4)}
    settled(tmp_path / "www" / "film.bin", min(versions))
    url = start(tmp_path / "www").url + "film.bin"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "www"), "film.bin"], stdout=subprocess.PIPE)
    moments = random.Random(3)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        kills = 0
        while kills < 50:
            status, _, errors = fetch_or_be_killed(url, target, 8_000_000, moments.uniform(0.15, 0.7))
            kills += status == -signal.SIGKILL
            check_outcome(status, errors, target, versions)
            target.unlink(missing_ok=True)
        status, _, errors = fetch_or_be_killed(url, target, 0, 60)
        check_outcome(status, errors, target, versions)
        target.unlink(missing_ok=True)
    finally:
        writer.kill()
        writer.wait()
        if writer.stdout:
            writer.stdout.close()
    wait_for_date(url)  # now that the file stays the same
    with subprocess.Popen(fetcher(url, target, 500_000)) as killed:
        eventually(lambda: kept_plan(str(target)) is not None, "there is a part that can be resumed")
        killed.kill()
    status, _, errors = fetch_or_be_killed(url, target, 0, 60)
    assert (status, errors) == (0, "")
    assert target.read_bytes() in versions
    # A process that is killed leaves a file behind where a new file has to have a name.
    assert only_the_file(target) or not hasattr(os, "O_TMPFILE")


def check_outcome(status: int, errors: str, target: Path, versions: set[bytes]) -> None:
    """Check that a success is one version, and a failure says why and leaves no file; a kill may be either."""
    if target.exists():
        assert target.read_bytes() in versions, "a mixture"
        assert status in (0, -signal.SIGKILL)
    else:
        assert status in (9, -signal.SIGKILL)
        assert "move it away" not in errors, errors
        assert status != 9 or errors.count("\n") == 1, errors


def test_a_part_that_is_not_ours_is_not_touched(server: ServerProcess, client: Client, target: Path) -> None:
    Path(f"{target}.part").write_bytes(b"mine")
    with pytest.raises(CannotRun, match="so it is not ours"):
        download(client, server.url + "film.bin", target)
    assert Path(f"{target}.part").read_bytes() == b"mine"


DATED = (("Date", "Sun, 06 Nov 1994 08:49:38 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:39 GMT"))


@pytest.mark.parametrize(
    ("fields", "validators"),
    [
        ((("ETag", '"a"'),), ('"a"', "")),
        ((("ETag", 'W/"a"'),), ("", "")),
        ((("ETag", '"a"'), ("Last-Modified", "yesterday")), ('"a"', "")),
        # nginx derives its tag from the date and the length: within the second it is no better than the date.
        ((("ETag", '"a"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), *DATED[:1]), ("", "")),
        ((("ETag", '"a"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), *DATED[1:]), ('"a"', "LM")),
        ((("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:39 GMT")), ("", "LM")),
        ((("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:38 GMT")), ("", "")),
        ((("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")), ("", "")),
        ((("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),), ("", "")),
        ((("Last-Modified", "yesterday"), ("Date", "Sun, 06 Nov 1994 08:49:39 GMT")), ("", "")),
    ],
)
def test_what_tells_versions_apart(fields: tuple[tuple[str, str], ...], validators: tuple[str, str]) -> None:
    """A date within the second of the response may belong to two versions (RFC 9110 §8.8.2.2, §13.1.5)."""
    date = "Sun, 06 Nov 1994 08:49:37 GMT" if validators[1] else ""
    assert strong_validators(Headers(fields)) == (validators[0], date)


@pytest.mark.parametrize(
    ("tag", "date", "fields", "same"),
    [
        ('"a"', "", (("ETag", '"a"'),), True),
        ('"a"', "", (("ETag", '"b"'),), False),
        ('"a"', "", (), False),
        # A server may omit the date during its second, and send it later: it is the same version.
        ('"a"', "", (("ETag", '"a"'), ("Last-Modified", "D"), ("Date", "N")), True),
        ("", "D", (("Last-Modified", "D"), ("Date", "N")), True),
        ("", "D", (("Last-Modified", "N"), ("Date", "N")), False),
        ("", "D", (), False),
    ],
)
def test_whether_it_is_the_same_version(tag: str, date: str, fields: tuple[tuple[str, str], ...], same: bool) -> None:
    dates = {"D": "Sun, 06 Nov 1994 08:49:37 GMT", "N": "Sun, 06 Nov 1994 08:50:00 GMT"}
    headers = Headers(tuple((name, dates.get(value, value)) for name, value in fields))
    assert is_version(Plan("http://h/", tag, dates.get(date, date), 1), headers) == same
