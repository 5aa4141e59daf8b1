"""Precompressed variants: ``style.css.br`` next to ``style.css``, created when the site was built.

Accept-Encoding decides which one is sent (RFC 9110 §12.5.3). A variant is not sent if the file was changed and the
variant forgotten (``copies.py``); the operator is told once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import msgspec

from httpmini.errors import visible
from httpmini.protocol.message import Headers, members
from httpmini.site.copies import Copies
from httpmini.site.notices import Notices
from httpmini.site.resolve import Directory, Fact, File, Resolver
from httpmini.site.trail import Trail

SUFFIXES = {"br": b".br", "zstd": b".zst", "gzip": b".gz"}
"""The known content codings, with the suffix of a variant's name."""

# RFC 9110 §12.4.2 and §12.5.3:  codings [ OWS ";" OWS "q=" qvalue ]
_MEMBER = re.compile(
    r"(?P<coding>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.ASCII,
)
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


def beside(names: tuple[bytes, ...], coding: str) -> tuple[bytes, ...]:
    """Return the path of the variant of the file at ``names`` in ``coding``."""
    return (*names[:-1], names[-1] + SUFFIXES[coding])


class Variants(msgspec.Struct, frozen=True):
    """Finds variants of the files of a site.

    Attributes:
        resolver: opens them.
        copies: tells those that are current.
        notices: takes what the operator should know.
    """

    resolver: Resolver
    copies: Copies
    notices: Notices

    def find(
        self, names: tuple[bytes, ...], file: File, codings: Sequence[str], trail: Trail | None = None
    ) -> tuple[File, str]:
        """Open the first current variant among ``codings``.

        Args:
            names: the path of the file.
            file: the open file itself.
            codings: acceptable codings, in order of preference.
            trail: hears what was found out.

        Returns:
            The variant and its coding; or ``file`` and an empty coding if there is none. The caller still owns
            ``file``.
        """
        for coding in codings:
            path = beside(names, coding)
            found = self.resolver.resolve(path, trail)
            if isinstance(found, File) and self.copies.is_copy(found, file, coding):
                if trail is not None:
                    trail.note("variant", f"the copy in {coding}, which the client accepts")
                return found, coding
            self._pass_over(path, found, trail)
        if trail is not None:
            trail.note(
                "variant", "the plain file" if codings else "the plain file: the client accepts no coding of ours"
            )
        return file, ""

    def _pass_over(self, names: tuple[bytes, ...], found: File | Directory | Fact, trail: Trail | None) -> None:
        """Close what was found, and tell the operator why it is not sent."""
        if isinstance(found, Fact):
            why = found.value
        else:
            os.close(found.fd)
            why = "a folder" if isinstance(found, Directory) else "older than its file, which was changed since"
        if found is not Fact.MISSING:
            if trail is not None:
                trail.note("variant", f"passed over: {why}")
            path = visible("/" + os.fsdecode(b"/".join(names)))
            self.notices.tell(f"{path} is not sent as a compressed copy: {why}")
