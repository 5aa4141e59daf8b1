"""[[rules]], [[redirects]] and [[realms]]: what is accepted, and the messages for what is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from httpmini import config
from httpmini.config.schema import LISTS
from httpmini.errors import ConfigError
from httpmini.site.users import set_password
from tests.support.small_site import write_tree

RULE = '[[rules]]\npath = "/a/**"\nfields = { X = "y" }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a site in www, a file of users next to it and one inside it."""
    write_tree(
        tmp_path / "www", {"404.html": b"x", "sub/x": b"", "p/x": b"", "P/x": b"", "private/x": b"", "sp ace/x": b""}
    )
    set_password(str(tmp_path / "users"), "ada", "x", 4)
    set_password(str(tmp_path / "www" / "users"), "ada", "x", 4)
    set_password(str(tmp_path / "www" / ".users"), "ada", "x", 4)
    (tmp_path / "www" / ".well-known").mkdir()
    set_password(str(tmp_path / "www" / ".well-known" / "users"), "ada", "x", 4)
    (tmp_path / "bad-users").write_text("ada:{SHA}x\nbob\n")
    return tmp_path


def load(folder: Path, toml: str) -> config.Config:
    (folder / "x.toml").write_text(toml, "utf-8")
    return config.load(str(folder / "x.toml"), config.Flags(root=str(folder / "www")))


def problems(folder: Path, toml: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, toml)
    return [str(problem).removeprefix(f"{folder}/x.toml: ") for problem in caught.value.problems]


def test_none_by_default() -> None:
    settings = config.load()
    assert (settings.rules, settings.redirects, settings.realms) == ((), (), ())


def test_all_three(folder: Path) -> None:
    toml = RULE + '[[redirects]]\npath = "/o"\nto = "/n"\n[[realms]]\npath = "/p/"\nusers = "users"\n' + RULE
    settings = load(folder, toml)
    assert [(rule.path, rule.fields) for rule in settings.rules] == [("/a/**", {"X": "y"})] * 2
    assert [(row.path, row.to, row.permanent) for row in settings.redirects] == [("/o", "/n", True)]
    assert [(row.path, row.name, row.users) for row in settings.realms] == [("/p/", "httpmini", str(folder / "users"))]
    shown = config.show(settings)
    assert load(folder, shown).realms == settings.realms
    assert shown.count("[[rules]]  # ") == 2


def test_the_examples_of_the_annotated_file_can_be_used(folder: Path) -> None:
    text = config.annotated({"site.root": "www"})
    examples = text[text.index("# [[rules]]") :]
    lines = [line.removeprefix("# ") for line in examples.split("\n") if re.match(r"# (\[\[|\w+ = )", line)]
    set_password(str(folder / "users.htpasswd"), "ada", "x", 4)
    settings = load(folder, "\n".join(lines))
    assert [len(getattr(settings, name)) for name in LISTS] == [1, 1, 1]


