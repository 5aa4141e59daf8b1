"""What strace sees of connections, to compare with a trace. ``python -m tests.support.trace_order 1000`` takes many."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from httpmini.server.core.events import Kind, Recording, read_recording
from httpmini.server.modes import MODES
from tests.support.processes import ServerProcess

BIG_BYTES = 12 * 1024 * 1024  # more than the kernels hold for a client that does not read
_STRACE = ("-f", "-ttt", "-y", "-s0", "-e", "trace=accept4,read,write,sendfile,shutdown,close")
_LINE = re.compile(r"^(?P<pid>\d+) +[0-9.]+ (?P<call>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(\d+) +[0-9.]+ <\.\.\. (\w+) resumed>(.*)$")
_ACCEPTED = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]*)"\).* = \d+<[^\[]*\[(\d+)\]>$')
_SOCKET = re.compile(r"^\d+<[^\[]*\[(\d+)\]>")
Client = tuple[str, int]
Told = dict[Client, list[str]]
_SEEN = {
    Kind.ACCEPTED: "accepted",
    Kind.FIRST_BYTE: "read",
    Kind.FIRST_OUT: "sent",
    Kind.BLOCKED: "blocked",
    Kind.LINGERING: "shut down",
    Kind.CLOSED: "closed",
}


def told_by_trace(recording: Recording) -> Told:
    """Return the events that are system calls, for each client."""
    return {
        (one.host, one.port): [_SEEN[event.kind] for event in one.single_events if event.kind in _SEEN]
        for one in recording.connections
    }


def told_by_strace(text: str) -> Told:
    """Return the same, of the output of strace."""
    clients: dict[str, Client] = {}  # by their sockets
    seen: Told = defaultdict(list)
    for call, rest in _whole_calls(text):
        if call == "accept4" and (match := _ACCEPTED.search(rest)):
            clients[match[3]] = match[2], int(match[1])
            seen[clients[match[3]]].append("accepted")
        elif (match := _SOCKET.match(rest)) and match[1] in clients:
            _follow(seen[clients[match[1]]], call, rest.rpartition(" = ")[2])
    return dict(seen)


def _whole_calls(text: str) -> list[tuple[str, str]]:
    """Return calls with their results, in the order in which they ended; those that were interrupted are joined."""
    begun: dict[str, tuple[str, str]] = {}
    calls = []
    for line in text.splitlines():
        if resumed := _RESUMED.match(line):
            call, rest = begun.pop(resumed[1])
            calls.append((call, rest + resumed[3]))
        elif match := _LINE.match(line):
            if match["rest"].endswith("<unfinished ...>"):
                begun[match["pid"]] = match["call"], match["rest"].removesuffix("<unfinished ...>")
            else:
                calls.append((match["call"], match["rest"]))
    return calls


def _follow(events: list[str], call: str, result: str) -> None:
    """Add the event that a call on a socket is, unless another one of its kind stands for it."""
    if "closed" in events:  # that was the copy of the parent
        events.remove("closed")
    failed, last = result.startswith("-1"), events[-1]
    if call == "read" and not failed and result != "0" and last != "read" and "shut down" not in events:
        events.append("read")
    elif call in ("write", "sendfile") and "EAGAIN" in result and last != "blocked":
        events.append("blocked")
    elif call in ("write", "sendfile") and not failed and last == "read":
        events.append("sent")
    elif call == "shutdown":
        events.append("shut down")
    elif call == "close":
        events.append("closed")


def converse(port: int, which: int) -> None:
    """Hold one of four kinds of conversations."""
    own = f"127.0.{which // 100}.{which % 100 + 1}"  # or two clients, one after the other, may have the same port
    with socket.create_connection(("127.0.0.1", port), 60, (own, 0)) as sock:
        if which % 4 == 0:  # two requests, kept
            for _ in range(2):
                sock.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                assert sock.recv(65536)
            return
        if which % 4 == 1:  # in two pieces
            sock.sendall(b"GET /ten.txt HTT")
            sock.sendall(b"P/1.0\r\n\r\n")
        elif which % 4 == 2:  # slow to read
            sock.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        else:  # refused
            sock.sendall(b"GET  HTTP/9.0\r\n\r\n")
        while sock.recv(1024 * 1024):
            pass


def watch(mode: str, count: int, folder: Path, strace: str) -> tuple[Told, Told]:
    """Serve ``count`` conversations under strace; return what the trace and strace tell."""
    root = folder / "root"
    root.mkdir()
    (root / "ten.txt").write_text("0123456789")
    (root / "big.bin").write_bytes(bytes(BIG_BYTES))
    trace, calls = folder / "trace.json", folder / "calls"
    arguments = [str(root), "--port", "0", "--mode", mode, "--trace", str(trace)]
    server = ServerProcess(arguments, (strace, "-o", str(calls), *_STRACE))
    try:
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(partial(converse, server.port), range(count)))
        os.kill(server.children()[0], signal.SIGTERM)  # strace does not pass signals on
        assert server.wait() == 0, server.errors
    finally:
        server.kill()
    recording = read_recording(trace.read_bytes(), str(trace))
    return told_by_trace(recording), told_by_strace(calls.read_text())


def main(count: int) -> None:
    """Compare many connections in every mode."""
    for mode in sorted(MODES):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = watch(mode, count, Path(folder), "strace")
        wrong = {port: (ours.get(port), theirs.get(port)) for port in theirs if ours.get(port) != theirs[port]}
        print(f"{mode}: {len(theirs)} connections, {len(wrong)} in another order", *list(wrong.items())[:3], sep="\n  ")


if __name__ == "__main__":
    main(int(sys.argv[1]))
