"""A certificate for a day, for trials: made at the start, and its key never on a disk."""

from __future__ import annotations

import datetime
import hashlib
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from httpmini.config import Config
from httpmini.config.certificates import Pair, as_file
from httpmini.config.tls_settings import SELF_SIGNED
from httpmini.errors import CannotRun
from httpmini.protocol.message import bare_host
from httpmini.server.listeners.endpoint import INHERITED, UNIX, parse_endpoint
from httpmini.server.tls.security import make_context

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, GeneralName

_LIFE = datetime.timedelta(days=1)
_EARLIER = datetime.timedelta(hours=1)  # clocks of clients may be behind
# Where a datagram would leave from tells our address to others; these are for documentation, and nothing is sent.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def make_pair(config: Config) -> Pair:
    """Make a certificate for this machine, the addresses listened on, and the hosts of all sites.

    Raises:
        CannotRun: ``cryptography`` is not installed.
    """
    names = names_for(config)
    try:
        certificate, secret = _sign(names)
    except ImportError as error:
        remedy = "it comes with pip install 'httpmini[tls]'"
        raise CannotRun(f'tls.certificate = "{SELF_SIGNED}" needs the package cryptography; {remedy}') from error
    from cryptography.hazmat.primitives.serialization import Encoding

    context = make_context()
    both = bytearray(certificate.public_bytes(Encoding.PEM)) + secret
    with as_file(both) as path:
        context.load_cert_chain(path)
    secret[:], both[:] = bytes(len(secret)), bytes(len(both))
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    end = certificate.not_valid_after_utc.timestamp()
    return Pair(SELF_SIGNED, "", context, tuple(names), end, (None, None), digest.hex(":").upper())


def load_library() -> None:
    """Load all of ``cryptography`` that is needed, where it is installed: by using it."""
    with suppress(ImportError):
        _sign(["localhost", "127.0.0.1"])


def names_for(config: Config) -> list[str]:
    """Return whom a certificate of our own is for."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    for entry in config.server.listen:
        endpoint = parse_endpoint(entry)
        if endpoint.host in ("", "0.0.0.0", "::"):  # noqa: S104  (compared with)
            names += _own_addresses()
        elif endpoint.host not in (INHERITED, UNIX):
            names.append(endpoint.host)
    names += [bare_host(host).strip("[]") for one in config.all_sites for host in one.site.hosts]
    return list(dict.fromkeys(name for name in names if name.isascii()))


def _own_addresses() -> list[str]:
    found = []
    for family, address in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))
            found.append(str(sock.getsockname()[0]))
    return found


def _sign(names: Sequence[str]) -> tuple[Certificate, bytearray]:
    """Return a certificate and its key in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "httpmini, self-signed")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return builder.sign(key, hashes.SHA256()), bytearray(secret)


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