RULES = [
    ("rules = 5", ["rules: must be written [[rules]], once for each"]),
    ("[rules]\npath = '/'", ["rules: must be written [[rules]], once for each"]),
    ("rules = [1]", ["rules: must be written [[rules]], once for each"]),
    (
        "[[rule]]\npath = '/'",
        ['rule = [{path = "/"}]: unknown; did you mean rules?'],
    ),
    (
        "[[rules]]",
        [
            '[[rules]] no. 1: path: is missing: a string, such as "/assets/**"',
            "[[rules]] no. 1: fields: is missing: a table of strings, such as "
            '{Cache-Control = "max-age=31536000, immutable"}',
        ],
    ),
    (
        RULE + "[[rules]]\npath = 5\nfields = { X = 1 }\nfield = 1",
        [
            "[[rules]] no. 2: path = 5: must be a string",
            "[[rules]] no. 2: fields = {X = 1}: must be a table of strings",
            "[[rules]] no. 2: field = 1: unknown; did you mean rules.fields?",
        ],
    ),
    (
        '[[rules]]\npath = "a/b"\nfields = {}',
        ['[[rules]] no. 1: path = "a/b": must begin with a slash, or contain none'],
    ),
    (
        '[[rules]]\npath = "/"\nfields = { "X" = "a\\r\\nSet-Cookie: b" }',
        [
            r'[[rules]] no. 1: fields = {X = "a\r\nSet-Cookie: b"}: a field value is one line, without control '
            "characters".replace("\\'", "'")
        ],
    ),
    (
        '[[rules]]\npath = "/"\nfields = { "X" = "a\\u0000" }',
        [r"""[[rules]] no. 1: fields = {X = "a\u0000"}: must be a table of strings, without NUL characters"""],
    ),
    (
        '[[rules]]\npath = "/"\nfields = { "X Y" = "a" }',
        [
            '[[rules]] no. 1: fields = {"X Y" = "a"}: a field name has letters, digits and hyphens, no spaces and '
            "no colon"
        ],
    ),
    (
        '[[rules]]\npath = "/"\nfields = { "X" = "\\u4e2d" }',
        ['[[rules]] no. 1: fields = {X = "\u4e2d"}: a field value has characters of ISO-8859-1 only'],
    ),
    (
        '[[rules]]\npath = "/"\nfields = { Vary = "" }',
        ['[[rules]] no. 1: fields = {Vary = ""}: Vary can be extended, but not removed: caches would mix up variants'],
    ),
    *(
        (
            f'[[rules]]\npath = "/"\nfields = {{ Content-Type = "{value}" }}',
            [
                f'[[rules]] no. 1: fields = {{Content-Type = "{value}"}}: must be a media type such as '
                '"text/plain; charset=utf-8"'
            ],
        )
        for value in ("", "foo")
    ),
    (
        '[[rules]]\npath = 5\nfields = {}\n[[rules]]\npath = "a/b"\nfields = {}',
        [
            "[[rules]] no. 1: path = 5: must be a string",
            '[[rules]] no. 2: path = "a/b": must begin with a slash, or contain none',
        ],
    ),
    (
        '[[rules]]\npath = "/a%20b"\nfields = {}',
        ['[[rules]] no. 1: path = "/a%20b": is matched against decoded paths; write the characters themselves'],
    ),
    *(
        (
            f'[[rules]]\npath = "/"\nfields = {{ Content-Encoding = "{coding}" }}',
            [
                f'[[rules]] no. 1: fields = {{Content-Encoding = "{coding}"}}: says how the files are stored: one of '
                "br, compress, deflate, gzip, zstd"
            ],
        )
        for coding in ("identity", "gzip, br", "GZIP")
    ),
    *(
        (
            f'[[rules]]\npath = "/"\nfields = {{ {name} = "a" }}',
            [f'[[rules]] no. 1: fields = {{{name} = "a"}}: {name} is set by the server itself'],
        )
        for name in ("Content-Length", "transfer-encoding", "CONNECTION", "Date", "ETag", "Location", "Server")
    ),
]
REDIRECTS = [
    (
        '[[redirects]]\npath = "/a"\nto = "new"',
        ['[[redirects]] no. 1: to = "new": must be a path or a URL, such as "/new/" or "https://example.org/"'],
    ),
    *(
        (
            f'[[redirects]]\npath = "/a"\nto = {config.toml(to)}',
            [
                f'[[redirects]] no. 1: to = {config.toml(to)}: must be a path or a URL, such as "/new/" or '
                '"https://example.org/"'
            ],
        )
        for to in (
            "",
            "//evil.example/",
            "/\\evil.example",
            "ftp://h/",
            "javascript:x",
            "http://",
            "http:///x",
            "http://h:99999/",
            "http://u:p@h/",
            "http://m\u00fcnchen.de/",
            "http://[/",
        )
    ),
    (
        '[[redirects]]\npath = "/a"\nto = "/n\u00fc w"',
        ['[[redirects]] no. 1: to = "/n\u00fc w": must be percent-encoded, such as "/n%C3%BC%20w"'],
    ),
    (
        '[[redirects]]\npath = "/a"\nto = "/b\\r\\nX: y"',
        ['[[redirects]] no. 1: to = "/b\\r\\nX: y": must be percent-encoded, such as "/b%0D%0AX:%20y"'],
    ),
    (
        '[[redirects]]\npath = "/a/*"\nto = "/b/*"',
        ['[[redirects]] no. 1: to = "/b/*": has a * other than the ** at the end of its path'],
    ),
    (
        '[[redirects]]\npath = "/a/*"\nto = "/b/**"',
        ['[[redirects]] no. 1: to = "/b/**": ends with /**, but path = "/a/*" does not, or a query comes before it'],
    ),
    (
        '[[redirects]]\npath = "/a/**"\nto = "/a/b/**"',
        ['[[redirects]] no. 1: to: leads into a loop: path = "/a/**" is redirected again and again'],
    ),
    (
        '[[redirects]]\npath = "/**"\nto = "/%61"',
        ['[[redirects]] no. 1: to: leads into a loop: path = "/**" is redirected again and again'],
    ),
]
CIRCLE = "[[redirects]]\npath = '/a/**'\nto = '/b/**'\n[[redirects]]\npath = '/b/**'\nto = '/a/**'"
REDIRECTS += [
    (
        CIRCLE,
        [
            '[[redirects]] no. 1: to: leads into a loop: path = "/a/**" is redirected again and again',
            '[[redirects]] no. 2: to: leads into a loop: path = "/b/**" is redirected again and again',
        ],
    ),
    *(
        (
            f'[[redirects]]\npath = "/a"\nto = "{to}"',
            [f'[[redirects]] no. 1: to = "{to}": must be percent-encoded, such as "{right}"'],
        )
        for to, right in (("/%zz", "/%25zz"), ("/x%", "/x%25"))
    ),
]
SERVED = "is inside the served folder, where everybody can read it; move it elsewhere"
REALMS = [
    (
        '[[realms]]\npath = "/sp%20ace/"\nusers = "users"',
        [
            '[[realms]] no. 1: path = "/sp%20ace/": is not a folder (ROOT/sp%20ace/); write its name as on disk, '
            "without percent-encoding"
        ],
    ),
    (
        '[[realms]]\npath = "/404.html"\nusers = "users"',
        [
            '[[realms]] no. 1: path = "/404.html": is not a folder (ROOT/404.html); write its name as on disk, '
            "without percent-encoding"
        ],
    ),
    (
        '[[realms]]\npath = "/p"\nusers = "www/.well-known/users"',
        [f'[[realms]] no. 1: users = "www/.well-known/users": {SERVED}'],
    ),
    (
        '[[realms]]\npath = "/p"\nusers = "users"\n[[realms]]\npath = "/P/"\nusers = "users"',
        ['[[realms]] no. 2: path = "/P/": is listed twice: realms are compared without regard to case'],
    ),
    (
        '[[realms]]\npath = "private"\nusers = "users"',
        ['[[realms]] no. 1: path = "private": must be the path of a folder, decoded, such as "/private/"'],
    ),
    (
        '[[realms]]\npath = "/a/../b"\nusers = "users"',
        ['[[realms]] no. 1: path = "/a/../b": must be the path of a folder, decoded, such as "/private/"'],
    ),
    (
        '[[realms]]\npath = "/private/**"\nusers = "users"',
        ['[[realms]] no. 1: path = "/private/**": must not be a glob: a realm is a folder and everything below it'],
    ),
    (
        '[[realms]]\npath = "/p/"\nname = "\u00fc"\nusers = "users"',
        ['[[realms]] no. 1: name = "\u00fc": must be printable ASCII: it is sent in a header field'],
    ),
    (
        '[[realms]]\npath = "/p/"\nusers = "nowhere"',
        [
            '[[realms]] no. 1: users = "nowhere": cannot be read: No such file or directory; make it with: '
            "httpmini htpasswd nowhere NAME"
        ],
    ),
    (
        '[[realms]]\npath = "/p/"\nusers = "a\\u0000"',
        ['[[realms]] no. 1: users = "a\\u0000": must be a string, without NUL characters'],
    ),
    (
        '[[realms]]\npath = "/p/"\nusers = "bad-users"',
        [
            '[[realms]] no. 1: users = "bad-users": line 1 has no bcrypt hash after the colon; make one with '
            "`httpmini htpasswd` or `htpasswd -B`",
            '[[realms]] no. 1: users = "bad-users": line 2 must be a name, a colon and a bcrypt hash, '
            "without spaces or a byte order mark",
        ],
    ),
    ('[[realms]]\npath = "/p/"\nusers = "www/users"', [f'[[realms]] no. 1: users = "www/users": {SERVED}']),
    (
        '[site]\nhidden = true\n[[realms]]\npath = "/p/"\nusers = "www/.users"',
        [f'[[realms]] no. 1: users = "www/.users": {SERVED}'],
    ),
]
PRODUCT = 'must be products such as "httpmini" or "httpmini/1.0", separated by single spaces'
SITE = [
    (
        '[site]\nprecompressed = ["gz"]',
        ['site.precompressed = ["gz"]: must be a list in brackets, of "br", "gzip", "zstd"'],
    ),
    (
        '[site]\nerror_pages = { 404 = "/x.html" }',
        ['site.error_pages = {404 = "/x.html"}: is not a file that can be sent (ROOT/x.html)'],
    ),
    (
        '[site]\nerror_pages = { 404 = "404.html" }',
        ['site.error_pages = {404 = "404.html"}: must be a path below the root, such as "/404.html"'],
    ),
    *(
        (
            f'[site]\nerror_pages = {{ {status} = "/404.html" }}',
            [
                f'site.error_pages = {{{status} = "/404.html"}}: must be for a status that this server sends, such as '
                '"404", or "4xx"'
            ],
        )
        for status in ("200", "499", "3xx", "abc", "\u0664\u0660\u0664".join('""'))
    ),
    (
        '[server]\nproduct = "a  b"',
        [f'server.product = "a  b": {PRODUCT}'],
    ),
    (
        '[server]\nproduct = "a\\r\\nX: b"',
        [f'server.product = "a\\r\\nX: b": {PRODUCT}'],
    ),
]


