"""Rules for paths: header fields to send, and redirects.

A glob is matched against the decoded path, so all spellings of a path are equal:

    *         any characters within one component, which must not be empty
    ?         one character within a component
    **        between slashes: any number of components; at the end even none, so /a/** is /a, /a/ and everything below
    *.css     a glob without a slash: a name in any folder
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote, quote_from_bytes

import msgspec

from httpmini.errors import ProtocolError
from httpmini.site.target import Path, parse_target

Field = tuple[str, str]

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_MAX_HOPS = 20  # browsers give up after about this many


class Glob:
    """A pattern for paths.

    Args:
        text: the pattern.

    Raises:
        ValueError: the pattern cannot match what it seems to mean. The message says what would be right.
    """

    def __init__(self, text: str) -> None:
        components = text.split("/")
        if not text:
            raise ValueError('is empty; write "/**" for every path')
        if "/" in text and components[0]:
            raise ValueError("must begin with a slash, or contain none")
        if any("**" in component and component != "**" for component in components) or text == "**":
            raise ValueError("** must stand alone between slashes, as in /**")
        if "" in components[1:-1] or "." in components or ".." in components:
            raise ValueError("has a component that no path has: paths are matched without //, . and ..")
        if _ENCODED.search(text) or "\0" in text:
            raise ValueError("is matched against decoded paths; write the characters themselves")
        self._is_name = len(components) == 1
        self._is_open = components[-1] == "**"
        self._components = components if self._is_name else components[1:]

    def match(self, path: str) -> str | None:
        """Return what a ``**`` at the end matches, which may be empty; None if ``path`` does not match.

        The time is at most proportional to the length of the path times that of the pattern. (A regular expression with
        several wildcards may take the cube of the length, and the client chooses the path.)
        """
        components = path.split("/")[1:]
        if self._is_name:
            name = components[-1] or components[-2:][0]
            return "" if _is_like(self._components[0], name) else None
        pattern = self._components[:-1] if self._is_open else self._components
        end = _walk(pattern, components, "**", _is_like, to_end=not self._is_open)
        return None if end is None else "".join("/" + component for component in components[end:])


def _is_like(pattern: str, component: str) -> bool:
    if not component:
        return not pattern
    return _walk(pattern, component, "*", lambda one, other: one in ("?", other), to_end=True) is not None


def _walk(
    pattern: Sequence[str], text: Sequence[str], star: str, equal: Callable[[str, str], bool], *, to_end: bool
) -> int | None:
    """Match ``pattern`` against the beginning of ``text``, or against all of it.

    Each star matches as few items as possible. After a mismatch, only the last star is extended: whatever an earlier
    one could match, the last one can match as well.

    Args:
        pattern: items to match; ``star`` among them stands for any number of items.
        text: the items to look at.
        star: the wildcard.
        equal: compares an item of the pattern with one of the text.
        to_end: whether all of ``text`` must match.

    Returns:
        How many items of ``text`` match, or None if the pattern does not match.
    """
    here = at = 0
    after_star, taken = 0, -1
    while True:
        if here == len(pattern) and (at == len(text) or not to_end):
            return at
        if here < len(pattern) and pattern[here] == star:
            here += 1
            after_star, taken = here, at
        elif here < len(pattern) and at < len(text) and equal(pattern[here], text[at]):
            here, at = here + 1, at + 1
        elif 0 <= taken < len(text):
            taken += 1
            here, at = after_star, taken
        else:
            return None


def spell(names: Iterable[bytes], *, directory: bool = False) -> str | None:
    """Return the path that globs are matched against, or None if it contains a name that no file can have."""
    components = [name.decode("utf-8", "surrogateescape") for name in names]
    if any("/" in component or component in (".", "..") for component in components):
        return None
    return "/" + "/".join(components) + ("/" if directory and components else "")


class FieldRule(msgspec.Struct, frozen=True):
    """Header fields for paths that match a glob.

    Attributes:
        glob: the paths.
        fields: names and values; an empty value removes a field.
    """

    glob: Glob
    fields: tuple[Field, ...]


def fields_for(rules: Iterable[FieldRule], paths: Iterable[str | None]) -> dict[str, Field]:
    """Return the fields of all rules that match one of ``paths``, by lower-case name. The last rule wins."""
    known = [path for path in paths if path is not None]
    return {
        name.lower(): (name, value)
        for rule in rules
        if any(rule.glob.match(path) is not None for path in known)
        for name, value in rule.fields
    }


def with_rules(fields: Iterable[Field], rules: dict[str, Field]) -> tuple[Field, ...]:
    """Return ``fields``, with those in ``rules`` replaced or, if their value is empty, removed.

    Vary is extended, not replaced: it is a list (RFC 9110 §12.5.5).
    """
    merged = {name.lower(): (name, value) for name, value in fields}
    for key, (name, value) in rules.items():
        if key == "vary" and key in merged:
            ours = [member.strip() for member in merged[key][1].split(",")]
            value = ", ".join([*ours, *(more.strip() for more in value.split(",") if more.strip() not in ours)])
        merged[key] = (name, value)
    return tuple(field for field in merged.values() if field[1])


class Redirect(msgspec.Struct, frozen=True):
    """The new location of what has moved.

    Attributes:
        glob: the old paths.
        to: a path or an http(s) URL, percent-encoded; ``**`` at its end stands for what the glob's ``**`` matches.
        status: 301 or 302.
    """

    glob: Glob
    to: str
    status: int

    def location(self, path: Path) -> str | None:
        """Return the Location for ``path``, with its query, or None if the glob does not match.

        What the glob's ``**`` matches is percent-encoded again, so it cannot become another host or another field.
        """
        spelled = spell(path.names, directory=path.is_directory_form)
        rest = None if spelled is None else self.glob.match(spelled)
        if rest is None:
            return None
        query = "" if "?" in self.to else path.query
        to, mark, fragment = self.to.partition("#")
        if to.endswith("/**"):
            to = to.removesuffix("/**") + quote_from_bytes(rest.encode("utf-8", "surrogateescape"), safe="/") or "/"
        return to + query + mark + fragment


def is_loop(redirects: Sequence[Redirect], pattern: str) -> bool:
    """Whether ``redirects`` redirect a path that matches the glob ``pattern`` again and again."""
    sample = pattern.replace("**", "x").replace("*", "x").replace("?", "x")
    location: str | None = sample if sample.startswith("/") else f"/{sample}"
    for _ in range(_MAX_HOPS):
        if location is None or not location.startswith("/"):
            return False
        try:
            path = parse_target(quote(location, safe="%/?"))
        except ProtocolError:
            return False
        location = next(filter(None, (redirect.location(path) for redirect in redirects)), None)
    return True


def encoded(url: str) -> str:
    """Percent-encode what must be encoded in ``url``, for a hint to the operator."""
    return quote(url, safe="%/:?#[]@!$&'()*+,;=-._~")
