"""Precompressed variants: ``style.css.br`` next to ``style.css``, created when the site was built.

Accept-Encoding decides which one is sent (RFC 9110 §12.5.3). A variant older than its file is not sent: the file was
changed, and the variant forgotten.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from httpmini.protocol.message import Headers, members
from httpmini.site.resolve import Fact, File, Resolver

SUFFIXES = {"br": b".br", "zstd": b".zst", "gzip": b".gz"}
"""The known content codings, with the suffix of a variant's name."""

# RFC 9110 §12.4.2 and §12.5.3:  codings [ OWS ";" OWS "q=" qvalue ]
_MEMBER = re.compile(
    r"(?P<coding>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.ASCII,
)
# Tools that copy the time of the file to its variant often convert it to a floating-point number.
_SLACK_NS = 1_000_000

# RFC 9110 §8.4.1.3: x-gzip means gzip.
_ALIASES = {"x-gzip": "gzip"}


def acceptable(headers: Headers, offered: Sequence[str]) -> list[str]:
    """Return the codings among ``offered`` that the client accepts, by weight; on a tie, in the order of ``offered``.

    Without Accept-Encoding there are none: RFC 9110 would allow any, but clients that can decode send the field.
    Codings with a lower weight than ``identity`` are left out. Malformed members are ignored.
    """
    weights = _weights(headers)
    plain = weights.get("identity", 0.0)  # "*" does not include it (RFC 9110 §12.5.3)
    offers = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in offered}
    taken = [coding for coding in offered if offers[coding] > 0 and offers[coding] >= plain]
    return sorted(taken, key=lambda coding: -offers[coding])


def _weights(headers: Headers) -> dict[str, float]:
    weights: dict[str, float] = {}
    for member in members(headers.all("Accept-Encoding")):
        if match := _MEMBER.fullmatch(member.strip(" \t")):
            coding = match["coding"].lower()
            weights[_ALIASES.get(coding, coding)] = float(match["weight"] or "1")
    return weights


def find_variant(resolver: Resolver, names: tuple[bytes, ...], file: File, codings: Sequence[str]) -> tuple[File, str]:
    """Open the first current variant among ``codings``.

    Args:
        resolver: finds the variant.
        names: the path of the file.
        file: the open file itself.
        codings: acceptable codings, in order of preference.

    Returns:
        The variant and its coding; or ``file`` and an empty coding if there is none. The caller still owns ``file``.
    """
    for coding in codings:
        found = resolver.resolve((*names[:-1], names[-1] + SUFFIXES[coding]))
        if isinstance(found, Fact):
            continue
        if isinstance(found, File) and found.status.st_mtime_ns >= file.status.st_mtime_ns - _SLACK_NS:
            return found, coding
        os.close(found.fd)
    return file, ""
