"""Pre-compressed neighbours: beside ``style.css`` lies ``style.css.br``, made when the site was built.

Which of them is sent is chosen by Accept-Encoding (RFC 9110 §12.5.3). A neighbour that is older than the file is not
sent: somebody changed the one and forgot the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from httpmini.protocol.message import Headers
from httpmini.site.resolve import Fact, File, Resolver

SUFFIXES = {"br": b".br", "zstd": b".zst", "gzip": b".gz"}
"""The content codings that we know, with the ending of a neighbour's name."""

# RFC 9110 §12.4.2 and §12.5.3:  codings [ OWS ";" OWS "q=" qvalue ]
_MEMBER = re.compile(
    r"(?P<coding>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.ASCII,
)
# Times that are copied from one file to the other often go through a floating-point number.
_SLACK_NS = 1_000_000

# RFC 9110 §8.4.1.3: x-gzip is the same.
_ALIASES = {"x-gzip": "gzip"}


def acceptable(headers: Headers, offered: Sequence[str]) -> list[str]:
    """Which of ``offered`` the client takes, the one it likes best first; on a tie, in the order of ``offered``.

    Without the field there are none: RFC 9110 would allow any, but clients that decode say so. Codings that the client
    likes less than no coding at all are left out. A member that is malformed is as good as not there.
    """
    weights = _weights(headers)
    plain = weights.get("identity", 0.0)  # "*" is about the others (RFC 9110 §12.5.3)
    liked = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in offered}
    taken = [coding for coding in offered if liked[coding] > 0 and liked[coding] >= plain]
    return sorted(taken, key=lambda coding: -liked[coding])


def _weights(headers: Headers) -> dict[str, float]:
    weights: dict[str, float] = {}
    for value in headers.all("Accept-Encoding"):
        for member in value.split(","):
            if match := _MEMBER.fullmatch(member.strip(" \t")):
                coding = match["coding"].lower()
                weights[_ALIASES.get(coding, coding)] = float(match["weight"] or "1")
    return weights


def find_variant(resolver: Resolver, names: tuple[bytes, ...], file: File, codings: Sequence[str]) -> tuple[File, str]:
    """The first of ``codings`` that there is a good neighbour for, open; its file and coding.

    Without one, ``file`` itself and an empty coding. The caller closes ``file`` when it gets another.
    """
    for coding in codings:
        found = resolver.resolve((*names[:-1], names[-1] + SUFFIXES[coding]))
        if isinstance(found, Fact):
            continue
        if isinstance(found, File) and found.status.st_mtime_ns >= file.status.st_mtime_ns - _SLACK_NS:
            return found, coding
        os.close(found.fd)
    return file, ""
