"""``httpmini lint`` as a command: what it examines, what it prints and writes, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from httpmini.cli.main import main
from httpmini.lint import runner
from httpmini.lint.cases import CASES
from httpmini.lint.check import Check, Level, fail
from httpmini.lint.checks import CHECKS
from httpmini.lint.lab import MOST_CONNECTIONS, Lab, NoAnswer, OutOfConnections, Session
from httpmini.lint.points import read_points
from httpmini.lint.runner import MOST_TIMEOUTS, Runner
from tests.conftest import StartServer
from tests.support.processes import eventually

OURS = f"{sys.executable} -m httpmini serve {{root}} -p {{port}}"
FAULTY = f"{sys.executable} {Path(__file__).with_name('faulty_server.py')} {{port}} {{root}}"
FEW = ("--only", "messages")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs many tests is slow; the sixty seconds have tests of their own."""
    monkeypatch.setattr(runner, "MOST_S", 600.0)


def lint(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["lint", *arguments])


@pytest.mark.long
def test_httpmini_has_all_points(mode: str) -> None:
    done = lint("--spawn", f"{OURS} --mode {mode} --max-clients 20", "--max-clients", "20", "--timeout", "20")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0, done.stdout
    total = sum(check.level.points for check in CHECKS if "course" in check.profiles)
    assert lines[-1] == f" {total} of {total} points; 0 musts failed"


@pytest.mark.parametrize("profile", ["1.0", "1.1", "files"])
def test_httpmini_has_all_points_of_other_profiles(profile: str) -> None:
    done = lint("--spawn", OURS, "--profile", profile, "--json", "-", "--timeout", "20")
    findings = json.loads(done.stdout)["findings"]
    assert [one["id"] for one in findings] == [check.id for check in CHECKS if profile in check.profiles]
    assert {one["id"] for one in findings if one["outcome"] == "failed"} == set()
    assert {one["id"] for one in findings if one["outcome"] != "passed"} <= {"unreadable-file"}


# What it prints and writes.


def test_a_must_that_failed() -> None:
    done = lint("--spawn", f"{FAULTY} 'head with body'", "--only", "head-body,get-file", "-v")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["3/3", *["answers", "GET", "with", "the", "file's", "bytes"], "RFC", "1945", "8.1"]
    failed = next(at for at, line in enumerate(lines) if "0/3" in line)
    assert "answers HEAD without a body: 10 bytes came after the head" in lines[failed]
    assert lines[failed].endswith("RFC 1945 8.2    lint --only head-body -v")
    assert lines[failed + 1].strip().startswith("must: HEAD asks for the fields alone")
    assert any(line.strip() == "> HEAD /ten.txt HTTP/1.0\\x0d" for line in lines)
    assert any(line.strip() == "< 0123456789" for line in lines)
    assert lines[-1] == " 3 of 6 points; 1 must failed"


def test_a_should_that_failed() -> None:
    done = lint("--spawn", f"{FAULTY} 'no type'", "--only", "content-type")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == " 0 of 1 points; 0 musts failed"


def test_a_decision_is_no_failure() -> None:
    done = lint("--spawn", f"{FAULTY} hidden", "--only", "hidden")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split()[:2] == ["no", "does"]


def test_files_of_reports(tmp_path: Path) -> None:
    fault = "head with body"
    paths = [str(tmp_path / name) for name in ("report.json", "report.xml", "report.html")]
    done = lint("--spawn", f"{FAULTY} '{fault}'", *FEW, "--json", paths[0], "--junit", paths[1], "--html", paths[2])
    assert done.exit_code == 1
    found = json.loads(Path(paths[0]).read_text())
    assert [one["id"] for one in found["findings"] if one["outcome"] == "failed"] == ["head-body"]
    suite = ElementTree.fromstring(Path(paths[1]).read_text())
    assert (suite.get("tests"), suite.get("failures")) == (str(len(found["findings"])), "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "10 bytes came after the head"
    page = Path(paths[2]).read_text()
    assert "10 bytes came after the head" in page
    assert "http://" not in page.replace("http://127.0.0.1", "")  # nothing is loaded from elsewhere


@pytest.mark.parametrize("flag", ["--json", "--junit", "--html"])
def test_a_file_that_cannot_be_written_is_named_before_the_server_is_started(flag: str, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    done = lint("--spawn", f"touch {begun} {{port}}", flag, str(tmp_path / "none" / "report"))
    assert done.exit_code == 2
    assert done.stderr.endswith("report: cannot be written: No such file or directory\n")
    assert not begun.exists()


def test_a_matrix_of_servers(tmp_path: Path) -> None:
    for name, fault in (("a", "none"), ("b", "head with body")):
        lint("--spawn", f"{FAULTY} '{fault}'", "--only", "head-body", "--json", str(tmp_path / f"{name}.json"))
    page = tmp_path / "all.html"
    done = lint("--merge", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--html", str(page))
    assert (done.exit_code, done.stdout) == (0, "")
    text = page.read_text()
    assert text.count("✓") == 1
    assert text.count("✗") == 1
    assert "2 servers" in text


def test_a_page_that_changes_is_no_file_to_compare_with() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_count, args=(listener, 2))
        thread.start()
        done = lint(f"http://127.0.0.1:{listener.getsockname()[1]}/", *FEW)
        thread.join()
    assert done.exit_code == 4
    assert "GET / got other bytes the second time; name a file that does not change" in done.stderr


def test_what_is_hostile_in_a_report(tmp_path: Path) -> None:
    """Bytes of a server become neither markup nor control characters of a terminal."""
    done = None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, b"HTTP/1.0 200 OK\r\n\r\n<script>\x1b[31m"))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        page = tmp_path / "page.html"
        done = lint(url, "--only", "content-length", "-v", "--html", str(page))
        thread.join()
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m" in done.stdout
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()


