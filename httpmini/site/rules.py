"""What the config says about paths: fields to send with them, and redirections.

A glob is matched against the decoded path, the same for every spelling of it:

    *         anything within one component
    ?         one character of it
    **        between slashes: any number of components; at the end also none, so that /a/** is /a, /a/ and all below
    *.css     without any slash: a name, wherever it is
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from httpmini.site.target import Path

Field = tuple[str, str]

_REST = "rest"
_WILD = {"*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class Glob:
    """A pattern for paths.

    Raises:
        ValueError: it can match nothing that was meant; says what would be right.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError('is empty; write "/**" for every path')
        if "/" in self.text and not self.text.startswith("/"):
            raise ValueError("must begin with a slash, or have none at all")
        components = self.text.split("/")
        if any("**" in component and component != "**" for component in components):
            raise ValueError("** must stand alone between slashes")
        if "" in components[1:-1] or "." in components or ".." in components:
            raise ValueError("has a component that no path has: paths are matched without //, . and ..")
        object.__setattr__(self, "_expression", _compile(self.text))

    def match(self, path: str) -> str | None:
        """None when ``path`` does not match; else what a ``**`` at the end stands for, which may be nothing."""
        expression: re.Pattern[str] = self.__dict__["_expression"]
        match = expression.fullmatch(path)
        return None if match is None else match.groupdict().get(_REST, "")


def _compile(text: str) -> re.Pattern[str]:
    first, *components = text.split("/") if "/" in text else ("", "**", text)
    parts = [first]
    for number, component in enumerate(components, 1):
        if component == "**":
            parts.append(f"(?P<{_REST}>(?:/[^/]*)*)" if number == len(components) else "(?:/[^/]+)*")
        else:
            parts.append("/" + "".join(_WILD.get(character, re.escape(character)) for character in component))
    return re.compile("".join(parts), re.DOTALL)


def spell(names: Iterable[bytes], *, directory: bool = False) -> str | None:
    """The path that globs are matched against; None when a name has a slash in it, as no file's has."""
    components = [name.decode("utf-8", "surrogateescape") for name in names]
    if any("/" in component for component in components):
        return None
    return "/" + "/".join(components) + ("/" if directory and components else "")


@dataclass(frozen=True)
class FieldRule:
    """Fields to send with what a glob matches."""

    glob: Glob
    fields: tuple[Field, ...]


def fields_for(rules: Iterable[FieldRule], paths: Iterable[str | None]) -> dict[str, Field]:
    """The fields of all rules that match one of ``paths``, by lower-case name; the later rule wins."""
    known = [path for path in paths if path is not None]
    return {
        name.lower(): (name, value)
        for rule in rules
        if any(rule.glob.match(path) is not None for path in known)
        for name, value in rule.fields
    }


def overlay(fields: Iterable[Field], over: dict[str, Field]) -> tuple[Field, ...]:
    """``fields`` with those of the rules in their place; an empty value takes a field away.

    Vary is a list to which both may add (RFC 9110 §12.5.5).
    """
    ours = {name.lower(): (name, value) for name, value in fields}
    for key, (name, value) in over.items():
        if key == "vary" and value and key in ours:
            value = f"{ours[key][1]}, {value}"
        ours[key] = (name, value)
    return tuple(field for field in ours.values() if field[1])


@dataclass(frozen=True)
class Redirect:
    """Where to ask instead.

    Attributes:
        glob: which paths.
        to: a path or an http(s) URL, percent-encoded; ``**`` at its end is what the glob's own stands for.
        status: 301 or 302.
    """

    glob: Glob
    to: str
    status: int

    def location(self, path: Path) -> str | None:
        """The Location for ``path``, with its query; None when this redirect is not about it.

        What is carried over is encoded anew, name by name, so that nothing in it can become another host or a field.
        """
        spelled = spell(path.names, directory=path.is_directory_form)
        rest = None if spelled is None else self.glob.match(spelled)
        if rest is None:
            return None
        query = "" if "?" in self.to else path.query
        if not self.to.endswith("/**"):
            return self.to + query
        carried = quote_from_bytes(rest.encode("utf-8", "surrogateescape"), safe="/")
        return (self.to.removesuffix("/**") + carried or "/") + query

    @property
    def leads_to_itself(self) -> bool:
        """Whether a client would be sent in a circle."""
        if not self.to.startswith("/"):
            return False
        there = unquote_to_bytes(self.to.partition("?")[0].replace("**", "x")).decode("utf-8", "surrogateescape")
        return self.glob.match(there) is not None


def encoded(url: str) -> str:
    """``url`` with everything percent-encoded that must be, for a hint."""
    return quote(url, safe="%/:?#[]@!$&'()*+,;=-._~")
