"""Which of several forms of one thing a client would rather have: Accept (RFC 9110 §12.5.1).

Apart from ``listing.py``, because that is about a folder and this about a field; and from ``variants.py``, because
media ranges have wild cards and parameters, and content codings have ``identity``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from httpmini.protocol.message import Headers

# RFC 9110 §5.6.2:  token = 1*tchar
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9110 §12.5.1:  media-range = ( "*/*" / type "/*" / type "/" subtype ) parameters
_RANGE = re.compile(rf"{_WORD}/{_WORD}", re.ASCII)
# RFC 9110 §5.6.6:  parameter = token "=" ( token / quoted-string ); a quoted value of ours would need no quotes
_PARAMETER = re.compile(rf'(?P<name>{_WORD})=(?P<quote>"?)(?P<value>{_WORD})(?P=quote)', re.ASCII)
# RFC 9110 §12.4.2
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)


def preferred(headers: Headers, offered: Sequence[str]) -> str:
    """The one of ``offered`` that Accept gives the highest weight; the first of them on a tie, and without the field.

    The most specific range counts for each: ``text/html;charset=utf-8`` before ``text/html`` before ``text/*`` before
    ``*/*``. Where none is acceptable the first is sent all the same: a client can do more with it than with a 406. A
    member that is malformed is as good as not there.

    Args:
        headers: of the request.
        offered: values of Content-Type, in our order of preference.
    """
    weights: dict[str, float] = {}
    for value in headers.all("Accept"):
        for member in value.split(","):  # also at a comma in quotes, but no parameter of ours has one
            media_range, weight = _parse(member)
            weights[media_range] = weight
    return max(offered, key=lambda media_type: _weight_of(media_type, weights))


def _parse(member: str) -> tuple[str, float]:
    """A media range as ``type/subtype;name=value`` in lower case, and its weight; an empty range when malformed.

    The weight may stand between other parameters (RFC 9110 §12.5.1: should be processed regardless of their order).
    """
    media_range, *rest = (part.strip(" \t") for part in member.split(";"))
    weight = 1.0
    parameters = []
    well_formed = bool(_RANGE.fullmatch(media_range))
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
