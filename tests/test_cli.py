"""The commands as processes: their exit statuses, and what they write where."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from httpmini import config
from httpmini.version import __version__
from tests.conftest import StartServer
from tests.support import wire
from tests.support.processes import WAIT_S, run_command
from tests.support.tools import service_names, tool

HOME = Path(__file__).parent.parent
PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini"]
BANNER = (
    r"httpmini serving {root} at {urls} \(mode {mode}(?:, \d+ workers)?, at most {clients} clients, "
    r"sandbox Landlock\+seccomp(?: open for .*)?\)"
)
V4, V6 = r"http://127\.0\.0\.1:[1-9]\d*/", r"http://\[::1\]:[1-9]\d*/"

# What is said of a file without daemon.user, if root runs the tests.
OF_ROOT = "httpmini: daemon.user is not set: a server that root starts keeps all rights of root\n"
OF_ROOT = OF_ROOT if os.geteuid() == 0 else ""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a folder, a file and some config files."""
    (tmp_path / "www").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "good.toml").write_text('[server]\nbacklog = 5\n[site]\nroot = "www"\n')
    (tmp_path / "wrong.toml").write_text('[server]\nmode = "forkin"\nmax_client = 1\n[limits]\nidle_s = 0\n')
    (tmp_path / "broken.toml").write_text("mode: select\n")
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, wrapper: tuple[str, ...] = ()) -> tuple[int, str, str]:
    if not wrapper:
        status, output, errors = run_command(*arguments)
        return status, output.decode(), errors.decode()
    done = subprocess.run(
        [*wrapper, *PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def first_line(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[bytes, int, str]:
    """Return the first line of a server, its exit status after SIGTERM, and its standard error."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=WAIT_S)
    return line, process.returncode, errors.decode()


# Wrong usage and wrong files: 2.

WRONG: dict[str, tuple[list[str], list[str]]] = {
    "mode": (["serve", "--mode", "forkin"], ["--mode", "forkin", "forking", "iterative"]),
    "mode without value": (["serve", "--mode"], ["--mode"]),
    "max_clients 0": (["serve", "--max-clients", "0"], ["--max-clients", "max_clients", "0", "from 1 to 100000"]),
    "max_clients text": (["serve", "--max-clients", "many"], ["--max-clients", "many"]),
    "overflow": (["serve", "--overflow", "drop"], ["--overflow", "drop", "refuse"]),
    "port too large": (["serve", "--port", "65536"], ["--port", "65536", "65535"]),
    "port negative": (["serve", "-p", "-1"], ["--port", "-1", "65535"]),
    "port text": (["serve", "-p", "http!"], ["--port", "http!"]),
    "address": (["serve", "-b", "a b"], ["--bind", "server.listen", "a b:8080", "white space"]),
    "no root": (["serve", "nowhere"], ["PATH", "site.root", "nowhere", "does not exist"]),
    "root is a device": (["serve", "/dev/null"], ["PATH", "/dev/null", "is a device", "folder or the file"]),
    "root too long": (["serve", "a" * 300], ["PATH", "site.root", "aaa"]),
    "no file": (["serve", "-c", "missing.toml"], ["missing.toml", "No such file"]),
    "file is a folder": (["serve", "-c", "www"], ["www", "Is a directory"]),
    "file is no TOML": (["serve", "-c", "broken.toml"], ["broken.toml", "is not TOML", "line 1"]),
    "file is wrong": (
        ["serve", "-c", "wrong.toml"],
        ["wrong.toml: server.mode", '"forkin"', "server.max_client = 1", "limits.idle_s = 0"],
    ),
    "file and flag are wrong": (
        ["serve", "-c", "wrong.toml", "--max-clients", "0"],
        ["wrong.toml: server.mode", "--max-clients: server.max_clients = 0"],
    ),
    "unknown flag": (["serve", "--colour"], ["--colour"]),
    "two roots": (["serve", "www", "www"], ["www"]),
    "unknown command": (["sevre"], ["sevre"]),
    "flag of serve without a command": (["--lan"], ["--lan belongs to a command: httpmini serve --lan"]),
    "flag of get without a command": (["-O", "x"], ["-O belongs to a command: httpmini get -O"]),
    "flag of no command": (["--lann"], ["No such option", "--lann"]),
    "get without URL": (["get"], ["URL"]),
    "get with a field that is none": (
        ["get", "-H", "nothing", "http://127.0.0.1:1/"],
        ["-H", "Name: value"],  # not what was given: it may be a password
    ),
    "get with an empty field name": (["get", "-H", ": x", "http://127.0.0.1:1/"], ["-H", "Name: value"]),
    "get with a value that is not Latin-1": (
        ["get", "-H", "A: \u20ac", "http://127.0.0.1:1/"],
        ["-H", "A: write", "8859"],
    ),
    "get with a blank in a field name": (["get", "-H", "A B: c", "http://127.0.0.1:1/"], ["-H", "a token"]),
    "get with a control character": (["get", "-H", "A: b\nC: d", "http://127.0.0.1:1/"], ["-H"]),
    "get with a name that is not ASCII": (["get", "-H", "\u20ac: b", "http://127.0.0.1:1/"], ["-H", "a token"]),
    "get unknown flag": (["get", "--colour", "http://h/"], ["--colour"]),
    "config without a word": (["config", "chekc"], ["chekc"]),
    "check: no file": (["config", "check", "-c", "missing.toml"], ["missing.toml", "No such file"]),
    "show: wrong file": (["config", "show", "-c", "wrong.toml"], ["wrong.toml: server.mode", '"forkin"']),
}


@pytest.mark.parametrize(("arguments", "fragments"), WRONG.values(), ids=WRONG)
def test_wrong_usage(arguments: list[str], fragments: list[str]) -> None:
    status, said, errors = run(*arguments)
    assert "Traceback" not in errors
    assert (status, said) == (2, "")
    for fragment in fragments:
        assert fragment in errors


# What the machine refuses: 1.


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said, errors = run("serve", "-p", str(port))
    assert (status, said) == (1, "")
    assert errors == (
        f"httpmini: cannot listen on 127.0.0.1:{port}: Address already in use: another program has this port; stop it, "
        "choose another port, or --port 0 for any free one\n"
    )


def test_a_service_name_is_looked_up(folder: Path) -> None:
    service_names()
    (folder / "service.toml").write_text('[server]\nlisten = ["127.0.0.1:http-alt"]\n[site]\nroot = "www"')
    with ExitStack() as stack:
        with suppress(OSError):  # if another program has the port, that serves as well
            stack.enter_context(socket.create_server(("127.0.0.1", 8080)))
        status, said, errors = run("serve", "-c", "service.toml")
    assert (status, said) == (1, "")
    assert "cannot listen on 127.0.0.1:8080 (127.0.0.1:http-alt)" in errors


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["-b", "nobody.invalid"], ["nobody.invalid:8080", "is the name right?"]),
        (["-b", "192.0.2.1", "-p", "0"], ["192.0.2.1:0", "this machine does not have that address"]),
        (["-b", "a" * 64, "-p", "0"], ["not a host name"]),
        (["-p", "0", "-c", "log.toml"], ["cannot write the log /proc/no.log"]),
    ],
)
def test_what_the_machine_refuses(folder: Path, arguments: list[str], fragments: list[str]) -> None:
    (folder / "log.toml").write_text('[log]\naccess = "/proc/no.log"\n[site]\nroot = "www"')
    status, said, errors = run("serve", *arguments)
    assert "Traceback" not in errors
    assert (status, said) == (1, "")
    for fragment in fragments:
        assert fragment in errors


def test_too_few_descriptors_for_max_clients() -> None:
    wrapper = ("sh", "-c", 'ulimit -n 128 && exec "$@"', "sh")
    status, said, errors = run("serve", "-p", "0", "--max-clients", "33", wrapper=wrapper)
    assert status == 1
    for where in (said, errors):  # the error log has the last word of a server that ends, and the terminal too
        assert where.count("\n") == 1
        assert "max_clients = 33 may need 130 descriptors" in where
        assert "lower it to 32" in where


# config.


@pytest.mark.parametrize("arguments", [[], ["-c", "good.toml"], ["--config", "good.toml"]])
def test_check_says_ok(arguments: list[str]) -> None:
    assert run("config", "check", *arguments) == (0, "ok\n", OF_ROOT if arguments else "")


def test_check_says_all_problems() -> None:
    status, said, errors = run("config", "check", "-c", "wrong.toml")
    assert (status, said) == (2, "")
    assert errors.splitlines() == [
        'httpmini: wrong.toml: server.mode = "forkin": must be one of "iterative", "forking", "threading", "select", '
        '"prefork"; '
        'did you mean "forking"?',
        "httpmini: wrong.toml: server.max_client = 1: unknown; did you mean server.max_clients?",
        "httpmini: wrong.toml: limits.idle_s = 0: must be a number of seconds from 0.05 to 86400.0",
        'httpmini: wrong.toml: site.root: is missing: the folder to serve, such as "/srv/www"',
    ]


def test_check_advises_on_old_names(folder: Path) -> None:
    (folder / "old.toml").write_text('[limits]\nrecall_bytes = 0\n[site]\nroot = "www"\n')
    status, said, errors = run("config", "check", "-c", "old.toml")
    assert (status, said) == (0, "ok\n")
    assert errors == (
        "httpmini: old.toml: limits.recall_bytes is now limits.response_cache_bytes; the old name still works\n"
        + OF_ROOT
    )
    status, said, errors = run("config", "show", "-c", "old.toml")
    assert (status, errors) == (0, "")
    assert "response_cache_bytes = 0  # old.toml\n" in said
    assert "recall_bytes" not in said


@pytest.mark.parametrize("arguments", [[], ["-c", "good.toml"]])
def test_show_is_toml_with_origins(folder: Path, arguments: list[str]) -> None:
    status, said, errors = run("config", "show", *arguments)
    assert (status, errors) == (0, "")
    tables = tomllib.loads(said)
    assert {f"{section}.{name}" for section, table in tables.items() for name in table} == {
        row.key for row in config.rows()
    }
    from_file = bool(arguments)
    assert tables["site"]["root"] == str(folder / "www" if from_file else folder)
    assert f"backlog = {'5  # good.toml' if from_file else '128  # default'}\n" in said
    (folder / "shown.toml").write_text(said)
    assert run("config", "check", "-c", "shown.toml") == (0, "ok\n", OF_ROOT)


def test_a_folder_whose_name_is_not_utf_8_can_be_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    strange.mkdir()
    monkeypatch.chdir(strange)
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")
    _, said, errors = run("config", "show")
    assert "Traceback" not in said + errors


# Help.

FLAGS = {
    "serve": "[PATH] -c --config FILE --mode -b --bind ADDRESS -p --port PORT --max-clients N --overflow",
    "get": "URL -o FILE -I -i -H 'Name: value' -v",
    "config check": "-c FILE",
    "config show": "-c FILE",
    "config": "check show",
    "": "serve get config --version --help",
}


@pytest.mark.parametrize(("command", "words"), FLAGS.items(), ids=[name or "httpmini" for name in FLAGS])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_mentions_everything(command: str, words: str, flag: str) -> None:
    status, said, errors = run(*command.split(), flag)
    assert (status, errors) == (0, "")
    assert f"httpmini {command}".strip() in said
    for word in words.split():
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said), word


def test_help_names_choices_and_defaults() -> None:
    said = " ".join(run("serve", "--help")[1].split())
    for text in (
        "[iterative|forking|threading|select|prefork]",
        "[queue|refuse]",
        '[default: "select"]',
        "[default: 256]",
    ):
        assert text in said


@pytest.mark.parametrize(
    ("command", "needed", "unwanted"),
    [
        ("serve", "httpmini.config", ("httpmini.cli.client", "httpmini.client", "httpmini.daemon.build", "bcrypt")),
        ("get", "httpmini.cli.client", ("httpmini.cli.serve", "httpmini.config", "httpmini.daemon", "httpmini.server")),
        ("htpasswd", "httpmini.cli.htpasswd", ("httpmini.cli.client", "httpmini.config", "httpmini.daemon", "bcrypt")),
    ],
)
def test_a_command_loads_its_own_modules_only(command: str, needed: str, unwanted: tuple[str, ...]) -> None:
    program = f"""
import sys
from httpmini.cli.main import main
main(["{command}", "--help"], standalone_mode=False)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=WAIT_S, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert needed in loaded
    assert not [module for module in loaded if module.startswith(unwanted)]


def test_version() -> None:
    status, said, errors = run("--version")
    assert (status, errors) == (0, "")
    assert __version__ in said.split()


# serve.


def test_the_first_line(site: Path, start: StartServer, mode: str) -> None:
    server = start(site, "--mode", mode, "--max-clients", "17")
    assert re.fullmatch(BANNER.format(root=re.escape(str(site)), urls=V4, mode=mode, clients=17), server.lines[0])
    assert server.url == f"http://127.0.0.1:{server.port}/"
    assert wire.get(server.port, "/ten.txt")[::2] == (200, b"0123456789")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_good_end(site: Path, start: StartServer, mode: str, number: int) -> None:
    server = start(site, "--mode", mode)
    assert server.stop(number) == 0
    assert (len(server.lines), server.errors) == (1, "")


def test_the_first_line_names_a_single_file(folder: Path, start: StartServer) -> None:
    """Not its folder, of which nothing else can be had."""
    assert f"httpmini serving {folder / 'file'} at " in start(folder / "file").banner


def test_serve_without_a_root_serves_the_present_directory(folder: Path) -> None:
    line, status, errors = first_line("serve", "-p", "0")
    assert re.fullmatch(
        BANNER.format(root=re.escape(str(folder)), urls=V4, mode="select", clients=256), line.decode()[:-1]
    )
    assert (status, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "urls"),
    [
        (["-b", "127.0.0.1", "-b", "::1"], [V4, V6]),
        (["-b", "::1", "-b", "127.0.0.1"], [V6, V4]),
        (["-b", "::1"], [V6]),
        (["-b", "[::1]"], [V6]),
    ],
)
def test_every_address_has_its_url_and_answers(
    site: Path, start: StartServer, arguments: list[str], urls: list[str]
) -> None:
    server = start(site, *arguments)
    assert len(server.urls) == len(urls)
    for url, pattern in zip(server.urls, urls, strict=True):
        assert re.fullmatch(pattern, url)
        with wire.connect(int(url.rstrip("/").rpartition(":")[2]), "::1" if "[" in url else "127.0.0.1") as sock:
            sock.sendall(b"GET /ten.txt\r\n")
            assert wire.read_all(sock) == b"0123456789"


@pytest.mark.parametrize("listen", ["localhost:8080", "[::1]:8080"])
def test_hosts_of_a_file_are_looked_up(site: Path, start: StartServer, listen: str) -> None:
    server = start(site, config=f'[server]\nlisten = ["{listen}"]')  # --port 0 replaces the port
    assert server.urls
    assert all(re.fullmatch(f"{V4}|{V6}", url) for url in server.urls)
    assert ("[::1]" in server.url) == ("[::1]" in listen) or listen.startswith("localhost")


def test_a_flag_beats_the_file(site: Path, start: StartServer) -> None:
    text = '[server]\nmode = "iterative"\nmax_clients = 3\n[site]\nroot = "www"'
    server = start(site, "--mode", "threading", config=text)
    assert re.fullmatch(BANNER.format(root=re.escape(str(site)), urls=V4, mode="threading", clients=3), server.lines[0])


@pytest.mark.parametrize("name", [b"a b", "\u00fc\u20ac".encode(), b"caf\xe9", b"a\nb"])
def test_a_root_with_a_strange_name_can_be_served(folder: Path, name: bytes) -> None:
    root = os.fsencode(folder) + b"/" + name
    os.mkdir(root)
    line, status, errors = first_line(
        "serve", "-p", "0", os.fsdecode(root), environment={"PYTHONIOENCODING": "utf-8:strict"}
    )
    assert "Traceback" not in errors
    assert (status, errors) == (0, "")
    assert re.fullmatch(BANNER.format(root=".*", urls=V4, mode="select", clients=256).encode() + b"\n", line)


def test_a_name_with_an_address_that_is_not_here(folder: Path) -> None:
    """If one address of a name cannot be used, such as an IPv6 address without IPv6, the others still are."""
    (folder / "both.toml").write_text('[server]\nlisten = ["both:0"]\n[site]\nroot = "www"\n')
    (folder / "hosts").write_text("192.0.2.1 both\n127.0.0.1 both\n")
    shell = f'mount --bind hosts /etc/hosts && exec "{sys.executable}" -m httpmini serve -c both.toml'
    program = [
        tool("unshare", "util-linux"),
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        shell,
    ]  # /etc/hosts for it alone
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        banner = process.stdout.readline().decode()
        process.terminate()
    assert re.search(r" at http://127\.0\.0\.1:\d+/ \(", banner)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15])
