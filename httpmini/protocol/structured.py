"""Structured fields (RFC 9651): dictionaries, as far as a file server needs them.

A field that breaks the grammar anywhere is ignored as a whole (§4.2). Values are left as they are written; those who
use them know which kind they expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_KEY = r"[a-z*][a-z0-9_\-.*]*+"
# RFC 9651 §3.3: integers and decimals, strings, tokens, byte sequences, booleans, dates, display strings.
_BARE = r"""(?:
    -? (?: [0-9]{1,12}\.[0-9]{1,3} | [0-9]{1,15} ) (?![0-9.])
  | "(?: [ !\#-\[\]-~] | \\["\\] )*+"
  | [A-Za-z*][!\#$%&'*+\-.^_`|~0-9A-Za-z:/]*+
  | :[A-Za-z0-9+/=]*+:
  | \?[01]
  | @-?[0-9]{1,15} (?![0-9.])
  | %"(?: [ !\#$&-~] | %[0-9a-f]{2} )*+"
)"""
_PARAMETERS = rf"(?: ;[ ]*+ {_KEY} (?: = {_BARE} )? )*+"
_ITEM = rf"{_BARE} {_PARAMETERS}"
_INNER_LIST = rf"\( [ ]*+ (?: {_ITEM} (?: [ ]++ {_ITEM} )*+ [ ]*+ )? \)"
_MEMBER = re.compile(
    rf"(?P<key> {_KEY} ) (?: = (?P<value> {_BARE} | {_INNER_LIST} ) )? {_PARAMETERS}", re.VERBOSE | re.ASCII
)
_COMMA = re.compile(r"[ \t]*,[ \t]*")

TRUE = "?1"
"""The value of a member that has none (RFC 9651 §3.2)."""


def parse_dictionary(values: Iterable[str]) -> dict[str, str] | None:
    """Return the members of a dictionary, without their parameters; the last of several with one key counts.

    Args:
        values: of all fields of one name, in order.

    Returns:
        The values as they are written; None if the field is malformed.
    """
    text = ",".join(values).strip(" ")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        member = _MEMBER.match(text, at)
        if member is None:
            return None
        found[member["key"]] = member["value"] or TRUE
        at = member.end()
        if at < len(text):
            comma = _COMMA.match(text, at)
            if comma is None or comma.end() == len(text):  # a comma at the end is an error
                return None
            at = comma.end()
    return found