def _count(listener: socket.socket, most: int) -> None:
    """Answer ``most`` clients, each with its number."""
    for number in range(most):
        sock, _ = listener.accept()
        with sock:
            sock.recv(4096)
            sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n%d" % number)


def _answer(listener: socket.socket, data: bytes) -> None:
    for _ in range(3):
        conn, _ = listener.accept()
        with conn:
            conn.recv(65536)
            conn.sendall(data)


# Which server.


def test_a_server_that_runs_already(start: StartServer, tmp_path: Path) -> None:
    """By its URL alone, and with the folder that it serves."""
    made = lint("--make-root", str(tmp_path / "site"))
    root = tmp_path / "site" / "www"
    assert made.stdout == f"Serve {root}, then: httpmini lint --root {root} http://127.0.0.1:PORT/\n"
    old = (root / "ten.txt").lstat().st_ctime + runner.OLD_S
    eventually(lambda: time.time() > old, "the files are old enough for a date", every_s=0.05)
    url = start(root).url
    bare = json.loads(lint(f"{url}ten.txt", "--json", "-", "--profile", "files", "--timeout", "20").stdout)
    known = json.loads(lint(url, "--root", str(root), "--json", "-", "--timeout", "20").stdout)
    outcomes = {one["id"]: one["outcome"] for one in bare["findings"]}
    assert outcomes["range"] == "passed"
    assert outcomes["empty-file"] == "not applicable"
    assert "failed" not in outcomes.values()
    outcomes = {one["id"]: one["outcome"] for one in known["findings"]}
    assert outcomes["empty-file"] == outcomes["slow-reader"] == "passed"
    assert outcomes["zombies"] == "not applicable"
    assert "failed" not in outcomes.values()


@pytest.mark.parametrize(
    ("arguments", "status", "fragment"),
    [
        ([], 2, "name one server"),
        (["http://127.0.0.1/", "--spawn", "x {port}"], 2, "name one server"),
        (["--spawn", "x"], 2, "{port}"),
        (["--spawn", "/no/such/program {port}"], 4, "cannot be started"),
        (["--spawn", "true {port}"], 4, "has ended with status 0"),
        (["http://127.0.0.1:1/"], 4, "http://127.0.0.1:1/: no connection"),
        (["https://127.0.0.1/"], 2, "only http"),
        (["http://127.0.0.1:x/"], 2, "not a URL"),
        (["http://192.0.2.1/"], 2, "--i-own-this-server"),
        (["http://127.0.0.1/", "--only", "head-bdy"], 2, "did you mean head-body?"),
        (["http://127.0.0.1/", "--skip", "nothing"], 2, "no check and no group"),
        (["http://127.0.0.1/", "--points", "/no/such/file"], 2, "cannot be read"),
        (["http://127.0.0.1/", "--root", "/"], 2, "--make-root"),
        (["--make-root", "/"], 2, "exists"),
        (["--merge", "one.json", "--html", "x"], 2, "two or more"),
        (["--merge", "/no/such/a", "/no/such/b", "--html", "x"], 2, "No such file"),
        (["--profile", "2.0"], 2, "1.0"),
    ],
)
def test_bad_input(arguments: list[str], status: int, fragment: str) -> None:
    done = lint(*arguments)
    assert done.exit_code == status, done.output
    assert fragment in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("head-bdy = 1", "head-bdy = 1: is no check and no group; see httpmini lint --list; did you mean head-body?"),
        ("head-body = -1", "must be a number from 0 to 1000"),
        ('head-body = "5"', "must be a number from 0 to 1000"),
        ("head-body", "not TOML"),
    ],
)
def test_wrong_points(text: str, fragment: str, tmp_path: Path) -> None:
    path = tmp_path / "points.toml"
    path.write_text(text)
    done = lint("--spawn", f"{FAULTY} none", "--points", str(path))
    assert done.exit_code == 2
    assert fragment in done.stderr


