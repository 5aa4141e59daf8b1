"""What one configuration says about TLS: certificates by name, and how long a handshake may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from httpmini.server.core.connection import Timeouts
from httpmini.server.logs.error import Log

if TYPE_CHECKING:
    import ssl

# Mozilla's "intermediate" of 2024, without the ciphers with DHE: these need parameters, and all clients that know them
# know ECDHE too. TLS 1.3 has its own, which are all right.
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
PROTOCOLS = ("http/1.1", "http/1.0")  # for ALPN (RFC 7301); the version of a response says what the server speaks


class Security(msgspec.Struct, frozen=True, eq=False):
    """How clients of TLS listeners are served. It is made whole and exchanged whole.

    Attributes:
        context: has the first certificate, and chooses others by the name that the client asks for (SNI).
        timeouts: how long a client is waited for until the protocol inside says how long.
        handshake_s: seconds from the first octet of a handshake to its end.
        log: takes lines about clients whose handshake fails.
    """

    context: ssl.SSLContext
    timeouts: Timeouts
    handshake_s: float
    log: Log


def make_context(protocols: Sequence[str] = PROTOCOLS) -> ssl.SSLContext:
    """Return a context for servers without a certificate: TLS 1.2 and 1.3, no renegotiation, no compression.

    Clients choose the cipher, as Mozilla advises: those without AES in hardware prefer ChaCha20. Session tickets are
    encrypted with keys of this context, so all processes forked from here on can read them; a client whose ticket is
    older makes a full handshake.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(list(protocols))
    return context


def choose_by_name(
    entrance: ssl.SSLContext,
    by_name: Mapping[str, ssl.SSLContext],
    default: ssl.SSLContext,
    bare: Callable[[str], str],
) -> None:
    """Have handshakes that begin with ``entrance`` go on with the context for the name that the client asks for.

    Args:
        entrance: needs no certificate.
        by_name: contexts by the names that they are for, spelled as ``bare`` spells them.
        default: for clients that ask for another name, or for none.
        bare: spells a name so that it can be compared.
    """

    def choose(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        tls.context = by_name.get(bare(name), default) if name else default

    entrance.sni_callback = choose
