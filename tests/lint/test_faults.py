"""Every check finds the fault that it is about, and says little about others."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pipe, get_context
from pathlib import Path
from threading import Thread

import pytest

from httpmini.lint.cases.site_tree import make_site
from httpmini.lint.checks import CHECKS
from httpmini.lint.lab import Lab
from httpmini.lint.result import Report
from httpmini.lint.runner import Runner
from httpmini.lint.spawn import Spawned
from tests.lint import faulty_server

SERVER = Path(__file__).with_name("faulty_server.py")
POINTS = {check.id: 1.0 for check in CHECKS}
MOST_CLIENTS = 20  # as in the server
MOST_OTHERS = 2
AT_ONCE = 6
# A server that other load starves gets in one piece what was sent in many, and is late: those that came out wrong are
# examined again, one at a time, with this patience.
ALONE_S = 20.0
UNREADABLE = "unreadable-file"
NOBODY = 65_534

# Faults of messages, each with the check that is about it.
IN_MESSAGES = {
    "304 with body": "304-body",
    "304 without tag": "304-etag",
    "404 for methods": "unknown-method",
    "405 without allow": "allow",
    "absolute paths": "absolute",
    "any case of methods": "method-case",
    "any date is 304": "modified-later",
    "any field": "field-syntax",
    "any host": "host-invalid",
    "any length": "length-invalid",
    "any major": "version-major",
    "any method": "unknown-method",
    "any version": "version-form",
    "ascii only": "utf-8",
    "close is a word": "connection-close",
    "ends after 404": "kept-after-404",
    "ends after head": "kept-after-head",
    "ends lines": "get-file",
    "http/2 is fine": "http2",
    "two megabytes at most": "large-file",
    "backslash": "dots-disguised",
    "bad date is 400": "date-invalid",
    "bad range is 206": "range-invalid",
    "bare CR": "bare-lf",
    "beyond is 416": "range-beyond",
    "body is a request": "body-skipped",
    "body twice": "kept-requests",
    "case of extensions": "media-types",
    "case of fields": "field-case",
    "chunks and length": "chunked-and-length",
    "closes on long lines": "long-target",
    "controls": "control-characters",
    "copies the target": "response-splitting",
    "crashes on junk": "garbage",
    "crashes on percent": "percent-invalid",
    "date beside tag": "tag-before-date",
    "decodes before the query": "reserved",
    "devices": "device",
    "dots": "dots",
    "dots before decoding": "dots-encoded",
    "empty is 404": "empty-file",
    "end is excluded": "range",
    "endless head": "large-head",
    "fifo": "fifo",
    "fifty fields": "hundred-fields",
    "head for 0.9": "simple-request",
    "head with body": "head-body",
    "head without length": "head-fields",
    "hidden": "hidden",
    "host without port": "host-valid",
    "keeps nothing": "keep-alive",
    "known fields only": "unknown-fields",
    "lf ends": "head-form",
    "links": "links",
    "local date": "date",
    "loops are 500": "link-loops",
    "made tomorrow": "last-modified",
    "many ranges": "range-many",
    "never closes": "closes",
    "no 404": "not-found",
    "no absolute form": "absolute-form",
    "no bare LF": "bare-lf",
    "no conditions": "if-modified-since",
    "no date": "date",
    "no empty line first": "empty-line-first",
    "no empty values": "field-octets",
    "no host": "host-missing",
    "no if-match": "if-match",
    "no if-range": "if-range",
    "no index": "index",
    "no last-modified": "last-modified",
    "no length": "content-length",
    "no listing": "listing",
    "no ranges": "range",
    "no server": "server-field",
    "no slash": "folder-slash",
    "no star": "if-none-match-star",
    "no status reason form": "head-form",
    "no type": "content-type",
    "nul ends names": "nul",
    "one date form": "date-forms",
    "one tag only": "if-none-match",
    "only 1.0": "higher-minor",
    "open range is one byte": "range-open",
    "open redirect": "open-redirect",
    "own date form": "last-modified",
    "own tag is another": "if-range",
    "percent twice": "percent-once",
    "pipelining lost": "pipelined",
    "plus is blank": "plus",
    "posts": "post",
    "prefix only": "sibling",
    "query in the name": "query",
    "range of head": "range-head",
    "ranges joined": "range-several",
    "raw links": "listing-links",
    "raw markup": "listing-markup",
    "remembers": "changed-file",
    "root only": "subfolder",
    "slash after files": "file-slash",
    "space before colon": "space-before-colon",
    "suffix is a prefix": "range-suffix",
    "tag without quotes": "etag-form",
    "text mode": "binary-file",
    "two content-length": "length-twice",
    "two host": "host-twice",
    "two of three": "kept-requests",
    "unsatisfiable is 200": "range-unsatisfiable",
    "upper case of hex": "percent",
    "utf-8 only": "any-octets",
    "waits on tls": "tls",
    "wrong content-range": "range",
}

# Faults with several clients, and of processes: these need a server of their own.
IN_BEHAVIOUR = {
    "children stay": "stop",
    "descriptors leak": "descriptors",
    "drops the seventh": "clients-at-once",
    "ignores ctrl-c": "interrupt",
    "ignores sigterm": "stop",
    "no reuseaddr": "restart",
    "loses signals": "stop-in-transfer",
    "no threshold": "max-clients",
    "one recv is one request": "split-request",
    "one send": "slow-reader-whole",
    "one sends at a time": "slow-reader",
    "processes stay": "left-processes",
    "reset ends it": "reset",
    "silence ends it": "no-request",
    "stops at eof": "half-close",
    "three pieces at most": "trickling-client",
    "vanishing ends it": "vanishing-client",
    "waits for a word": "silent-client",
    "waits for the head": "half-request",
    "zombies": "zombies",
}


def _failed(report: Report) -> set[str]:
    return {finding.id for finding in report.findings if finding.outcome in ("failed", "not run")}


def _examine_messages(port: int, root: Path, patience_s: float = 5.0) -> set[str]:
    lab = Lab("127.0.0.1", port, patience_s, "/ten.txt", root)
    return _failed(Runner(lab, POINTS).run([check for check in CHECKS if not check.alone], "it", "all"))


def _examine_behaviour(fault: str, folder: Path, patience_s: float = 5.0) -> set[str]:
    server = Spawned(f"{sys.executable} {SERVER} {{port}} {{root}} '{fault}'", make_site(folder))
    server.start()
    try:
        lab = Lab("127.0.0.1", server.port, patience_s, "/ten.txt", server.root, server, MOST_CLIENTS)
        return _failed(Runner(lab, POINTS).run([check for check in CHECKS if check.alone], "it", "course"))
    finally:
        server.close()


def _wrong(failed: dict[str, set[str]], wanted: dict[str, str]) -> dict[str, set[str]]:
    """The faults whose check has passed, or that more than two other checks have found."""
    return {
        fault: found
        for fault, found in failed.items()
        if (wanted[fault] not in found or len(found) > 1 + MOST_OTHERS if fault in wanted else found)
    }


@pytest.mark.long
def test_faults_of_messages(tmp_path: Path) -> None:
    root = make_site(tmp_path)
    faults = ["none", *IN_MESSAGES]
    command = [sys.executable, str(SERVER), "--many", str(root), *faults]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ports = [int(port) for port in process.stdout.readline().split()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            failed = dict(zip(faults, pool.map(lambda port: _examine_messages(port, root), ports), strict=True))
        wrong = _wrong(failed, IN_MESSAGES)
        again = {fault: _examine_messages(ports[faults.index(fault)], root, ALONE_S) for fault in wrong}
    assert _wrong(again, IN_MESSAGES) == {}, wrong


@pytest.mark.long
def test_faults_of_behaviour(tmp_path: Path) -> None:
    faults = ["none", *IN_BEHAVIOUR]
    folders = [tmp_path / str(number) for number in range(len(faults))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = dict(zip(faults, pool.map(_examine_behaviour, faults, folders), strict=True))
    wrong = _wrong(failed, IN_BEHAVIOUR)
    again = {fault: _examine_behaviour(fault, tmp_path / f"alone-{faults.index(fault)}", ALONE_S) for fault in wrong}
    assert _wrong(again, IN_BEHAVIOUR) == {}, wrong


def test_a_file_that_may_not_be_read() -> None:
    """As a user who may not read everything."""
    faults = {"none": set(), "permissions end it": {UNREADABLE}}
    with tempfile.TemporaryDirectory() as folder:  # not one that is closed to others
        Path(folder).chmod(0o755)
        root = Path(folder, "www")
        root.mkdir()
        (root / "ten.txt").write_bytes(b"0123456789")
        root.chmod(0o777)
        assert {fault: _as_nobody(partial(_examine_one, fault, root)) for fault in faults} == faults


def _examine_one(fault: str, root: Path) -> set[str]:
    """Make the check about such files; the server is a thread."""
    with faulty_server.listen(0, fault) as sock:
        Thread(target=faulty_server.accept_for_ever, args=(sock, root, fault), daemon=True).start()
        lab = Lab("127.0.0.1", sock.getsockname()[1], 5.0, "/ten.txt", root)
        report = Runner(lab, POINTS).run([check for check in CHECKS if check.id == UNREADABLE], "it", "files")
    (root / "unreadable.txt").unlink()
    return {finding.id for finding in report.findings if finding.outcome != "passed"}


def _as_nobody(examine: Callable[[], set[str]]) -> set[str]:
    """Call ``examine`` in a process of another user, if this one is root. A fork, as Python may be in root's folder."""
    ours, theirs = Pipe(duplex=False)

    def run() -> None:
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        theirs.send(examine())

    process = get_context("fork").Process(target=run)
    with ours, theirs:
        process.start()
        theirs.close()
        found: set[str] = ours.recv()
    process.join()
    process.close()
    return found


def test_every_check_has_a_fault() -> None:
    found = {*IN_MESSAGES.values(), *IN_BEHAVIOUR.values(), UNREADABLE}
    assert found == {check.id for check in CHECKS}