def test_ctrl_c_while_it_starts(folder: Path, delay_s: float) -> None:
    """Whenever Ctrl-C comes, there is no traceback. There is no event to wait for, so several moments are tried.

    Before the first function of ours is called, the process is Python's, and so is what it says.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "httpmini", "serve", ".", "-p", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.03 + delay_s)  # Python itself takes some time before any line of ours is run
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.communicate()
    assert not re.search(rb"httpmini/(?!__(init|main)__\.py)", errors), errors
    assert not re.search(rb'httpmini/[^"\n]*", line \d+, in main\n', errors), errors
    assert process.returncode in (0, -signal.SIGINT, 1)


def test_diff_says_what_a_reload_would_change(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text('[server]\nmode = "select"\n[[redirects]]\npath = "/a"\nto = "/b"\n')
    new.write_text('[server]\nmode = "prefork"\nworkers = 3\n')
    status, said, errors = run("config", "diff", str(old), str(new))
    assert (status, errors) == (0, "")
    assert said.splitlines() == [
        'server.mode: "select" -> "prefork"',
        "server.workers: 0 -> 3",
        "[[redirects]]: 1 before, 0 after",
    ]
    assert run("config", "diff", str(old), str(old)) == (0, "", "")
    new.write_text("[server]\nworkers = -1\n")
    status, said, errors = run("config", "diff", str(old), str(new))
    assert (status, said) == (2, "")
    assert "server.workers = -1" in errors
