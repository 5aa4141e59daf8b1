"""Choose the media type that a client prefers, by Accept (RFC 9110 §12.5.1).

``variants.py`` does the same for content codings. They share no code: media ranges have wildcards and parameters,
content codings have ``identity``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from httpmini.protocol.message import Headers, members

# RFC 9110 §5.6.2:  token = 1*tchar
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9110 §12.5.1:  media-range = ( "*/*" / type "/*" / type "/" subtype ) parameters
_RANGE = re.compile(rf"{_WORD}/{_WORD}", re.ASCII)
# RFC 9110 §5.6.6:  parameter = token "=" ( token / quoted-string ); none of our values needs quotes
_PARAMETER = re.compile(rf'(?P<name>{_WORD})=(?P<quote>"?)(?P<value>{_WORD})(?P=quote)', re.ASCII)
# RFC 9110 §12.4.2
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)

_MAX_PARAMETERS = 16


def preferred(headers: Headers, offered: Sequence[str]) -> str:
    """Return the one of ``offered`` with the highest weight in Accept; on a tie, or without the field, the first.

    For each type, the most specific range applies: ``text/html;charset=utf-8`` before ``text/html`` before ``text/*``
    before ``*/*``. If none is acceptable, the first one is returned: a client can do more with it than with a 406.
    Malformed members are ignored, and so are those after the first ``MAX_MEMBERS``.

    Args:
        headers: the fields of the request.
        offered: values of Content-Type, in the server's order of preference.
    """
    weights: dict[str, float] = {}
    for member in members(headers.all("Accept")):  # split at quoted commas too, but none of our parameters has one
        media_range, weight = _parse(member)
        weights[media_range] = weight
    return max(offered, key=lambda media_type: _weight_of(media_type, weights))


def _parse(member: str) -> tuple[str, float]:
    """Return a media range as ``type/subtype;name=value`` in lower case, and its weight; if malformed, an empty range.

    The weight may come between other parameters: RFC 9110 §12.5.1 says to process them regardless of their order.
    """
    media_range, *rest = (part.strip(" \t") for part in member.split(";", _MAX_PARAMETERS + 1))
    weight = 1.0
    parameters = []
    well_formed = len(rest) <= _MAX_PARAMETERS and bool(_RANGE.fullmatch(media_range))
    for part in filter(None, rest):
        parameter = _PARAMETER.fullmatch(part)
        if parameter is None:
            well_formed = False
        elif parameter["name"].lower() != "q":
            parameters.append(f";{parameter['name']}={parameter['value']}")
        elif _WEIGHT.fullmatch(parameter["value"]):
            weight = float(parameter["value"])
        else:
            well_formed = False
    return ("".join((media_range, *parameters)).lower(), weight) if well_formed else ("", 0.0)


def _weight_of(media_type: str, weights: dict[str, float]) -> float:
    exactly = media_type.replace("; ", ";")
    plain = exactly.partition(";")[0]
    for media_range in (exactly, plain, plain.partition("/")[0] + "/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0
