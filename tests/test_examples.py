"""The examples as a user runs them: scripts with protocols of their own, on the same listeners and modes."""

from __future__ import annotations

import ast
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from httpmini.server.modes import MODES
from tests.support.processes import ServerProcess
from tests.support.wire import WAIT_S, connect, converse, read_all

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = ("echo", "calculator")
CONCURRENT = sorted(MODES.keys() - {"iterative"})
BUSY = {"echo": b"echo: busy, try again later\n", "calculator": b"error: busy, try again later\n"}
HELLO, READY = b"CALC 1\n", b"CALC 1 ready\n"
STRANGER = b'error: this is a calculator; a client begins with the line "CALC 1"\n'
WRONG = b"error: neither a decimal number nor one of + - * /\n"
STOPPING = b"error: the server is stopping\n"

StartExample = Callable[..., ServerProcess]

every_example = pytest.mark.parametrize("name", NAMES)


def run_example(name: str, *arguments: str) -> ServerProcess:
    return ServerProcess(["--port", "0", *arguments], program=(str(EXAMPLES / f"{name}.py"),))


@pytest.fixture
def start_example() -> Iterator[StartExample]:
    """Start an example: ``start_example("echo", "--mode", "select")``. It must end cleanly."""
    servers: list[ServerProcess] = []

    def start(name: str, *arguments: str) -> ServerProcess:
        servers.append(run_example(name, *arguments))
        return servers[-1]

    try:
        yield start
        for server in servers:
            server.assert_clean_end()
    finally:
        for server in servers:
            server.kill()


