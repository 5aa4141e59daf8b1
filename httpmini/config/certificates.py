"""The files of [tls]: read, checked against each other, against the time and against the hosts of their site.

What they hold goes to OpenSSL in anonymous files in memory, because it takes nothing but files: so what was checked is
what is used, and nobody else sees a key. The octets of a key are overwritten afterwards.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from httpmini.config.render import toml
from httpmini.config.schema import DEFAULT, Config
from httpmini.config.tls_settings import SELF_SIGNED
from httpmini.errors import ConfigError, Problem
from httpmini.files import why_not, write_all
from httpmini.protocol.message import bare_host
from httpmini.server.tls.security import make_context

if TYPE_CHECKING:
    import ssl

MAX_BYTES = 1024 * 1024
_BEGIN = b"-----BEGIN "
_SHOWN_NAMES = 5
_OTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")  # the last two: of another kind

Stamp = tuple[int, int, int, int, int] | None
"""Tells one version of a file from another; None if it cannot be looked at."""


class WrongFile(Exception):
    """A file that cannot be used; the text says what is wrong with it, and what would be right.

    Attributes:
        name: the setting: "certificate" or "key".
    """

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(remedy)
        self.name = name


class Pair(msgspec.Struct, frozen=True, eq=False):
    """A certificate and its key, ready to be used.

    Attributes:
        certificate: the path of the certificate, or ``SELF_SIGNED``.
        key: the path of the key.
        context: has both.
        names: whom the certificate is for: host names, some with ``*.`` before them, and addresses.
        not_after: when it expires, in seconds since the epoch.
        stamps: of the two files, taken before they were read.
        fingerprint: the SHA-256 of the certificate, if it is one of our own.
    """

    certificate: str
    key: str
    context: ssl.SSLContext
    names: tuple[str, ...]
    not_after: float
    stamps: tuple[Stamp, Stamp]
    fingerprint: str = ""

    def lacks(self, hosts: Sequence[str]) -> list[str]:
        """Return those of ``hosts`` that the certificate is not for."""
        return [host for host in hosts if not any(_matches(name, bare_host(host)) for name in self.names)]


def read_pair(certificate: str, key: str, wall: float) -> Pair:
    """Read a certificate and its key.

    Args:
        certificate: the path of the one.
        key: the path of the other.
        wall: the time of day, in seconds since the epoch.

    Raises:
        WrongFile: one of them is not what it has to be, they do not fit, or the certificate is not valid at that time.
    """
    stamps = stamp(certificate), stamp(key)
    chain = _read("certificate", certificate)
    _check_certificate(bytes(chain))
    secret = _read("key", key)
    try:
        _check_key(secret)
        with as_file(chain, certificate) as chain_file, as_file(secret, key) as key_file:
            context = _load(chain_file, key_file, certificate)
            found = _decode(chain_file)
    finally:
        secret[:] = bytes(len(secret))
    _check_dates(found, wall)
    return Pair(certificate, key, context, _names_of(found), _seconds(found, "notAfter"), stamps)


def check_certificates(config: Config) -> None:
    """Read every certificate that ``config`` names, as a server would.

    Raises:
        ConfigError: with every problem that was found.
    """
    problems: list[Problem] = []
    for number, one in enumerate(config.all_sites, 1):
        if one.tls.certificate in ("", SELF_SIGNED):
            continue
        try:
            check_hosts(read_pair(one.tls.certificate, one.tls.key, time.time()), one)
        except WrongFile as wrong:
            problems.append(problem_of(wrong, config, number, one))
    if problems:
        raise ConfigError(problems)


def check_hosts(pair: Pair, site: Config) -> None:
    """Check that a certificate is for all hosts of its site.

    Raises:
        WrongFile: it is not.
    """
    if missing := pair.lacks(site.site.hosts):
        known = ", ".join(pair.names[:_SHOWN_NAMES]) or "no names at all (subjectAltName)"
        more = ", ..." if len(pair.names) > _SHOWN_NAMES else ""
        raise WrongFile("certificate", f"is not for {', '.join(missing)} in site.hosts, but for {known}{more}")


def problem_of(wrong: WrongFile, config: Config, number: int, site: Config) -> Problem:
    """Return what is wrong with a file of the site with this number."""
    key = f"tls.{wrong.name}"
    origin = site.origins[key]
    shown = f"[[site]] no. {number}: {key}" if config.others else key
    return Problem("" if origin == DEFAULT else origin, shown, toml(getattr(site.tls, wrong.name)), str(wrong))


def stamp(path: str) -> Stamp:
    """Return what tells this version of a file from others."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def show_date(seconds: float) -> str:
    """Return a time as an operator reads it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


# The files.


def _read(name: str, path: str) -> bytearray:
    """Read a file whole; into a buffer that can be overwritten."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
    except OSError as error:
        raise WrongFile(name, f"cannot be read: {why_not(error, path)}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise WrongFile(
                name, f"is {'a folder' if stat.S_ISDIR(found.st_mode) else 'no file'}; it must be a PEM file"
            )
        if found.st_size > MAX_BYTES:
            raise WrongFile(name, f"is larger than {MAX_BYTES} bytes; it must be a PEM file")
        octets = bytearray(found.st_size)
        del octets[os.readv(fd, [octets]) if octets else 0 :]
    except OSError as error:
        raise WrongFile(name, f"cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)
    if not octets:
        raise WrongFile(name, "is empty; it must be a PEM file")
    return octets


def _check_certificate(octets: bytes) -> None:
    if _BEGIN + b"CERTIFICATE-----" in octets:
        return
    if _BEGIN + b"TRUSTED CERTIFICATE-----" in octets:
        raise WrongFile("certificate", "is what OpenSSL alone trusts; it must be PEM: openssl x509 -in FILE -out NEW")
    if b"PRIVATE KEY-----" in octets:
        raise WrongFile("certificate", "has a key and no certificate; are the two files swapped?")
    _refuse_binary("certificate", octets, "x509")
    raise WrongFile("certificate", "has no certificate; it must be PEM, with a line -----BEGIN CERTIFICATE-----")


def _check_key(octets: bytearray) -> None:
    if b"ENCRYPTED" in octets:
        remedy = (
            "is encrypted, and nobody can type its password at the start; decrypt it: openssl pkey -in FILE -out NEW"
        )
        raise WrongFile("key", remedy)
    if _BEGIN + b"OPENSSH PRIVATE KEY-----" in octets:
        raise WrongFile("key", "is a key for ssh; it must be that of the certificate, -----BEGIN PRIVATE KEY-----")
    if b"PRIVATE KEY-----" in octets:
        return
    if _BEGIN + b"CERTIFICATE-----" in octets:
        raise WrongFile("key", "has a certificate and no key; are the two files swapped?")
    _refuse_binary("key", octets, "pkey")
    raise WrongFile("key", "has no private key; it must be PEM, with a line -----BEGIN PRIVATE KEY-----")


def _refuse_binary(name: str, octets: bytes | bytearray, command: str) -> None:
    """Refuse what begins like DER: one certificate or key, or both of them in PKCS #12 (version 3, RFC 7292 §4)."""
    if octets[:1] == b"\x30" and b"\x02\x01\x03" in octets[2:9]:
        raise WrongFile(name, "is PKCS #12; it must be PEM: openssl pkcs12 -nodes -in FILE -out NEW, for both")
    if octets[:1] == b"\x30":
        raise WrongFile(name, f"is DER; it must be PEM: openssl {command} -inform der -in FILE -out NEW")


@contextmanager
def as_file(octets: bytearray, path: str = "") -> Iterator[str]:
    """Make a file in memory with these octets, and yield its path.

    Args:
        octets: what is in it.
        path: where they are on the disk, for systems without such files. If it is empty, they are in a private file
            for a moment there.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").exists():
        fd = os.memfd_create("httpmini-tls")
        try:
            write_all(fd, memoryview(octets))
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
    elif path:
        yield path
    else:
        import tempfile

        with tempfile.NamedTemporaryFile() as file:
            write_all(file.fileno(), memoryview(octets))
            yield file.name


# What is in them.


def _load(chain_file: str, key_file: str, certificate: str) -> ssl.SSLContext:
    """Return a context with a certificate and its key, which OpenSSL checks against each other."""
    import ssl

    context = make_context()
    try:
        context.load_cert_chain(chain_file, key_file, password="")  # without one it would ask at the terminal
    except ssl.SSLError as error:
        if error.reason in _OTHER_KEY:
            raise WrongFile("key", f"is not the key of tls.certificate = {toml(certificate)}") from error
        said = (error.reason or str(error)).replace("_", " ").lower()
        raise WrongFile("certificate", f"cannot be used with its key: OpenSSL says: {said}") from error
    except (OSError, ValueError) as error:
        raise WrongFile("certificate", f"cannot be used with its key: {error}") from error
    return context


def _decode(chain_file: str) -> dict[str, Any]:
    """Return the fields of the first certificate in a file, as ``SSLSocket.getpeercert`` would.

    Python has this for its own tests only, and no other way to read a certificate that is not a peer's.
    """
    import ssl

    try:
        found: dict[str, Any] = ssl._ssl._test_decode_cert(chain_file)  # type: ignore[attr-defined]
    except ssl.SSLError as error:
        raise WrongFile("certificate", f"cannot be read: OpenSSL says: {error.args[0]}") from error
    return found


def _check_dates(found: dict[str, Any], wall: float) -> None:
    begin, end = _seconds(found, "notBefore"), _seconds(found, "notAfter")
    if wall > end:
        raise WrongFile("certificate", f"has expired on {show_date(end)}; renew it")
    if wall < begin:
        raise WrongFile("certificate", f"is not valid before {show_date(begin)}; is the clock of this machine right?")


def _seconds(found: dict[str, Any], name: str) -> float:
    import ssl

    return float(ssl.cert_time_to_seconds(found[name]))


def _names_of(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(value.strip() for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))


def _matches(name: str, host: str) -> bool:
    """Return whether a name in a certificate is for ``host``; a ``*`` stands for one label (RFC 9525 §6.3)."""
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return ip_address(name) == ip_address(bare)
    except ValueError:
        pass
    name = bare_host(name)
    if name.startswith("*."):
        label, dot, rest = host.partition(".")
        return bool(label and dot) and rest == name.removeprefix("*.")
    return name == host