def test_points_of_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "points.toml"
    path.write_text("messages = 2\nhead-body = 7.5\n")
    points = read_points(path, CHECKS)
    assert points["head-body"] == 7.5
    assert points["get-file"] == 2
    assert points["empty-file"] == 3
    done = lint("--spawn", f"{FAULTY} none", "--points", str(path), "--only", "head-body,get-file")
    assert done.stdout.splitlines()[-1] == " 9.5 of 9.5 points; 0 musts failed"


def test_the_list() -> None:
    done = lint("--list", "--profile", "1.0", "--skip", "ranges,head-body")
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == [check.id for check in CHECKS if "1.0" in check.profiles and check.id != "head-body"]


# Its bounds.


@pytest.fixture
def lab() -> Lab:
    return Lab("127.0.0.1", 1, 0.5, "/", None)


def _check(name: str, run: object, group: str = "group") -> Check:
    assert callable(run)
    return Check(name, name, Level.MUST, "", "", frozenset(), run, group)


def _runner(lab: Lab) -> Runner:
    lab.__dict__["body"] = b""  # known already
    return Runner(lab, {f"{number}": 1.0 for number in range(10)})


def test_a_group_is_given_up_after_its_third_timeout(lab: Lab) -> None:
    def times_out(_: Session) -> None:
        raise NoAnswer("no answer")

    checks = [Check(f"{n}", "", Level.MUST, "", "", frozenset(), times_out, "group", alone=True) for n in range(5)]
    checks.append(Check("9", "", Level.MUST, "", "", frozenset(), lambda _: None, "another", alone=True))
    found = _runner(lab).run(checks, "it", "x").findings
    assert [one.outcome for one in found] == [*["failed"] * MOST_TIMEOUTS, "not run", "not run", "passed"]


def test_connections_are_counted(lab: Lab) -> None:
    lab.connections = MOST_CONNECTIONS
    with pytest.raises(OutOfConnections):
        lab.connect()
    found = _runner(lab).run([_check("1", lambda session: session.get())], "it", "x").findings
    assert (found[0].outcome, found[0].detail) == ("not run", "all of its connections are used")


def test_after_its_time_nothing_is_begun(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MOST_S", 60.0)
    examination = _runner(lab)
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 61)
    found = examination.run([_check("1", lambda _: fail("it was begun"))], "it", "x").findings
    assert (found[0].outcome, found[0].detail) == ("not run", "the 60 s of an examination are over")


def test_a_server_that_never_ends_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no timeout; the end of the examination is."""
    monkeypatch.setattr(runner, "MOST_S", 1.5)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_drip, args=(listener, ended))
        thread.start()
        examined = Lab("127.0.0.1", listener.getsockname()[1], 5.0, "/", None)
        found = _runner(examined).run([_check("1", lambda session: session.ask(session.request()))], "it", "x").findings
        ended.set()
        thread.join()
    assert found[0].outcome == "passed"


def _drip(listener: socket.socket, ended: threading.Event) -> None:
    conn, _ = listener.accept()
    with conn, contextlib.suppress(ConnectionError):
        conn.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        while not ended.wait(0.02):
            conn.sendall(b".")


def test_a_server_is_ended_with_all_of_its_processes() -> None:
    """The command's children, too, even if they ignore everything."""
    seconds = str(10_000_000 + os.getpid())  # which no other process sleeps for
    script = f"trap '' TERM; sleep {seconds} & exec {sys.executable} {{server}} {{{{port}}}} {{{{root}}}} none"
    server = Path(__file__).with_name("faulty_server.py")
    done = lint("--spawn", f'sh -c "{script.format(server=server)}"', "--only", "get-file")
    assert done.exit_code == 0
    eventually(lambda: not _is_slept_for(seconds), "the sleeping process has ended")


def _is_slept_for(seconds: str) -> bool:
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{entry}/cmdline").read_text("utf-8", "replace") == f"sleep\0{seconds}\0":
                return True
    return False


# The checks themselves.


def test_names_of_checks_are_unique() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert not {check.id for check in CHECKS} & {check.group for check in CHECKS}
    assert all(check.profiles for check in CHECKS)


def test_every_sentence_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for check in CHECKS:
        assert check.explain.endswith("."), check.id
        assert not check.title.endswith("."), check.id


def test_the_cases_keep_their_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