@pytest.mark.parametrize(("toml", "expected"), [*RULES, *REDIRECTS, *REALMS, *SITE], ids=lambda value: str(value)[:60])
def test_what_is_wrong(folder: Path, toml: str, expected: list[str]) -> None:
    assert problems(folder, toml) == [text.replace("ROOT", str(folder / "www")) for text in expected]


@pytest.mark.parametrize(
    "toml",
    [
        '[[realms]]\npath = "/"\nusers = "users"',
        '[[realms]]\npath = "/sub"\nname = "a \\"b\\""\nusers = "www/.users"',
        '[[redirects]]\npath = "/a/**"\nto = "https://example.org:8443/a?x=y"',
        '[[redirects]]\npath = "/a/*/**"\nto = "/a/**"',
        '[[redirects]]\npath = "/a"\nto = "/b#c"',
        '[[redirects]]\npath = "/a/**"\nto = "/b/**"',
        '[[rules]]\npath = "*"\nfields = { Strict-Transport-Security = "max-age=1", "X" = "\u00e9" }',
        '[site]\nerror_pages = { 404 = "/404.html", "5xx" = "/404.html" }\nprecompressed = ["gzip"]',
        '[server]\nproduct = ""',
        '[server]\nproduct = "a/1 b"',
    ],
)
def test_what_is_right(folder: Path, toml: str) -> None:
    load(folder, toml)
