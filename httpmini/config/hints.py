"""What to say about a wrong setting: what its value must be, and which setting or choice was probably meant."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from msgspec import inspect

from httpmini.config.rows import rows, rows_of
from httpmini.config.schema import LISTS, RENAMED, SECTIONS


def expected(declared: Any) -> str:
    """Describe the values that the type ``declared`` allows, such as "a whole number from 1 to 256"."""
    kind = inspect.type_info(declared)
    unit = ""
    if isinstance(kind, inspect.Metadata):
        unit = (kind.extra or {}).get("unit", "")
        kind = kind.type
    match kind:
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in declared_choices(declared))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number from {kind.ge} to {kind.le}"
        case inspect.FloatType():
            return f"a number{unit and f' of {unit}'} from {kind.ge} to {kind.le}"
        case inspect.ListType(item_type=inspect.LiteralType(values=values)):
            return "a list in brackets, of " + ", ".join(f'"{value}"' for value in sorted(map(str, values)))
        case inspect.ListType():
            return "a list of strings in brackets" + (", with at least one in it" if kind.min_length else "")
        case inspect.DictType():
            return "a table of strings"
        case _:
            return "a string"


def declared_choices(declared: Any) -> list[str]:
    """Return the values of a Literal in order of declaration; an empty list for any other type."""
    inner = declared.__origin__  # of the Annotated
    return [str(value) for value in get_args(inner)] if get_origin(inner) is Literal else []


def guess(declared: Any, value: object) -> str:
    """Return a hint at the choice that was probably meant, or an empty string."""
    near = nearest(value.lower(), declared_choices(declared)) if isinstance(value, str) else ""
    return f'; did you mean "{near}"?' if near else ""


def nearest_section(section: str) -> str:
    """Return a hint at the table that was probably meant, or a list of all tables."""
    known = [*SECTIONS, *LISTS]
    near = nearest(section, known)
    return f"did you mean {near}?" if near else f"the known names are: {', '.join(known)}"


def nearest_setting(section: str, name: str) -> str:
    """Return a hint at the setting that was probably meant, or a list of those in ``section``.

    A setting of exactly this name in another table comes first, then one of a similar name in this table. A renamed
    setting is found by its old name too, and suggested by its new one.
    """
    here = {row.name: row.key for row in rows_of(section)}
    everywhere = {row.name: row.key for row in reversed(rows())} | {_name(old): new for old, new in RENAMED.items()}
    if section in SECTIONS and name in everywhere:
        return f"did you mean {everywhere[name]}?"
    similar = here | {_name(old): new for old, new in RENAMED.items() if old.startswith(f"{section}.")}
    near = nearest(name, [*similar])
    return f"did you mean {similar[near]}?" if near else f"the known names are: {', '.join(here)}"


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def nearest(text: str, known: list[str]) -> str:
    """Return the one of ``known`` that is most like ``text``, or an empty string: rather one that begins with it."""
    longer = [word for word in known if text and word.startswith(text)]
    if len(longer) == 1:
        return longer[0]
    import difflib  # only for wrong files: others need not wait for it

    return next(iter(difflib.get_close_matches(text, known, n=1)), "")
