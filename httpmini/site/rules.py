"""Rules for paths: header fields to send, and redirects.

A glob is matched against the decoded path, so all spellings of a path are equal:

    *         any characters within one component, which must not be empty
    ?         one character within a component
    **        between slashes: any number of components; at the end even none, so /a/** is /a, /a/ and everything below
    *.css     a glob without a slash: a name in any folder
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_from_bytes

import msgspec

from httpmini.errors import ProtocolError
from httpmini.site.target import MAX_NAMES, Path, parse_target
from httpmini.site.trail import Trail

Field = tuple[str, str]

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_MAX_HOPS = 20  # browsers give up after about this many


class Glob:
    """A pattern for paths.

    Args:
        text: the pattern.

    Attributes:
        text: as given.

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
        self.text = text
        self._is_name = len(components) == 1
        self._needle = max(re.split(r"[*?/]+", text), key=len)
        if self._is_name:
            self._expression = re.compile(_component(text) + r"\Z")
        else:
            is_open = components[-1] == "**"
            walked = components[1 : -1 if is_open else None]
            self._expression = re.compile(_expression(walked, is_open=is_open), re.DOTALL)

    def match(self, path: str) -> str | None:
        """Return what a ``**`` at the end matches, which may be empty; None if ``path`` does not match.

        The time is at most proportional to the length of the path times that of the pattern, and for almost all paths
        that do not match it is that of one search for the longest part of the pattern without wildcards.
        """
        if self._needle not in path:
            return None
        if self._is_name:
            name = path[path.rfind("/", 0, -1) + 1 :].removesuffix("/")
            return "" if self._expression.match(name) else None
        match = self._expression.match(path)
        return None if match is None else path[match.end() :]


# The end of a component.
_END = r"(?=/|\Z)"


def _expression(components: Sequence[str], *, is_open: bool) -> str:
    """Return the regular expression of a glob for whole paths.

    After each ``**``, the first place counts at which the components up to the next one match: whatever a later place
    could match then, that one can match as well. So these are atomic groups, which are never tried again. (An
    expression without them may take the cube of the length of a path, and the client chooses the path.)
    """
    runs: list[str] = [""]
    for component in components:
        if component == "**":
            runs.append("")
        else:
            runs[-1] += f"/(?>{_component(component)}{_END})"
    first, *others = runs
    last = others.pop() if others and not is_open else None
    middle = "".join(f"(?>.*?{run})" for run in others if run)
    end = "" if is_open else r"\Z" if last is None else rf".*?{last}\Z"
    return first + middle + end


def _component(pattern: str) -> str:
    """Return the regular expression of one component, which is not empty unless the pattern is."""
    first, *others = (re.escape(part).replace(r"\?", "[^/]") for part in pattern.split("*"))
    if not others:
        return first
    *middle, last = others
    some = "" if pattern.strip("*") else "(?=[^/])"
    return some + first + "".join(f"(?>[^/]*?{part})" for part in middle if part) + f"[^/]*{last}"


def spell(names: Sequence[bytes], *, directory: bool = False) -> str | None:
    """Return the path that globs are matched against, or None if it is one that no file can have."""
    if len(names) > MAX_NAMES or b"." in names or b".." in names:
        return None
    path = b"/".join(names)
    if path.count(b"/") != max(0, len(names) - 1):  # a name with a slash in it
        return None
    return "/" + path.decode("utf-8", "surrogateescape") + ("/" if directory and names else "")


class FieldRule(msgspec.Struct, frozen=True):
    """Header fields for paths that match a glob.

    Attributes:
        glob: the paths.
        fields: names and values; an empty value removes a field.
        source: the file and the line where it is written; empty if that is not known.
    """

    glob: Glob
    fields: tuple[Field, ...]
    source: str = ""


def fields_for(rules: Iterable[FieldRule], paths: Iterable[str | None], trail: Trail | None = None) -> dict[str, Field]:
    """Return the fields of all rules that match one of ``paths``, by lower-case name. The last rule wins."""
    known = [path for path in paths if path is not None]
    matching = [rule for rule in rules if any(rule.glob.match(path) is not None for path in known)]
    if trail is not None:
        for rule in matching:
            trail.note("rule", f"{rule.glob.text} sets {', '.join(name for name, _ in rule.fields)}", rule.source)
    return {name.lower(): (name, value) for rule in matching for name, value in rule.fields}


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
        source: the file and the line where it is written; empty if that is not known.
    """

    glob: Glob
    to: str
    status: int
    source: str = ""

    def location(self, path: Path, spelled: str) -> str | None:
        """Return the Location for ``path``, with its query, or None if the glob does not match.

        What the glob's ``**`` matches is percent-encoded again, so it cannot become another host or another field.

        Args:
            path: the requested path.
            spelled: the same path as globs are matched against it.
        """
        rest = self.glob.match(spelled)
        if rest is None:
            return None
        query = "" if "?" in self.to else path.query
        to, mark, fragment = self.to.partition("#")
        if to.endswith("/**"):
            to = to.removesuffix("/**") + quote_from_bytes(rest.encode("utf-8", "surrogateescape"), safe="/") or "/"
        return to + query + mark + fragment


def redirect_of(redirects: Sequence[Redirect], path: Path, trail: Trail | None = None) -> tuple[int, str] | None:
    """Return status and Location of the first redirect that matches ``path``; None if none does."""
    spelled = spell(path.names, directory=path.is_directory_form) if redirects else None
    if spelled is None:
        return None
    for redirect in redirects:
        location = redirect.location(path, spelled)
        if location is not None:
            if trail is not None:
                trail.note("redirect", f"{redirect.glob.text} to {redirect.to}", redirect.source)
            return redirect.status, location
    if trail is not None:
        trail.note("redirect", f"none of {len(redirects)} matches")
    return None


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
        found = redirect_of(redirects, path)
        location = found[1] if found else None
    return True


def encoded(url: str) -> str:
    """Percent-encode what must be encoded in ``url``, for a hint to the operator."""
    return quote(url, safe="%/:?#[]@!$&'()*+,;=-._~")
