"""The grammar of a request head: the RFC's rule as a comment, the compiled expression under it.

Leniencies, each on purpose:

- A line may end in a bare LF (RFC 9112 §2.2: a recipient may; RFC 1945 appendix B asks for tolerance). People
  type requests into ``nc``. A bare CR is never a line end.
- A line ``GET target`` without a version is a complete HTTP/0.9 request, and is answered with the file alone (RFC 1945
  §4.1: a server must). nginx and Apache do so, lighttpd and Caddy do not. Other methods without a version are refused.
- One empty line before the request line is skipped (RFC 9112 §2.2: should): old clients send CRLF after a body.
- The words of the request line may be separated by several spaces or tabs (RFC 1945 appendix B).
- A version may have leading zeros and any number of digits (RFC 1945 §3.1): ``HTTP/01.10`` is 1.10.
- Octets above 127 may stand in a target (browsers encode them, scripts do not; they name files here) and in a
  field value (obs-text, RFC 9110 §5.5).

Expressions use ``[0-9]``, never ``\\d``, and are matched against bytes: other alphabets have digits too.
"""

from __future__ import annotations

import re
from functools import lru_cache

# A head ends with an empty line: LF [CR] LF, because a bare LF is a line end as well.
HEAD_END = re.compile(rb"\n\r?\n")

# RFC 9112 §2.2: at least one empty line received before the request line should be ignored.
EMPTY_LINE = re.compile(rb"\r?\n")

# The first octet of a request line, a token's character, or the CR or LF of an empty line. Anything else is not HTTP:
# a TLS hello begins with 0x16, an SMB or SOCKS greeting with other control characters.
FIRST_OCTET = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z\r\n]")

# RFC 9110 §5.6.2:  token = 1*tchar
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC 9112 §3:  request-line = method SP request-target SP HTTP-version
# RFC 1945 §5:  Simple-Request = "GET" SP Request-URI CRLF
REQUEST_LINE = re.compile(
    rb"(?P<method>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]+(?P<target>[^ \t]+)(?:[ \t]+(?P<version>[^ \t]+))?[ \t]*"
)

# RFC 9112 §2.3:  HTTP-version = HTTP-name "/" DIGIT "." DIGIT
# RFC 1945 §3.1:  HTTP-Version = "HTTP" "/" 1*DIGIT "." 1*DIGIT
# Leading zeros are stripped by hand: an expression that may take a zero in two ways tries them all.
VERSION = re.compile(rb"HTTP/(?P<major>[0-9]+)\.(?P<minor>[0-9]+)")

# RFC 9112 §3.2: neither space nor control characters; a fragment is never sent (RFC 9110 §7.1).
BAD_TARGET_OCTET = re.compile(rb"[\x00-\x20\x7f#]")

# RFC 9112 §5:  field-line = field-name ":" OWS field-value OWS
# Taken apart by hand (partition, strip): an expression with a lazy value before trailing OWS would try every
# run of blanks twice, and a field of 16,000 blanks would cost a second.

# RFC 9110 §5.5: CR, LF and NUL are dangerous, the other controls invalid; HTAB and obs-text are fine.
BAD_VALUE_OCTET = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# RFC 9112 §3.2:  Host = uri-host [ ":" port ]; an IP literal, or a name of unreserved, sub-delims and percent-encodings
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.v]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?", re.ASCII)

# RFC 9110 §8.6:  Content-Length = 1*DIGIT
CONTENT_LENGTH = re.compile(r"[0-9]+", re.ASCII)

# RFC 9112 §4:  status-line = HTTP-version SP status-code SP [ reason-phrase ]; the last SP is often left out.
STATUS_LINE = re.compile(rb"HTTP/(?P<major>[0-9])\.(?P<minor>[0-9]) (?P<status>[1-9][0-9]{2})(?: (?P<reason>.*))?")

# RFC 9113 §3.4: the first line of the HTTP/2 connection preface.
HTTP2_PREFACE_LINE = b"PRI * HTTP/2.0"

# The names of all lines of a head at once, each line ended by LF; the values are not checked. The possessive
# quantifiers forbid a second try, so the time grows with the length only.
_FIELD_LINES = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\n]*+\n)*+")

# What BAD_VALUE_OCTET finds, without CR and LF, which end lines; for bytes.translate, which is five times as fast.
_BAD_HEAD_OCTETS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])


def is_plain(block: bytes, most: int) -> bool:
    """Whether ``block`` is at most ``most`` field lines, with nothing wrong in any of them, and none folded.

    Almost every head is plain, and four checks of the whole cost a fifth of two checks of each line.
    """
    return (
        _FIELD_LINES.fullmatch(block) is not None
        and len(block.translate(None, _BAD_HEAD_OCTETS)) == len(block)
        and block.count(b"\r") == block.count(b"\r\n")
        and block.count(b"\n") <= most
    )


_TCHAR = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"


@lru_cache(maxsize=8)
def plain_head(fields: int) -> re.Pattern[str]:
    """Return the expression for a whole head as nearly all clients send it, with at most so many fields.

    It captures what a cached response depends on and what the access log quotes; these values need no quoting, have no
    blank at the end, and hold no "@", which could mean a password in a URL. The names of all other lines do not matter.
    ``(?(4)(?!))`` forbids a second line of one that is captured. Each way to read a line says first which letters the
    line may begin with, so that most of them are ruled out by one octet; the first is for half of what a browser sends.
    """
    return re.compile(
        rf"""
        (?P<line>
            (?P<resource> [A-Z]{{1,16}} [ ] /[!$->A-\[\]-~]{{0,1000}}+ ) (?: \?[!$-\[\]-~]{{0,900}}+ )? [ ]
            HTTP/1\.(?P<minor> [01] )
        ) \r\n
        (?:
            [ABD-GJ-QSV-Zabd-gj-qsv-z]{_TCHAR}*+:[\t -~\x80-\xff]*+ \r\n
          | [Hh][Oo][Ss][Tt]: (?(4)(?!)) [\t ]*+
            (?P<host> (?: [A-Za-z0-9._-]++ | \[[0-9A-Fa-f:.]++\] ) (?: :[0-9]*+ )? ) [\t ]*+ \r\n
          | [Cc](?ai: onnection ): (?(5)(?!)) [\t ]*+ (?P<connection> [A-Za-z0-9, -]*+ ) (?<![ ]) \r\n
          | [Rr](?ai: eferer ): (?(6)(?!)) [\t ]*+    (?P<referer>    [ !#-?A-\[\]-~]{{0,700}}+ ) (?<![ ]) \r\n
          | [Uu](?ai: ser-Agent ): (?(7)(?!)) [\t ]*+ (?P<user_agent> [ !#-?A-\[\]-~]{{0,700}}+ ) (?<![ ]) \r\n
          | (?! (?ai: Host: | Connection: | Referer: | User-Agent: | Content-Length: | Transfer- | If- | Range: ) )
            {_TCHAR}++:[\t -~\x80-\xff]*+ \r\n
        ){{0,{fields}}}+
        (?(4)|(?!)) \r\n
        """,
        re.VERBOSE,
    )
