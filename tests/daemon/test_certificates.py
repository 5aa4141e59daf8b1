"""The files of [tls]: what is wrong with them is said in one line, with the file, the key, the value and a remedy."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from httpmini import config
from httpmini.config.certificates import Pair, check_certificates, read_pair
from httpmini.daemon.certificates import LOOK_S, REPEAT_S, Certificates, CertificateWatch
from httpmini.daemon.openings import openings_of
from httpmini.daemon.self_signed import names_for
from httpmini.errors import ConfigError
from httpmini.server.logs.error import Level
from httpmini.server.tls.security import make_context
from tests.support.processes import WAIT_S, ServerProcess, open_files, run_command
from tests.support.tls import DAY, Authority
from tests.support.tls_wire import converse_tls, unverified
from tests.support.wire import converse

Change = Callable[[Path, Path], object]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a site, and with one for certificates."""
    for name in ("www", "tls"):
        (tmp_path / name).mkdir()
    (tmp_path / "www" / "small.txt").write_text("small")
    return tmp_path


def install(home: Path, pair: tuple[Path, Path]) -> tuple[Path, Path]:
    files = home / "tls" / "cert.pem", home / "tls" / "key.pem"
    for source, target in zip(pair, files, strict=True):
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
    return files


def settings(home: Path, more: str = "", *, listen: str = '"tls:127.0.0.1:0"', hosts: str = '"example.org"') -> Path:
    file = home / "httpmini.toml"
    file.write_text(
        f'[server]\nlisten = [{listen}]\n[site]\nroot = "www"\nhosts = [{hosts}]\n'
        f'[tls]\ncertificate = "tls/cert.pem"\nkey = "tls/key.pem"\n{more}'
    )
    return file


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "httpmini", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


