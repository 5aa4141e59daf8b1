"""The commands in the documentation, and for each of them how the tests run it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.test_docs import PRESENT, blocks, name_of

# A block with a line that begins with one of these is something to type.
PROGRAMS = (
    *("adduser", "apt", "apt-get", "aria2c", "brew", "cargo", "cc", "certbot", "chown", "cp", "curl", "docker", "gcc"),
    *(
        "git",
        "goaccess",
        "groupadd",
        "httpmini",
        "kubectl",
        "lnav",
        "make",
        "mkdir",
        "openssl",
        "pip",
        "pipx",
        "podman",
    ),
    *("pre-commit", "python", "python3", "sh", "su", "sudo", "systemctl", "systemd-socket-activate", "tar", "twine"),
    *("uv", "wget", "xh"),
)
_PROGRAM = re.compile(rf"(?:[\w.~-]*/(?:[\w.-]+/)*)?(?:{'|'.join(map(re.escape, PROGRAMS))})(?= |$)")


# Pages whose commands are typed from the first to the last by a test of their own.
LITERALLY = {"docs/teaching.md": "tests/test_teaching.py"}


class Runs(NamedTuple):
    """It is run as it is, but for the port and for paths that no test may use.

    Attributes:
        says: a text that it writes to one of its outputs.
        status: its exit status.
        makes: a file that is there afterwards.
        instead: what else is replaced.
    """

    says: str = ""
    status: int = 0
    makes: str = ""
    instead: tuple[tuple[str, str], ...] = ()


class Serves(NamedTuple):
    """A server: it is run with ``--port 0`` at its end, and then answers.

    Attributes:
        banner: a text of its first line.
        is_http: whether it is asked for ``/``.
    """

    banner: str
    is_http: bool = True


class Dry(NamedTuple):
    """A target of make, which says with ``-n`` what it would do.

    Attributes:
        does: a text of that.
    """

    does: str


class Collects(NamedTuple):
    """Tests: pytest collects them."""


class Elsewhere(NamedTuple):
    """It is not run here.

    Attributes:
        why: the reason.
        where: the test that runs it, or what it is about; "" if none does.
        what: a text of that test.
    """

    why: str
    where: str = ""
    what: str = ""


How = Runs | Serves | Dry | Collects | Elsewhere


def typed(block: list[str]) -> list[str]:
    """Return the commands of a block, without comments; none if it is nothing to type."""
    lines = [line[2:] for line in block if line.startswith("$ ")] or block
    if not any(_PROGRAM.match(line) for line in lines) or re.match(r"\w+/$|\[", block[0]):
        return []
    whole = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [found for line in whole if (found := re.sub(r"(^|\s+)#( .*)?$", "", line).strip())]


def all_commands() -> Iterator[tuple[str, str]]:
    """Yield every command with the page that it is on."""
    for page in PRESENT:
        for block in blocks(page) if name_of(page) not in LITERALLY else ():
            yield from ((name_of(page), command) for command in typed(block))


_SYNOPSIS = Elsewhere("a synopsis", "tests/test_docs.py", "def test_commands_exist")
_SHELL = Elsewhere("moves the shell, and says nothing")
_RELEASE = Elsewhere("a release is made by a person, of the whole tree")
_INSTALL = Elsewhere("installs from the network", "tests/deploy/boot", 'commands "## Install"')
_SYSTEMD = Elsewhere("needs a machine that boots", "tests/deploy/boot", 'commands "## With systemd"')
_HTTPS = Elsewhere("needs a machine that boots", "tests/deploy/boot", "with-https")
_REALMS = Elsewhere("needs a machine that boots", "tests/deploy/boot", "with-realms")
_USERS = Elsewhere("changes the users of the machine")
_DETACHED = Elsewhere("needs that user", "tests/daemon/test_detached.py", "def test_a_life")
_LOGS = Elsewhere("needs a log with lines", "tests/server/test_log_places.py", "def test_goaccess_reads_it")
_EXAMPLE = Elsewhere("writes where only root may", "tests/release/test_fresh.py", "def test_every_example_is_printed")
_MANUAL = Elsewhere("writes where only root may", "tests/release/test_fresh.py", "def test_manual_pages_are_found")
_RECORDED = Elsewhere("needs a recording", "tests/server/test_recording.py", "--to-case")
_TRACED = Elsewhere("needs a trace", "tests/server/test_trace.py", "def test_the_command")
_LAN = Elsewhere("opens every private address", "tests/terminal/test_lan.py", '"--lan"')

_README: dict[str, How] = {
    "make serve": Dry("httpmini serve -c conf/httpmini.toml"),
    "pipx install .": Elsewhere("installs from the network"),
    "httpmini serve": Serves("mode select"),
    "httpmini serve --lan": _LAN,
    "httpmini serve [PATH] [-c FILE] [--lan] [--password [USER]] [--mode MODE] [-b ADDRESS] [-p PORT] ...": _SYNOPSIS,
    "httpmini get URL... [-o FILE | -O] [--segments N] [--sha256 HEX] [--json] [-v] ...": _SYNOPSIS,
    "httpmini mirror URL FOLDER [--delete] [--dry-run] ...": _SYNOPSIS,
    "httpmini htpasswd FILE USER": _SYNOPSIS,
    "httpmini lint URL | --spawn COMMAND ...": _SYNOPSIS,
    "httpmini config check [-c FILE]": _SYNOPSIS,
    "httpmini config show [-c FILE]": _SYNOPSIS,
    "httpmini config diff [OLD] NEW": _SYNOPSIS,
    "httpmini why [-c FILE] URL | PATH | LINE ...": _SYNOPSIS,
    "httpmini docs [--open] [-o FOLDER]": _SYNOPSIS,
    "httpmini compare [--load LOAD] [-o FILE]": _SYNOPSIS,
    "httpmini timeline FILE [-o FILE]": _SYNOPSIS,
    "httpmini replay FILE [URL] [--root FOLDER] [--mode MODE] [--to-case]": _SYNOPSIS,
    "httpmini config example [--for KIND] [NAME]": _SYNOPSIS,
    "httpmini ctl status | reload | reopen | stop [-c FILE]": _SYNOPSIS,
    "httpmini get -O ':8080/holidays/?zip'": Runs(makes="holidays.zip"),
    "httpmini mirror :8080/holidays/ holidays": Runs(makes="holidays/b.jpg"),
    "httpmini config check -c conf/httpmini.toml": Runs("ok"),
    "httpmini why -c conf/httpmini.toml /modes/select.html": Runs("200 OK"),
    "httpmini serve www --mode forking": Serves("mode forking"),
    "httpmini get -O :8080/film.mp4": Runs(makes="film.mp4"),
    "httpmini serve -c conf/httpmini.toml": Serves("mode select"),
    "httpmini config check -c wrong.toml": Runs("did you mean server.max_clients?", status=2),
    ". .venv/bin/activate": _SHELL,
    "python examples/calculator.py --mode threading": Serves("mode threading", is_http=False),
}

_CONTRIBUTING: dict[str, How] = {
    ".venv/bin/python -m pytest tests/site/test_ranges.py": Collects(),
    ".venv/bin/python -m pytest tests/server/test_reload.py -k wrong_settings": Collects(),
    "make quick": Dry("mypy"),
    "make test": Dry("pytest"),
    "make test PYTEST_ARGS='tests/server -k drain'": Dry("tests/server -k drain"),
    "make matrix": Dry("tests/matrix"),
    "make matrix MATRIX_ARGS=test": Dry("tests/matrix '' test"),
    "make coverage": Dry("coverage report"),
    "make bench": Dry("bench.compare"),
    "make bench BENCH_ARGS=--quick": Dry("bench.compare --quick"),
    "make bench BENCH_ARGS='--only 1,2,3 --servers select,nginx-cache --rounds 5'": Dry("nginx-cache --rounds 5"),
    "make bench BENCH_ARGS=--redraw": Dry("bench.compare --redraw"),
    "make soak": Dry("bench.soak"),
}

_RELEASING: dict[str, How] = {
    "make dist": Dry("release/make-dist"),
    "/tmp/release/bin/pip install twine": _RELEASE,
    "/tmp/release/bin/twine check dist/*.whl dist/*.tar.gz": _RELEASE,
    "(cd dist && sha256sum -c SHA256SUMS)": _RELEASE,
    "/tmp/release/bin/twine upload dist/*.whl dist/*.tar.gz": _RELEASE,
    "git status --short": _RELEASE,
    "python3 -m venv /tmp/release": _RELEASE,
    "tar tzf dist/httpmini-VERSION.tar.gz": _RELEASE,
    "python3 -m venv /tmp/try": _RELEASE,
    "/tmp/try/bin/pip install dist/httpmini-VERSION-py3-none-any.whl": _RELEASE,
    "cd /tmp": _SHELL,
    "try/bin/httpmini --version": _RELEASE,
    "try/bin/httpmini serve try --port 8080 &": _RELEASE,
    "try/bin/httpmini get http://127.0.0.1:8080/pyvenv.cfg": _RELEASE,
    "kill %1": _SHELL,
    'git tag -a vVERSION -m "httpmini VERSION"': _RELEASE,
    "git push --follow-tags": _RELEASE,
}

_DEPLOY: dict[str, How] = {
    "httpmini config example --for systemd httpmini-https.socket > /etc/systemd/system/httpmini-https.socket": _EXAMPLE,
    "systemctl stop httpmini.service": _HTTPS,
    "systemctl enable --now httpmini-https.socket": _HTTPS,
    "systemctl start httpmini.service": _HTTPS,
    "httpmini config example --for systemd httpmini.toml > /etc/httpmini/httpmini.toml": _EXAMPLE,
    "httpmini config example --for systemd httpmini.socket > /etc/systemd/system/httpmini.socket": _EXAMPLE,
    "httpmini config example --for systemd httpmini.service > /etc/systemd/system/httpmini.service": _EXAMPLE,
    "httpmini config example --for logrotate > /etc/logrotate.d/httpmini": _EXAMPLE,
    "httpmini config example --for certbot": _EXAMPLE,
    "httpmini config example --for nginx > /etc/nginx/conf.d/httpmini.conf": _EXAMPLE,
    "httpmini config example --for caddy > /etc/caddy/Caddyfile": _EXAMPLE,
    "httpmini config example --for haproxy > /etc/haproxy/haproxy.cfg": _EXAMPLE,
    "httpmini config example --for varnish > /etc/varnish/default.vcl": _EXAMPLE,
    "python3 httpmini.pyz serve /srv/www": Elsewhere(
        "takes a build", "tests/release/test_fresh.py", "def test_one_file"
    ),
    "mkdir -p /usr/local/share/man/man1 /usr/local/share/man/man5": _MANUAL,
    "ln -s /opt/httpmini/share/man/man1/httpmini*.1 /usr/local/share/man/man1/": _MANUAL,
    "ln -s /opt/httpmini/share/man/man5/httpmini.toml.5 /usr/local/share/man/man5/": _MANUAL,
    "apt install python3-venv": _INSTALL,
    "python3 -m venv /opt/httpmini": _INSTALL,
    "/opt/httpmini/bin/pip install /usr/local/src/httpmini": _INSTALL,
    "ln -s /opt/httpmini/bin/httpmini /usr/local/bin/httpmini": _INSTALL,
    "mkdir -p /srv/www /etc/httpmini": _INSTALL,
    "systemctl daemon-reload": _SYSTEMD,
    "systemctl enable --now httpmini.socket httpmini.service": _SYSTEMD,
    "curl -I http://127.0.0.1/": _SYSTEMD,
    "groupadd --system httpmini-users": _REALMS,
    "httpmini htpasswd /etc/httpmini/users NAME": _REALMS,
    "chgrp httpmini-users /etc/httpmini/users": _REALMS,
    "chmod 640 /etc/httpmini/users": _REALMS,
    "systemctl restart httpmini": _REALMS,
    "adduser --system --group --no-create-home httpmini": _USERS,
    "mkdir -p /var/log/httpmini /run/httpmini": _USERS,
    "httpmini config example --for systemd httpmini.toml |": _SHELL,
    'sed \'s|"journal"|"/var/log/httpmini/error.log"|\' > /etc/httpmini/httpmini.toml': Elsewhere(
        "the second half of a pipe", "tests/release/test_fresh.py", "def test_every_example_is_printed"
    ),
    "chown httpmini: /var/log/httpmini /run/httpmini": _USERS,
    "su -s /bin/sh httpmini -c 'httpmini serve --daemon -c /etc/httpmini/httpmini.toml'": _DETACHED,
    "certbot certonly --webroot -w /srv/www -d example.org -d www.example.org": Elsewhere(
        "needs a name and a certificate authority", "tests/daemon/test_certificates.py", "As certbot has them"
    ),
    "httpmini serve --chroot /srv/jail -c /etc/httpmini.toml": Elsewhere(
        "needs root", "tests/daemon/test_chroot.py", '"--chroot"'
    ),
    "systemd-socket-activate -l 127.0.0.1:8080 --fdname=web httpmini serve www": Elsewhere(
        "the port is in use elsewhere", "tests/daemon/test_service_manager.py", '"--fdname=web"'
    ),
}

_PAGES: dict[str, How] = {
    "httpmini serve site --record tapes": _RECORDED,
    "httpmini replay tapes/0007.record --root site": _RECORDED,
    "httpmini replay tapes/0007.record --to-case": _RECORDED,
    "httpmini serve --mode iterative --trace t.json": _TRACED,
    "httpmini timeline t.json": _TRACED,
    "httpmini get http://localhost:8080/": Runs("<h1>Prepared</h1>"),
    "httpmini get -O http://localhost:8080/film.mp4": Runs(makes="film.mp4"),
    "httpmini get -o film.mp4 --segments 4 :8080/film.mp4": Runs(makes="film.mp4"),
    "httpmini get --json -o x http://localhost:8080/x": Runs('"status": 200', makes="x"),
    "httpmini mirror http://localhost:8080/photos/ photos": Runs(makes="photos/a.jpg"),
    "httpmini lint --spawn './student_server {port} {root}'": Elsewhere(
        "takes as long as all checks", "tests/lint/test_servers.py", "student_server"
    ),
    "httpmini lint http://127.0.0.1:8080/index.html": Runs("0 musts failed"),
    "httpmini lint --merge a.json b.json --html all.html": Runs(makes="all.html"),
    "goaccess access.log --log-format=COMBINED": _LOGS,
    "lnav access.log": _LOGS,
    "lnav -i conf/lnav/httpmini.json": _LOGS,
    "lnav -n -c ';SELECT status, count(*), max(duration) FROM httpmini_json GROUP BY status' access.log": _LOGS,
    "httpmini why -c site.toml http://files.example.org/old/a.css -H 'Range: bytes=0-9'": Runs("site.toml:31"),
    "httpmini serve --lan --password": _LAN,
    "httpmini config check -c my.toml": Runs("ok"),
    "httpmini serve -c my.toml": Serves("mode select"),
    "curl -i http://127.0.0.1:8080/": Runs("HTTP/1.0 200 OK"),
    "httpmini why -c my.toml /": Runs("200 OK"),
    "httpmini serve --mode forking": Serves("mode forking"),
    "curl --limit-rate 500 -o slow.bin http://127.0.0.1:8080/large.bin": Runs(makes="slow.bin"),
}

_GOACCESS = "goaccess access.log --date-format"  # its format is one word of 170 characters


def how(command: str) -> How | None:
    """Return how a command is run, or None if nobody has said so."""
    return _LOGS if command.startswith(_GOACCESS) else ROWS.get(command)


ROWS: dict[str, How] = _README | _CONTRIBUTING | _RELEASING | _DEPLOY | _PAGES
HOME = Path(__file__).parents[2]