@pytest.fixture(scope="module", params=sorted(MODES))
def calculator(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One calculator in each mode, for the whole table."""
    server = run_example("calculator", "--mode", request.param)
    try:
        yield server
        server.assert_clean_end()
    finally:
        server.kill()


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, f"the connection ended after {bytes(data)!r}"
        data += chunk
    return bytes(data)


def exchange(sock: socket.socket, sent: bytes, expected: bytes) -> None:
    """Send, and check the answer. A client for which this works has been accepted."""
    sock.sendall(sent)
    assert read_exactly(sock, len(expected)) == expected


def greet(name: str, sock: socket.socket) -> None:
    exchange(sock, *((b"hello\n", b"hello\n") if name == "echo" else (HELLO, READY)))


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def send_while_reading(port: int, pieces: Iterable[bytes]) -> bytes:
    """Send from a second thread while this one reads, so that neither waits for the other."""
    with connect(port) as sock:

        def send() -> None:
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            return read_all(sock)
        finally:
            sender.join()


def send_until_full(sock: socket.socket, chunk: bytes) -> bytes:
    """Send without reading until the kernel takes no more; return how much it took."""
    taken = bytearray()
    sock.setblocking(False)
    try:
        while True:
            taken += chunk[: sock.send(chunk)]
    except BlockingIOError:
        return bytes(taken)
    finally:
        sock.settimeout(WAIT_S)


# Both.


@every_example
def test_banner(name: str, mode: str, start_example: StartExample) -> None:
    server = start_example(name, "--mode", mode, "--max-clients", "7")
    assert server.lines[0] == f"{name} serving at 127.0.0.1:{server.port} (mode {mode}, at most 7 clients)"


@every_example
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_with_a_silent_client(name: str, number: int, mode: str, start_example: StartExample) -> None:
    server = start_example(name, "--mode", mode)
    with connect(server.port) as sock:
        greet(name, sock)
        server.process.send_signal(number)
        assert read_all(sock) == (STOPPING if name == "calculator" else b"")
    assert server.wait() == 0


@every_example
def test_port_taken_is_one_line(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / f"{name}.py"), "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in ended.stderr


@every_example
def test_one_too_many_is_refused(name: str, mode: str, start_example: StartExample) -> None:
    server = start_example(name, "--mode", mode, "--max-clients", "2", "--overflow", "refuse")
    with connect(server.port) as first, connect(server.port) as second:
        greet(name, first)
        greet(name, second)
        with connect(server.port) as third:
            assert read_all(third) == BUSY[name]
        first.shutdown(socket.SHUT_WR)
        assert read_all(first) == b""
        server.wait_for_line("max_clients left: 1 of 2 clients")
        with connect(server.port) as fourth:
            greet(name, fourth)


@every_example
def test_one_too_many_waits_in_the_queue(name: str, mode: str, start_example: StartExample) -> None:
    server = start_example(name, "--mode", mode, "--max-clients", "2", "--overflow", "queue")
    # The third connects later: two workers that accept at the same moment may take slots in the other order.
    with ExitStack() as stack:
        first, second = (stack.enter_context(connect(server.port)) for _ in range(2))
        greet(name, first)
        greet(name, second)
        server.wait_for_line("max_clients reached: 2 clients; further ones wait in the backlog")
        third = stack.enter_context(connect(server.port))
        sent, expected = (b"1\n+\n", b"= 1\n") if name == "calculator" else (b"more", b"more")
        third.sendall(HELLO if name == "calculator" else b"hello\n")
        for _ in range(20):  # turns in which the third could have been served
            exchange(first, sent, expected)
            exchange(second, sent, expected)
        third.setblocking(False)
        with pytest.raises(BlockingIOError):
            third.recv(1)
        third.settimeout(WAIT_S)
        first.shutdown(socket.SHUT_WR)
        assert read_all(first) == b""
        waited_for = READY if name == "calculator" else b"hello\n"
        assert read_exactly(third, len(waited_for)) == waited_for


# Echo.

MEBIBYTE = bytes(range(256)) * 4096
MESSAGE = b"GET / HTTP/1.0\r\n\r\n\x00\xff\x16\x03 and no line at all"


def test_echo_however_it_is_cut(mode: str, start_example: StartExample) -> None:
    port = start_example("echo", "--mode", mode).port
    assert converse(port, [b""]) == b""
    assert converse(port, [MESSAGE]) == MESSAGE
    assert converse(port, byte_by_byte(MESSAGE)) == MESSAGE
    for place in range(1, len(MESSAGE)):
        assert converse(port, [MESSAGE[:place], MESSAGE[place:]]) == MESSAGE


@pytest.mark.parametrize("size", [1 << 20, 65_537, 4_099])
def test_echo_of_a_mebibyte_read_at_the_same_time(size: int, mode: str, start_example: StartExample) -> None:
    pieces = [MEBIBYTE[start : start + size] for start in range(0, len(MEBIBYTE), size)]
    assert send_while_reading(start_example("echo", "--mode", mode).port, pieces) == MEBIBYTE


def test_echo_in_turns(mode: str, start_example: StartExample) -> None:
    server = start_example("echo", "--mode", mode)
    with connect(server.port) as one, connect(server.port) as other:
        for turn in range(10):
            exchange(one, b"one %d" % turn, b"one %d" % turn)
            exchange(other, b"other %d" % turn, b"other %d" % turn)


@pytest.mark.parametrize("mode", CONCURRENT)
def test_one_that_does_not_read_keeps_nobody_waiting(mode: str, start_example: StartExample) -> None:
    server = start_example("echo", "--mode", mode)
    with connect(server.port) as stubborn, connect(server.port) as other:
        taken = send_until_full(stubborn, MEBIBYTE)
        for _ in range(10):
            exchange(other, MESSAGE, MESSAGE)
        stubborn.shutdown(socket.SHUT_WR)
        assert read_all(stubborn) == taken


def test_echo_stops_with_one_that_does_not_read(mode: str, start_example: StartExample) -> None:
    server = start_example("echo", "--mode", mode)
    with connect(server.port) as stubborn:
        taken = send_until_full(stubborn, MEBIBYTE)
        server.process.send_signal(signal.SIGTERM)
        said = bytearray()
        try:
            while chunk := stubborn.recv(65536):
                said += chunk
        except ConnectionResetError:  # more was under way than a lingering server discards
            pass
    assert taken.startswith(said)
    assert server.wait() == 0


# Calculator.


@dataclass(frozen=True)
class Talk:
    """What a client sends after the handshake, and the answers."""

    name: str
    said: bytes
    answers: bytes


NUMBER = b"1234567890123456789012345678"  # 28 digits

TALKS = [
    Talk("nothing", b"", b""),
    Talk("sum", b"1\n2\n3\n+\n", b"= 6\n"),
    Talk("difference from left to right", b"10\n2\n3\n-\n", b"= 5\n"),
    Talk("product", b"2\n-3\n0.5\n*\n", b"= -3.0\n"),
    Talk("quotient from left to right", b"8\n4\n2\n/\n", b"= 1\n"),
    Talk("rounded to 28 digits", b"2\n3\n/\n", b"= 0.6666666666666666666666666667\n"),
    Talk("decimal, not binary", b"0.1\n0.2\n+\n", b"= 0.3\n"),
    Talk("28 digits are exact", NUMBER + b"\n0\n+\n", b"= " + NUMBER + b"\n"),
    Talk("exponent", b"0.0001\n0.001\n*\n", b"= 1E-7\n"),
    Talk("signs are not operators", b"+1\n-1\n-\n", b"= 2\n"),
    Talk("single operand", b"5\n-\n", b"= 5\n"),
    Talk("results begin anew", b"1\n2\n+\n3\n4\n*\n", b"= 3\n= 12\n"),
    Talk("CRLF", b"1\r\n2\r\n+\r\n", b"= 3\n"),
    Talk("operator without operands", b"+\n", b"error: there are no operands\n"),
    Talk("operator after a result", b"1\n+\n+\n", b"= 1\nerror: there are no operands\n"),
    Talk("division by zero", b"1\n0\n/\n6\n3\n/\n", b"error: division by zero\n= 2\n"),
    Talk("zero by zero", b"0\n0\n/\n", b"error: division by zero\n"),
    Talk("wrong line changes nothing", b"1\ntwo\n2\n+\n", WRONG + b"= 3\n"),
    Talk("empty line", b"\n", WRONG),
    Talk("CR alone", b"1\r2\n", WRONG),
    Talk("two CRs", b"1\r\r\n", WRONG),
    Talk("blank", b" 1\n", WRONG),
    Talk("two operands in a line", b"1 2\n", WRONG),
    Talk("no digit before the point", b".5\n", WRONG),
    Talk("no digit behind the point", b"5.\n", WRONG),
    Talk("exponents are not operands", b"1E5\n", WRONG),
    Talk("NaN", b"NaN\n", WRONG),
    Talk("underscores", b"1_000\n", WRONG),
    Talk("other digits", "٣\n".encode(), WRONG),
    Talk("NUL", b"1\x00\n", WRONG),
    Talk("handshake again", HELLO, WRONG),
    Talk("29 digits", NUMBER + b"9\n1\n+\n", b"error: an operand has at most 28 digits\n= 1\n"),
    Talk("32 operands", b"1\n" * 32 + b"+\n", b"= 32\n"),
    Talk("33 operands", b"1\n" * 33 + b"+\n", b"error: there are 32 operands already; an operator is due\n= 32\n"),
    Talk("64 bytes", b"0" * 63 + b"7\n+\n", b"= 7\n"),
    Talk("65 bytes", b"0" * 64 + b"7\n+\n", b"error: a line has at most 64 bytes\n"),
    Talk("64 bytes and CR", b"0" * 64 + b"\r\n+\n", b"error: a line has at most 64 bytes\n"),
    Talk("last line without end", b"1\n2\n+\n1", b"= 3\nerror: the last line has no end\n"),
    Talk("last line is an operator without end", b"1\n+", b"error: the last line has no end\n"),
]

STRANGERS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost:51216\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(range(64)),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "NUL": b"\x00",
    "empty line": b"\n",
    "lower case": b"calc 1\n",
    "another version": b"CALC 2\n",
    "longer version": b"CALC 11\n",
    "two CRs": b"CALC 1\r\r\n",
    "no handshake": b"1\n2\n+\n",
    "far too long": b"x" * 300_000,
}


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.name)
def test_calculator(talk: Talk, calculator: ServerProcess) -> None:
    expected = READY + talk.answers
    said = HELLO + talk.said
    assert converse(calculator.port, [said]) == expected, "whole"
    assert converse(calculator.port, byte_by_byte(said)) == expected, "byte by byte"
    assert converse(calculator.port, [HELLO[:3], HELLO[3:] + talk.said]) == expected, "in the middle of the handshake"


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_are_turned_away(name: str, calculator: ServerProcess) -> None:
    said = STRANGERS[name]
    assert converse(calculator.port, [said]) == STRANGER, "whole"
    assert converse(calculator.port, [said[:1], said[1:2], said[2:]]) == STRANGER, "in pieces"


def test_a_stranger_need_not_end_its_line(calculator: ServerProcess) -> None:
    with connect(calculator.port) as sock:
        sock.sendall(b"\x16")
        assert read_all(sock) == STRANGER


def test_handshake_with_crlf_or_cut(calculator: ServerProcess) -> None:
    assert converse(calculator.port, [b"CALC 1\r\n"]) == READY
    assert converse(calculator.port, [b"CALC", b" 1"]) == b"error: the last line has no end\n"


def test_answers_come_in_order_and_one_by_one(calculator: ServerProcess) -> None:
    with connect(calculator.port) as sock:
        exchange(sock, HELLO, READY)
        for number in range(20):
            exchange(sock, b"%d\n1\n+\n" % number, b"= %d\n" % (number + 1))


def test_many_lines_at_once(calculator: ServerProcess) -> None:
    said = b"".join(b"%d\n1\n+\nx\n" % number for number in range(5_000))
    answers = b"".join(b"= %d\n%b" % (number + 1, WRONG) for number in range(5_000))
    assert send_while_reading(calculator.port, [HELLO + said]) == READY + answers


@pytest.mark.parametrize("mode", CONCURRENT)
def test_calculators_do_not_share_operands(mode: str, start_example: StartExample) -> None:
    server = start_example("calculator", "--mode", mode)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server.port)) for _ in range(3)]
        for number, sock in enumerate(clients):
            exchange(sock, HELLO, READY)
            sock.sendall(b"%d\n" % number)
        for number, sock in enumerate(clients):
            exchange(sock, b"10\n+\n", b"= %d\n" % (number + 10))


# Nothing of HTTP.

HTTP_PARTS = (
    "httpmini.cli",
    "httpmini.client",
    "httpmini.config",
    "httpmini.daemon.build",
    "httpmini.protocol.grammar",
    "httpmini.protocol.message",
    "httpmini.protocol.reader",
    "httpmini.protocol.status",
    "httpmini.protocol.writer",
    "httpmini.server.http.connection",
    "httpmini.site",
)


def is_of_http(module: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in HTTP_PARTS)


def imports(source: str) -> Iterator[str]:
    """Return every module that ``source`` imports, and every name that it imports from one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_examples_import_nothing_of_http(file: Path) -> None:
    named = set(imports(file.read_text()))
    assert any(module.startswith("httpmini.") for module in named)
    assert not {module for module in named if is_of_http(module)}
    assert not {module for module in named if module.startswith("httpmini.protocol")}


@every_example
def test_examples_load_nothing_of_http(name: str) -> None:
    load = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import {name}"
    program = f"{load}; from httpmini.server.modes import MODES; list(MODES.values()); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=WAIT_S)
    loaded = ended.stdout.split()
    assert {"httpmini.daemon.lifecycle", *(f"httpmini.server.modes.{mode}" for mode in MODES)} <= set(loaded)
    assert not [module for module in loaded if is_of_http(module)]