def problems(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_certificates(config.load(str(file), to_serve=True))
    return [str(problem) for problem in caught.value.problems]


def to_der(path: Path, kind: str) -> None:
    subprocess.run(["openssl", kind, "-in", path, "-outform", "der", "-out", f"{path}.der"], check=True, timeout=WAIT_S)
    os.replace(f"{path}.der", path)


def openssl(path: Path, *arguments: str | Path) -> None:
    """Replace a file by what a command of OpenSSL makes of it."""
    subprocess.run(["openssl", *arguments, "-in", path, "-out", f"{path}.new"], check=True, timeout=WAIT_S)
    os.replace(f"{path}.new", path)


def encrypt(path: Path) -> None:
    openssl(path, "pkey", "-aes256", "-passout", "pass:secret")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def swap(certificate: Path, key: Path) -> None:
    text = certificate.read_bytes()
    certificate.write_bytes(key.read_bytes())
    key.write_bytes(text)


WRONG: dict[str, tuple[Change, str, str]] = {
    "no certificate": (lambda c, _k: c.unlink(), "certificate", "cannot be read: No such file or directory"),
    "no key": (lambda _c, k: k.unlink(), "key", "cannot be read: No such file or directory"),
    "a link to nothing": (lambda c, _k: dangle(c), "certificate", "cannot be read: No such file or directory"),
    "a folder": (lambda c, _k: make_folder(c), "certificate", "is a folder; it must be a PEM file"),
    "a folder as key": (lambda _c, k: make_folder(k), "key", "is a folder; it must be a PEM file"),
    "a pipe": (lambda c, _k: make_pipe(c), "certificate", "is no file; it must be a PEM file"),
    "empty": (lambda c, _k: c.write_bytes(b""), "certificate", "is empty; it must be a PEM file"),
    "an empty key": (lambda _c, k: k.write_bytes(b""), "key", "is empty; it must be a PEM file"),
    "very large": (lambda c, _k: c.write_bytes(b"x" * 2_000_000), "certificate", "is larger than 1048576 bytes"),
    "text": (lambda c, _k: c.write_text("hello"), "certificate", "has no certificate; it must be PEM"),
    "a text as key": (lambda _c, k: k.write_text("hello"), "key", "has no private key; it must be PEM"),
    "DER": (lambda c, _k: to_der(c, "x509"), "certificate", "is DER; it must be PEM: openssl x509 -inform der"),
    "a key in DER": (lambda _c, k: to_der(k, "pkey"), "key", "is DER; it must be PEM: openssl pkey -inform der"),
    "PKCS #12": (
        lambda c, k: openssl(c, "pkcs12", "-export", "-inkey", k, "-passout", "pass:"),
        "certificate",
        "is PKCS #12; it must be PEM: openssl pkcs12 -nodes",
    ),
    "trusted": (
        lambda c, _k: openssl(c, "x509", "-trustout"),
        "certificate",
        "is what OpenSSL alone trusts; it must be PEM: openssl x509 -in",
    ),
    "a key for ssh": (
        lambda _c, k: k.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        "key",
        "is a key for ssh; it must be that of the certificate",
    ),
    "an encrypted key": (lambda _c, k: encrypt(k), "key", "is encrypted, and nobody can type its password"),
    "swapped": (swap, "certificate", "has a key and no certificate; are the two files swapped?"),
    "a certificate as key": (lambda c, k: k.write_bytes(c.read_bytes()), "key", "are the two files swapped?"),
    "half a certificate": (
        lambda c, _k: c.write_bytes(c.read_bytes()[:300]),
        "certificate",
        "cannot be used with its key: OpenSSL says: ",
    ),
    "half a key": (lambda _c, k: k.write_bytes(k.read_bytes()[:100]), "certificate", "OpenSSL says: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name: str, home: Path, authority: Authority) -> None:
    change, setting, remedy = WRONG[name]
    change(*install(home, authority.pair("example.org")))
    file = settings(home)
    (line,) = problems(file)
    path = home / "tls" / ("cert.pem" if setting == "certificate" else "key.pem")
    assert line.startswith(f'{file}: tls.{setting} = "{path}": ')
    assert remedy in line


PAIRS: dict[str, tuple[Callable[[Authority], tuple[Path, Path]], str, str]] = {
    "another key": (
        lambda a: (a.pair("example.org")[0], a.pair("example.org")[1]),
        "key",
        "is not the key of tls.certificate = ",
    ),
    "another kind of key": (
        lambda a: (a.pair("example.org")[0], a.pair("example.org", rsa_bits=2048)[1]),
        "key",
        "is not the key of tls.certificate = ",
    ),
    "expired": (
        lambda a: a.pair("example.org", begins=DAY * -9, ends=timedelta(hours=-1)),
        "certificate",
        "has expired on 20",
    ),
    "not valid yet": (
        lambda a: a.pair("example.org", begins=DAY, ends=DAY * 2),
        "certificate",
        "is not valid before 20",
    ),
    "of another host": (
        lambda a: a.pair("example.com", "*.example.org", "192.0.2.1"),
        "certificate",
        "is not for example.org in site.hosts, but for example.com, *.example.org, 192.0.2.1",
    ),
    "a short RSA key": (
        lambda a: a.pair("example.org", rsa_bits=1024),
        "certificate",
        "OpenSSL says: ee key too small",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_wrong_pairs(name: str, home: Path, authority: Authority) -> None:
    make, setting, remedy = PAIRS[name]
    install(home, make(authority))
    (line,) = problems(settings(home))
    assert f"tls.{setting} = " in line
    assert remedy in line


def test_the_commands(home: Path, authority: Authority) -> None:
    """``config check`` and ``serve`` say the same, with the date, and exit with 2."""
    install(home, authority.pair("example.org", begins=DAY * -9, ends=DAY * -2))
    file = settings(home)
    date = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86400))
    for arguments in (("config", "check", "-c", str(file)), ("serve", "-c", str(file))):
        ended = run(*arguments)
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
        assert f"has expired on {date}" in ended.stderr
    install(home, authority.pair("example.org"))
    (home / "tls" / "key.pem").chmod(0o644)
    ended = run("config", "check", "-c", str(file))
    assert (ended.returncode, ended.stdout) == (0, "ok\n")
    assert "key.pem can be read by every user of this machine; chmod o-r" in ended.stderr


SETTINGS = [
    ('[tls]\ncertificate = "c"\nkey = "k"\n', 'tls.certificate = ".*/c": needs a listener for https in server.listen'),
    ('[server]\nlisten = ["tls::8443"]\n', "tls.certificate .*is missing: "),
    ('[server]\nlisten = ["tls::8443"]\n[tls]\ncertificate = "c"\n', "tls.key .*is missing: the file with the private"),
    ('[server]\nlisten = ["tls::8443"]\n[tls]\nkey = "k"\n', "tls.certificate .*is missing: the file with the cert"),
    ('[server]\nlisten = ["tls::1"]\n[tls]\ncertificate = "self-signed"\nkey = "k"\n', "tls.key .*must be left out"),
    ("[tls]\nredirect = true\n", "tls.redirect = true: needs a listener for https"),
    (
        '[server]\nlisten = ["tls::1", ":2"]\n[tls]\ncertificate = "self-signed"\nredirect = true\n',
        "tls.redirect = true: needs site.hosts",
    ),
    ('[server]\nlisten = ["tls:443"]\n', 'server.listen = "tls:443": has no address; write "tls::443"'),
    ('[server]\nlisten = ["tls:unix:/run/x"]\n', 'needs an address and a port after "tls:"'),
    ('[server]\nlisten = ["tls:tls::1"]\n', 'needs an address and a port after "tls:"'),
    ('[server]\nlisten = [":8443", "tls::8443"]\n', 'server.listen = "tls::8443": is listed twice'),
    ('[status]\nlisten = ["tls::8443"]\n', 'status.listen = "tls::8443": cannot speak TLS'),
    (
        '[server]\nlisten = ["tls::1"]\n[tls]\ncertificate = "self-signed"\n'
        '[proxies]\ntrusted = ["10.0.0.0/8"]\nclient_from = "proxy-protocol"\n',
        'proxies.client_from = "proxy-protocol": does not go with',
    ),
    ('[site]\nhosts = ["faß.de"]\n', 'site.hosts = "faß.de": must be written .*: "xn--fa-hia.de"'),
    ('[site]\nhosts = ["BÜCHER.example"]\n', '"xn--bcher-kva.example"'),
    ('[site]\nhosts = ["☃ ☃"]\n', "must be a host name or an address"),
]


@pytest.mark.parametrize(("text", "expected"), SETTINGS)
def test_settings(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "httpmini.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(file))
    lines = [str(problem) for problem in caught.value.problems]
    assert any(re.search(expected, line) for line in lines), lines
    assert len(lines) == 1, lines
    assert str(file) in lines[0] or "is missing" in lines[0]


def test_names_that_differ_only_in_case(home: Path, authority: Authority) -> None:
    install(home, authority.pair("EXAMPLE.org", "*.Example.net"))
    check_certificates(config.load(str(settings(home, hosts='"example.ORG", "www.example.NET."'))))
    file = home / "two.toml"
    file.write_text(
        '[[site]]\nroot = "www"\nhosts = ["example.org"]\n[[site]]\nroot = "www"\nhosts = ["Example.ORG"]\n'
    )
    with pytest.raises(ConfigError, match="listed twice"):
        config.load(str(file))


@pytest.mark.parametrize(
    ("names", "covered", "missing"),
    [
        (["a.example"], ["a.example", "A.EXAMPLE", "a.example."], ["b.a.example", "example", "xa.example"]),
        (["*.a.example"], ["x.a.example"], ["a.example", "x.y.a.example", ".a.example"]),
        (["192.0.2.1", "2001:db8::1"], ["192.0.2.1", "[2001:db8::1]", "[2001:DB8:0::1]"], ["192.0.2.2", "[::1]"]),
        ([], [], ["a.example"]),
    ],
)
def test_whom_a_certificate_is_for(names: list[str], covered: list[str], missing: list[str]) -> None:
    pair = Pair("c", "k", make_context(), tuple(names), 0.0, (None, None))
    assert pair.lacks([*covered, *missing]) == missing


def test_certificates_of_sites(home: Path, authority: Authority) -> None:
    """Each site's own is checked, and the line says which site it is."""
    install(home, authority.pair("a.example", "b.example"))
    other = authority.pair("c.example")
    file = home / "httpmini.toml"
    common = '[server]\nlisten = ["tls::0"]\n[tls]\ncertificate = "tls/cert.pem"\nkey = "tls/key.pem"\n'
    sites = "".join(f'[[site]]\nroot = "www"\nhosts = ["{name}.example"]\n' for name in ("a", "b", "d"))
    own = f'[site.tls]\ncertificate = "{other[0]}"\nkey = "{other[1]}"\n'
    file.write_text(common + sites + own)
    (line,) = problems(file)
    assert line.startswith(f'{file}: [[site]] no. 3: tls.certificate = "{other[0]}": ')
    assert line.endswith(": is not for d.example in site.hosts, but for c.example")
    file.write_text(common + sites + "[site.tls]\nredirect = true\n")
    with pytest.raises(ConfigError, match="only certificate and key can be set for one site"):
        config.load(str(file))


def test_what_was_read_is_what_is_used(home: Path, authority: Authority) -> None:
    """Links are followed, and OpenSSL gets what was checked; nothing stays in memory files."""
    certificate, key = install(home, authority.pair("example.org"))
    links = home / "live.pem", home / "live.key"
    for link, target in zip(links, (certificate, key), strict=True):
        link.symlink_to(os.path.relpath(target, home))
    pair = read_pair(str(links[0]), str(links[1]), time.time())
    assert pair.names == ("example.org",)
    assert not any("memfd" in link for link in open_files(os.getpid()))
    both = home / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert read_pair(str(both), str(both), time.time()).names == ("example.org",)


def test_what_the_sandbox_opens(home: Path, authority: Authority) -> None:
    """As certbot has them: links from ``live`` to numbered files in ``archive``; both folders are open."""
    archive, live = (home / "le" / name / "example.org" for name in ("archive", "live"))
    archive.mkdir(parents=True)
    live.mkdir(parents=True)
    for source, name in zip(authority.pair("example.org"), ("fullchain", "privkey"), strict=True):
        (archive / f"{name}1.pem").write_bytes(source.read_bytes())
        (live / f"{name}.pem").symlink_to(f"../../archive/example.org/{name}1.pem")
    file = home / "httpmini.toml"
    file.write_text(
        f'[server]\nlisten = ["tls::0"]\n[site]\nroot = "www"\n'
        f'[tls]\ncertificate = "{live}/fullchain.pem"\nkey = "{live}/privkey.pem"\n'
    )
    opened = {opening.path for opening in openings_of(config.load(str(file)), str(file))}
    assert {str(archive), str(live)} <= opened
    assert str(home / "le") not in opened


# Renewal.


class Watched:
    """A watch over one pair of files, and what it logs."""

    def __init__(self, files: tuple[Path, Path]) -> None:
        self.paths = str(files[0]), str(files[1])
        self.lines: list[str] = []
        self.wall = time.time()
        self.take()
        self.watch = CertificateWatch(lambda: self.current, self._note, lambda: self.wall)
        self.now = 1000.0

    def take(self) -> None:
        self.current = Certificates({self.paths: read_pair(*self.paths, time.time())})

    def _note(self, text: str, level: Level = Level.NOTICE, /) -> None:
        self.lines.append(f"{level.name} {text}")

    def look(self) -> bool:
        self.now += LOOK_S
        return self.watch.look(self.now)


def test_files_that_change_are_used_when_they_have_settled(home: Path, authority: Authority) -> None:
    files = install(home, authority.pair("example.org"))
    watched = Watched(files)
    assert [watched.look() for _ in range(3)] == [False] * 3
    new = authority.pair("example.org")
    files[0].write_bytes(new[0].read_bytes())
    assert not watched.look()  # seen for the first time
    files[1].write_bytes(new[1].read_bytes())
    assert not watched.look()  # it is still changing
    assert watched.look()
    assert not watched.look(), "files that were refused are not tried again"
    watched.take()
    assert not watched.look()
    files[1].unlink()
    assert [watched.look() for _ in range(3)] == [False, True, False]
    assert watched.watch.look(watched.now + LOOK_S / 2) is False


def test_a_certificate_that_ends_soon_is_announced_once_a_day(home: Path, authority: Authority) -> None:
    watched = Watched(install(home, authority.pair("example.org", ends=DAY * 20)))
    watched.look()
    assert watched.lines == []
    for day in range(7, 23):
        watched.wall = time.time() + day * REPEAT_S
        for _ in range(3):
            watched.look()
    assert len(watched.lines) == 16
    assert all(line.startswith("WARNING ") for line in watched.lines)
    assert "cert.pem: the certificate expires on 20" in watched.lines[0]
    assert "has expired on 20" in watched.lines[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_a_key_that_only_root_can_read(home: Path, authority: Authority) -> None:
    """It is read before the user is switched, and its octets are in no file that the server holds."""
    home.chmod(0o755)
    for parent in home.parents:
        if parent != Path("/tmp") and parent.is_relative_to("/tmp"):
            parent.chmod(0o755)
    certificate, key = install(home, authority.pair("example.org"))
    (home / "tls").chmod(0o700)
    file = settings(home, '[daemon]\nuser = "nobody"\n')
    server = ServerProcess(["-c", str(file)])
    try:
        assert "user nobody" in server.banner
        server.wait_for_line(f"the user nobody cannot read the key {key}: .*a new start")
        get = [b"GET /small.txt HTTP/1.0\r\n\r\n"]
        assert converse_tls(server.port, get, unverified())[0].endswith(b"small")
        assert not any("httpmini-tls" in link for link in open_files(server.pid))
        install(home, authority.pair("example.org"))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("tls.certificate = .* cannot be read: .*the certificate from before stays, until 20")
        server.wait_for_line("(?<!not) reloaded: ")
        assert converse_tls(server.port, get, unverified())[0].endswith(b"small")
        # What a deploy hook does: copies that the server's user may read.
        (home / "tls").chmod(0o755)
        for path in (certificate, key):
            os.chown(path, 65534, 65534)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("a new certificate is in use")
        server.assert_clean_end()
    finally:
        server.kill()


def test_the_command_says_that_a_certificate_was_not_taken(home: Path, authority: Authority) -> None:
    """A deploy hook that reloads must fail when the new pair does not fit; all else has been reloaded."""
    _, key = install(home, authority.pair("example.org"))
    (home / "run").mkdir()
    file = settings(home, f'[daemon]\npid_file = "{home}/run/pid"\n')
    server = ServerProcess(["-c", str(file)])
    try:
        good = key.read_bytes()
        key.write_bytes(authority.pair("example.org")[1].read_bytes())
        for _ in range(2):  # and not only the first time
            status, _, errors = run_command("ctl", "reload", "-c", str(file))
            assert status == 1
            assert re.search(
                r"reloaded, but .*tls\.key = .* is not the key of .*; the certificate from before", errors.decode()
            )
        key.write_bytes(good)
        assert run_command("ctl", "reload", "-c", str(file))[0] == 0
        server.assert_clean_end()
    finally:
        server.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group")
def test_the_deploy_hook(home: Path, authority: Authority) -> None:
    """The script that ``config example`` prints, with other paths, while the server runs."""
    script = (Path(__file__).parents[2] / "conf" / "certbot" / "httpmini").read_text()
    lineage = home / "lineage"
    lineage.mkdir()

    def renew() -> None:
        for source, name in zip(authority.pair("example.org"), ("fullchain.pem", "privkey.pem"), strict=True):
            (lineage / name).write_bytes(source.read_bytes())
        places = {"RENEWED_LINEAGE": str(lineage), "folder": str(home / "deployed"), "group": "0"}
        environment = {**os.environ, **places}
        subprocess.run(["sh", "-eu", "-c", script], env=environment, check=True, timeout=WAIT_S)

    renew()
    deployed = home / "deployed"
    assert (deployed / "privkey.pem").stat().st_mode & 0o777 == 0o640
    text = settings(home).read_text().replace("tls/cert.pem", f"{deployed}/fullchain.pem")
    settings(home).write_text(text.replace("tls/key.pem", f"{deployed}/privkey.pem"))
    server = ServerProcess(["-c", str(home / "httpmini.toml")])
    try:
        renew()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("fullchain.pem: a new certificate is in use")
        said, _ = converse_tls(server.port, [b"GET /small.txt HTTP/1.0\r\n\r\n"], authority.client(), "example.org")
        assert said.endswith(b"small")
        server.assert_clean_end()
    finally:
        server.kill()


def test_credentials_of_a_service_manager(home: Path, authority: Authority) -> None:
    """LoadCredential= puts copies into a folder of the service, read-only; a restart brings new ones."""
    credentials = home / "credentials"
    credentials.mkdir()
    for source, name in zip(authority.pair("example.org"), ("fullchain.pem", "privkey.pem"), strict=True):
        (credentials / name).write_bytes(source.read_bytes())
        (credentials / name).chmod(0o400)
    credentials.chmod(0o500)
    file = settings(home)
    text = file.read_text().replace("tls/cert.pem", f"{credentials}/fullchain.pem")
    file.write_text(text.replace("tls/key.pem", f"{credentials}/privkey.pem"))
    server = ServerProcess(["-c", str(file)])
    try:
        said, _ = converse_tls(server.port, [b"GET /small.txt HTTP/1.0\r\n\r\n"], authority.client(), "example.org")
        assert said.endswith(b"small")
        server.assert_clean_end()
    finally:
        server.kill()
        credentials.chmod(0o700)


# Flags.


def test_the_flags(home: Path, authority: Authority) -> None:
    certificate, key = install(home, authority.pair("localhost"))
    flags = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    server = ServerProcess([str(home / "www"), "--port", "0", *flags])
    try:
        assert "https://127.0.0.1:" in server.banner
        said, _ = converse_tls(server.port, [b"GET /small.txt HTTP/1.0\r\n\r\n"], authority.client(), "localhost")
        assert said.endswith(b"small")
        server.assert_clean_end()
    finally:
        server.kill()
    for arguments, said_wrong in (
        (flags[:2], "tls.key"),
        ([*flags, "--tls"], "--tls: makes a certificate of its own; leave out --tls or --tls-cert"),
        ([*flags[:3], str(home / "nowhere.pem")], "--tls-key: tls.key = "),
    ):
        ended = run("serve", str(home / "www"), "--port", "0", *arguments)
        assert ended.returncode == 2
        assert said_wrong in ended.stderr


def test_a_certificate_for_a_day(home: Path) -> None:
    server = ServerProcess([str(home / "www"), "--port", "0", "--tls"])
    try:
        line = server.wait_for_line("a certificate for a day, for localhost, 127.0.0.1, ::1, .*SHA-256 ")
        shown = line.rpartition(" ")[2]
        _, end = converse_tls(server.port, [], unverified())
        found = end.tls.getpeercert(binary_form=True)
        assert found is not None
        assert hashlib.sha256(found).digest().hex(":").upper() == shown
        assert b"plain-on-tls" in converse(server.port, [b"GET / HTTP/1.0\r\n\r\n"])
        assert not list(home.rglob("*.pem"))
        server.assert_clean_end()
    finally:
        server.kill()


def test_a_certificate_for_every_address(home: Path) -> None:
    loaded = config.load(None, config.Flags(root=str(home / "www"), addresses=("*",), tls=True))
    assert loaded.server.listen == ["tls:*:8080"]
    names = names_for(loaded)
    assert names[:4] == ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    listed = names_for(config.load(None, config.Flags(root=str(home / "www"), addresses=("192.0.2.7",), tls=True)))
    assert "192.0.2.7" in listed
