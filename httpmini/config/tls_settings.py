"""The settings of TLS, as in ``schema.py``."""

from typing import Annotated

import msgspec

from httpmini.config.declare import says

SELF_SIGNED = "self-signed"
"""The certificate that is made at the start, in place of a path."""


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate for the listeners in server.listen that begin with "tls:". After a [[site]], [site.tls] has the
    certificate and key of that site; clients choose by the name that they ask for (SNI). Those that ask for no name, or
    an unknown one, get the first site's.
    """

    certificate: Annotated[
        str,
        says("""A file with the certificate and those that lead to its authority, in PEM: the fullchain.pem of certbot.
        When this file and tls.key have changed, they are used within a minute, if they are right; SIGHUP uses them at
        once. "self-signed" makes one for a day at the start, for trials: browsers warn of it. A relative path is
        relative to this file."""),
    ] = ""
    key: Annotated[
        str,
        says("""The file with the private key of that certificate, in PEM and not encrypted: the privkey.pem of certbot.
        It is read before the server switches to daemon.user; to renew it later, that user has to be able to read it. A
        relative path is relative to this file."""),
    ] = ""
    redirect: Annotated[
        bool,
        says("""Whether all other listeners answer with a permanent redirection to https, at the site's own host name.
        Requests below /.well-known/acme-challenge/ are answered, so that certificates can be renewed; so are those of
        trusted proxies that say X-Forwarded-Proto: https."""),
    ] = False

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the certificate and its key; none if there are no files."""
        return tuple(path for path in (self.certificate, self.key) if path not in ("", SELF_SIGNED))
