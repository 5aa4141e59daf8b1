"""The spelling of IP addresses: one for all, whatever the version of Python."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

_ZEROS = re.compile(r"(?:^|:)0(?::0)+(?=:|$)")


def spell_address(address: IPv4Address | IPv6Address) -> str:
    """Return an address as RFC 5952 §4 spells it, with its zone if it has one.

    Not ``str()``: from Python 3.13 on, that spells an IPv4 address in an IPv6 one in dots. Here it is hexadecimal, as
    in URLs of browsers.
    """
    if isinstance(address, IPv4Address):
        return str(address)
    text = ":".join(f"{int(address) >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
    longest = max(_ZEROS.finditer(text), key=lambda zeros: zeros[0].count("0"), default=None)  # the first of several
    if longest is not None:
        text = f"{text[: longest.start()]}::{text[longest.end() + 1 :]}"
    return text if address.scope_id is None else f"{text}%{address.scope_id}"
