"""TLS on a connected socket, and its errors in words.

``ssl`` is imported only when needed: it takes 8 ms, and loading the system's authorities another 30.
"""

from __future__ import annotations

import errno
import functools
import socket
import time
from typing import TYPE_CHECKING

from httpmini.client.transport.timings import Deadline
from httpmini.client.url import Url
from httpmini.errors import TlsFailed

if TYPE_CHECKING:
    import ssl

# OpenSSL's error numbers (X509_V_ERR_...) in words.
_CERTIFICATE_ERRORS = {
    9: "the certificate is not valid yet{clock}",
    10: "the certificate has expired{clock}",
    18: "the certificate is self-signed and not trusted here{trust}",
    19: "the certificate is signed by an authority that is not trusted here{trust}",
    20: "the certificate is signed by an authority that is not known here{trust}",
    21: "the certificate is signed by an authority that is not known here{trust}",
    62: "the certificate is not for {host} but for other names",
    64: "the certificate is not for {host} but for other addresses",
}
_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
}
_TLS_ERRORS = {
    **dict.fromkeys(_NOT_TLS, "the server does not speak TLS on this port; did you mean http://?"),
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"),
        "the two sides have no version of TLS in common (this side usually speaks 1.2 and later)",
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server refuses; there may be no common cipher, or it wants a certificate",
    "TLSV1_UNRECOGNIZED_NAME": "the server does not know the name {host}",
}


def start_tls(sock: socket.socket, url: Url, context: ssl.SSLContext | None, deadline: Deadline) -> ssl.SSLSocket:
    """Perform a TLS handshake as the client.

    Args:
        sock: connected. It belongs to the returned socket; after an error it is closed, or still the caller's.
        url: of the server, whose certificate has to be for ``url.host``.
        context: TLS parameters; None for the system's authorities.
        deadline: for the handshake.

    Raises:
        TlsFailed: the handshake failed; the message says why.
        TimedOut: it was not complete in time.
    """
    # Neither a zone nor the root's dot is part of a name (RFC 6066 §3).
    host = url.host.partition("%")[0].removesuffix(".")
    tls = _wrap(sock, url, host, context)
    late = f"the TLS handshake with {url.authority} was not complete"
    try:
        tls.settimeout(deadline.timeout(late))
        tls.do_handshake()  # the timeout covers all of it
    except TimeoutError as error:
        tls.close()
        raise deadline.expired(late) from error
    except OSError as error:
        tls.close()
        raise TlsFailed(f"no TLS with {url.authority}: {_explain(error, host)}") from error
    except BaseException:
        tls.close()
        raise
    return tls


@functools.cache
def _system_trust() -> ssl.SSLContext:
    """Load the system's authorities, once. Certificates and names are checked, and TLS 1.2 is the oldest version."""
    import ssl

    return ssl.create_default_context()


def _wrap(sock: socket.socket, url: Url, host: str, context: ssl.SSLContext | None) -> ssl.SSLSocket:
    try:
        # wrap_socket() loses the descriptor if the name cannot be sent or the peer has gone: so check before.
        host.encode("idna")
        sock.getpeername()
        return (context or _system_trust()).wrap_socket(
            sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except (OSError, ValueError) as error:
        from traceback import clear_frames  # late: it takes 1 ms

        clear_frames(error.__traceback__)  # closes the lost descriptor, if the peer went just in between
        raise TlsFailed(f"no TLS with {url.authority}: {_explain(error, host)}") from error


def _explain(error: Exception, host: str) -> str:
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        text = _CERTIFICATE_ERRORS.get(error.verify_code, f"the certificate is not trusted: {error.verify_message}")
        clock = f" (by this machine's clock, which shows {time.strftime('%Y-%m-%d')})"
        return text.format(host=host, clock=clock, trust="; SSL_CERT_FILE can name a file with more authorities")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)) or _is_gone(error):
        return "the server closed the connection during the handshake"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return _TLS_ERRORS.get(reason, reason.replace("_", " ").lower()).format(host=host)
    return f"{host} is not a name that a certificate can be for" if isinstance(error, ValueError) else str(error)


def _is_gone(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOTCONN
