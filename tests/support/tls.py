"""A certificate authority for tests: certificates for any names and times, TLS contexts for both sides."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority.

    Attributes:
        certificate: the file with its own certificate, for clients that are to trust it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of this test")])
        self._numbers = itertools.count()
        made = _build(self._name, self._name, self._key.public_key(), DAY * -1, DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = made.add_extension(usage, critical=True)
        self._certificate = made.sign(self._key, hashes.SHA256())
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def server(
        self,
        *names: str,
        begins: datetime.timedelta = DAY * -1,
        ends: datetime.timedelta = DAY,
        self_signed: bool = False,
        whole_chain: bool = False,
    ) -> ssl.SSLContext:
        """Return a context for a server with a new certificate; the arguments are those of ``pair``."""
        pair = self.pair(*names, begins=begins, ends=ends, self_signed=self_signed, whole_chain=whole_chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        return context

    def pair(
        self,
        *names: str,
        begins: datetime.timedelta = DAY * -1,
        ends: datetime.timedelta = DAY,
        self_signed: bool = False,
        whole_chain: bool = False,
        rsa_bits: int = 0,
    ) -> tuple[Path, Path]:
        """Make files with a new certificate and with its key, and return their paths.

        Args:
            names: host names and addresses that the certificate is for.
            begins: the start of its validity, relative to now.
            ends: the end of its validity, relative to now.
            self_signed: sign it with its own key, not with the authority's.
            whole_chain: send the authority's certificate too.
            rsa_bits: the length of an RSA key; 0 for an elliptic curve.
        """
        key: PrivateKey = (
            rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
        )
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        made = _build(subject, issuer, key.public_key(), begins, ends)
        made = made.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        chain = [made.add_extension(signed_by, critical=False).sign(signer, hashes.SHA256())]
        if whole_chain:
            chain.append(self._certificate)
        number = next(self._numbers)
        certificate, secret = self._folder / f"server-{number}.pem", self._folder / f"server-{number}.key"
        secret.touch(0o600)
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        certificate.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
        return certificate, secret

    def client(self) -> ssl.SSLContext:
        """Return a context for a client that trusts only this authority."""
        return ssl.create_default_context(cafile=str(self.certificate))


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    begins: datetime.timedelta,
    ends: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
