"""What types cannot express about TLS: listeners and certificates that need each other."""

from __future__ import annotations

import os

from httpmini.config.draft import Draft
from httpmini.config.schema import DEFAULT
from httpmini.config.tls_settings import SELF_SIGNED
from httpmini.server.listeners.endpoint import SECURE

_EXAMPLE = '"tls:0.0.0.0:443"'


def check_tls(draft: Draft) -> None:
    """Check the settings of TLS, without looking into the files; make their paths absolute."""
    is_secure = any(entry.startswith(SECURE) for entry in draft.values["server.listen"])
    for entry in draft.values["status.listen"]:
        if entry.startswith(SECURE):
            draft.complain("status.listen", "cannot speak TLS: httpmini ctl asks there; listen on this machine", entry)
    _make_absolute(draft)
    if any(problem.key == "server.listen" for problem in draft.problems):
        return  # what is meant is not clear
    _check_pair(draft, is_secure)
    if draft.values["tls.redirect"]:
        _check_redirect(draft, is_secure)
    if is_secure and draft.values["proxies.client_from"] == "proxy-protocol":
        remedy = (
            'does not go with "tls:" in server.listen: its header would come before the handshake; drop one of them'
        )
        draft.complain("proxies.client_from", remedy)


def _check_pair(draft: Draft, is_secure: bool) -> None:
    certificate, key = draft.values["tls.certificate"], draft.values["tls.key"]
    if certificate == SELF_SIGNED:
        if key:
            draft.complain("tls.key", f'must be left out with tls.certificate = "{SELF_SIGNED}"')
    elif certificate and not key:
        draft.complain("tls.key", "is missing: the file with the private key of tls.certificate")
    elif key and not certificate:
        draft.complain("tls.certificate", "is missing: the file with the certificate that tls.key belongs to")
    elif is_secure and not certificate:
        draft.complain("tls.certificate", f'is missing: "{SECURE}" in server.listen needs a certificate and a key')
    if certificate and not is_secure and draft.origins["tls.certificate"] != DEFAULT:
        draft.complain("tls.certificate", f"needs a listener for https in server.listen, such as {_EXAMPLE}")


def _make_absolute(draft: Draft) -> None:
    for name in ("tls.certificate", "tls.key"):
        said = draft.values[name]
        if said and said != SELF_SIGNED:
            draft.values[name] = os.path.join(draft.folder, said)


def _check_redirect(draft: Draft, is_secure: bool) -> None:
    if not is_secure:
        draft.complain("tls.redirect", f"needs a listener for https in server.listen, such as {_EXAMPLE}")
    elif not draft.values["site.hosts"]:
        draft.complain("tls.redirect", 'needs site.hosts: the name to send clients to, such as ["example.org"]')
