"""Names that some file system may take for the same.

Several fold case (casefolded ext4, HFS+, NTFS); casefolded ext4 and HFS+ also drop code points that are not seen, so
that "pri[U+00AD]vate" leads to "private" there. Names that are protected are compared as loosely as the loosest of them
does: where nothing is folded, a password is asked for without need, or a name counts as hidden that nobody would miss.
"""

from __future__ import annotations

import re
from functools import cache

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt).
_IGNORED = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_MAX_NAME_BYTES = 765  # HFS+ and NTFS: 255 units of UTF-16; most others take 255 bytes
# A short name that DOS, NTFS or Samba has made of a longer one, such as GIT~1 of .git.
_SHORT = re.compile(rb"~[0-9A-Za-z]")


@cache  # with the first name that is not ASCII: a start need not wait for it
def _ignored() -> re.Pattern[str]:
    return re.compile(_IGNORED)


def fold(name: bytes) -> str:
    """Return a form of ``name`` that is equal for all names that may lead to the same file.

    Longer names than any file system has lead to no file, and stay as they are: to put a thousand combining characters
    in order takes milliseconds, and four times as long for twice as many.
    """
    from unicodedata import normalize  # only realms need it, and most sites have none

    text = name.decode("utf-8", "surrogateescape")
    if len(name) > _MAX_NAME_BYTES:
        return text
    seen = _ignored().sub("", text)
    return normalize("NFC", normalize("NFD", seen).casefold())


def begins_with_dot(name: bytes) -> bool:
    """Whether the first character that is seen is a dot."""
    if name.startswith(b"."):
        return True
    return not name.isascii() and _ignored().sub("", name.decode("utf-8", "surrogateescape")).startswith(".")


def may_be_short(name: bytes) -> bool:
    """Whether ``name`` looks like the second name of a file."""
    return _SHORT.search(name) is not None
