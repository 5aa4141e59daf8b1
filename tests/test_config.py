"""Settings: which values are accepted, which are refused with which message, and which source takes precedence."""

from __future__ import annotations

import os
import threading
import time
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from httpmini import config
from httpmini.config import Config, Flags, Row
from httpmini.config.loader import MAX_FILE_BYTES
from httpmini.config.schema import RENAMED
from httpmini.errors import ConfigError, Problem
from httpmini.server.modes import MODES

CONF = Path(__file__).parent.parent / "conf"
ROWS = {row.key: row for row in config.rows()}

NOTHING_SET = """\
[site]
root = "www"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ``www`` in it. The current directory is another one next to it, which has a ``www`` too."""
    for name in ("here/www/deeper", "elsewhere/www"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "here/file").write_text("")
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "here"


def write(folder: Path, text: str, name: str = "site.toml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def effective(settings: Config) -> dict[str, Any]:
    return {key: getattr(getattr(settings, row.section), row.name) for key, row in ROWS.items()}


def problems(file: str | None = None, flags: Flags | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        config.load(file, flags)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return caught.value.problems


# The table of settings.

PROMISED = {
    "server": "mode listen max_clients overflow backlog allow deny",
    "site": "root index listing hidden symlinks default_charset media_types",
    "limits": "head_bytes target_bytes fields head_s idle_s send_stall_s",
    "log": "access",
}


def test_the_promised_settings_are_there() -> None:
    wanted = {f"{section}.{name}" for section, names in PROMISED.items() for name in names.split()}
    assert wanted <= set(ROWS)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_setting_has_help_and_a_default_of_its_own_type(row: Row) -> None:
    assert row.help.strip()
    assert row.help.rstrip().endswith(".")
    taken = msgspec.convert(row.default, row.type, strict=True)
    assert taken == row.default
    assert type(taken) is type(row.default)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("server.mode", "select"),
        ("server.listen", ["127.0.0.1:8080"]),
        ("server.overflow", "queue"),
        ("server.allow", []),
        ("server.deny", []),
        ("site.index", ["index.html", "index.htm"]),
        ("site.listing", True),
        ("site.hidden", False),
        ("site.symlinks", "inside"),
        ("site.default_charset", "utf-8"),
        ("site.media_types", {}),
        ("log.access", "stdout"),
    ],
)
def test_defaults(key: str, value: object) -> None:
    settings = config.load()
    assert effective(settings)[key] == value
    assert settings.origins[key] == "default"


def test_the_default_root_is_the_present_directory() -> None:
    assert config.load().site.root == os.getcwd()


def test_every_setting_has_an_origin() -> None:
    assert config.load().origins == dict.fromkeys(ROWS, "default") | {"site.archives": "no config file"}


def test_the_modes_are_those_that_there_are() -> None:
    choices = config.declared_choices(ROWS["server.mode"].type)
    assert choices == list(MODES)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_only_a_literal_has_choices(row: Row) -> None:
    plain = get_args(row.type)[0]
    is_literal = get_origin(plain) is Literal
    assert config.declared_choices(row.type) == (list(get_args(plain)) if is_literal else [])


# The files in conf/.


def test_the_annotated_file_is_the_table() -> None:
    assert (CONF / "httpmini.toml").read_text("utf-8") == config.annotated({"site.root": "../www"})


@pytest.mark.parametrize("name", sorted(path.name for path in CONF.glob("*.toml")))
def test_the_files_of_conf_can_be_used(name: str) -> None:
    settings = config.load(str(CONF / name))
    assert settings.site.root == str(CONF.parent / "www")
    if name != "httpmini.toml":
        assert f"{settings.server.mode}.toml" == name
    else:
        assert effective(settings) == effective(config.load()) | {
            "site.root": settings.site.root,
            "site.archives": False,
        }


def test_there_is_a_file_for_each_mode() -> None:
    assert {path.stem for path in CONF.glob("*.toml")} == {"httpmini", *MODES}


def test_the_annotated_file_says_every_setting_and_loads(folder: Path) -> None:
    text = config.annotated({"site.root": "www"})
    tables = tomllib.loads(text)
    assert [f"{section}.{name}" for section, table in tables.items() for name in table] == list(ROWS)
    file = write(folder, text)
    settings = config.load(file)
    assert effective(settings) == effective(config.load()) | {"site.root": str(folder / "www"), "site.archives": False}
    assert settings.origins == dict.fromkeys(ROWS, file)


# Files that are refused. In the fragments, {folder} stands for the file's folder.

ONE_PROBLEM: dict[str, tuple[str, str, str, str]] = {
    "unknown section": ("[sever]\nx = 1", "sever", "", "unknown; did you mean server?"),
    "unknown section far from all": ("[zzz]", "zzz", "", "the known names are: server, site, limits, log"),
    "unknown top-level key": ("zzz = 1", "zzz", "1", "the known names are: server, site, limits, log"),
    "section that is no table": ("server = 'select'", "server", '"select"', "must be a table: [server]"),
    "section that is a list of tables": ("[[limits]]", "limits", "[{}]", "must be a table: [limits]"),
    "misspelt mode": ('[server]\nmod = "select"', "server.mod", '"select"', "did you mean server.mode?"),
    "misspelt max_clients": ("[server]\nmax_client = 1", "server.max_client", "1", "did you mean server.max_clients?"),
    "misspelt root": ('[site]\nrooot = "x"', "site.rooot", '"x"', "did you mean site.root?"),
    "misspelt head_s": ("[limits]\nhead_secs = 1.5", "limits.head_secs", "1.5", "did you mean limits.head_s?"),
    "misspelt access": ('[log]\nacces = "off"', "log.acces", '"off"', "did you mean log.access?"),
    "wrong section": ("[site]\nmax_clients = 5", "site.max_clients", "5", "did you mean server.max_clients?"),
    "upper case": ('[server]\nMODE = "select"', "server.MODE", '"select"', "unknown; "),
    "dashes": ("[server]\nmax-clients = 5", "server.max-clients", "5", "did you mean server.max_clients?"),
    "quoted key with a dot": ('"server.mode" = "select"', "server.mode", '"select"', "did you mean server"),
    "dotted nonsense": ('"zzz.yyy" = 1', "zzz.yyy", "1", "the known names are: server"),
    "a subtable": ("[server.mode]\nname = 'select'", "server.mode", '{name = "select"}', 'one of "iterative"'),
    # Types.
    "mode: number": ("[server]\nmode = 1", "server.mode", "1", '"iterative", "forking", "threading", "select"'),
    "mode: misspelt": ('[server]\nmode = "forkin"', "server.mode", '"forkin"', 'did you mean "forking"?'),
    "mode: case": ('[server]\nmode = "Select"', "server.mode", '"Select"', 'did you mean "select"?'),
    "mode: blank": ('[server]\nmode = ""', "server.mode", '""', 'must be one of "iterative"'),
    "overflow": ('[server]\noverflow = "drop"', "server.overflow", '"drop"', 'must be one of "queue", "refuse"'),
    "symlinks: bool": ("[site]\nsymlinks = true", "site.symlinks", "true", 'must be one of "inside", "never"'),
    "format": ('[log]\nformat = "xml"', "log.format", '"xml"', 'must be one of "common", "combined", "json"'),
    "level": ('[log]\nlevel = "debug"', "log.level", '"debug"', 'must be one of "error", "warning", "notice", "info"'),
    "int: string": ('[server]\nbacklog = "5"', "server.backlog", '"5"', "a whole number from 1 to 65535"),
    "int: float": ("[server]\nbacklog = 5.0", "server.backlog", "5.0", "a whole number from 1 to 65535"),
    "int: bool": ("[server]\nbacklog = true", "server.backlog", "true", "a whole number from 1 to 65535"),
    "int: list": ("[server]\nbacklog = [5]", "server.backlog", "[5]", "a whole number from 1 to 65535"),
    "int: date": ("[server]\nbacklog = 2024-01-01", "server.backlog", "2024-01-01", "a whole number from 1"),
    "float: string": ('[limits]\nidle_s = "5"', "limits.idle_s", '"5"', "a number of seconds from 0.05 to 86400"),
    "float: bool": ("[limits]\nidle_s = true", "limits.idle_s", "true", "a number of seconds from 0.05 to 86400"),
    "float: nan": ("[limits]\nidle_s = nan", "limits.idle_s", "nan", "a number of seconds from 0.05 to 86400"),
    "float: inf": ("[limits]\nidle_s = inf", "limits.idle_s", "inf", "a number of seconds from 0.05 to 86400"),
    "float: -inf": ("[limits]\nidle_s = -inf", "limits.idle_s", "-inf", "a number of seconds from 0.05 to 86400"),
    "digests: -1": ("[site]\ndigests = -1", "site.digests", "-1", "a whole number from 0 to 1125899906842624"),
    "digests: bool": ("[site]\ndigests = false", "site.digests", "false", "a whole number from 0 to"),
    "digests: string": ('[site]\ndigests = "1G"', "site.digests", '"1G"', "a whole number from 0 to"),
    "bool: number": ("[site]\nlisting = 1", "site.listing", "1", "must be true or false"),
    "bool: string": ('[site]\nhidden = "no"', "site.hidden", '"no"', "must be true or false"),
    "list: string": ('[site]\nindex = "a.html"', "site.index", '"a.html"', "must be a list of strings"),
    "list: numbers": ('[site]\nindex = ["a", 1]', "site.index", '["a", 1]', "must be a list of strings"),
    "list: table": ("[server]\nallow = {}", "server.allow", "{}", "must be a list of strings"),
    "root: empty": ('[site]\nroot = ""', "site.root", '""', 'is empty; write "." for this folder'),
    "listen: string": (
        '[server]\nlisten = ":80"',
        "server.listen",
        '":80"',
        "a list of strings in brackets, with at least one",
    ),
    "listen: empty": (
        "[server]\nlisten = []",
        "server.listen",
        "[]",
        "a list of strings in brackets, with at least one",
    ),
    "dict: list": ('[site]\nmedia_types = ["a"]', "site.media_types", '["a"]', "must be a table of strings"),
    "dict: numbers": ("[site]\nmedia_types = {a = 1}", "site.media_types", "{a = 1}", "must be a table of strings"),
    "string: number": ("[site]\nroot = 1", "site.root", "1", "must be a string"),
    "string: bool": ("[log]\naccess = false", "log.access", "false", "must be a string"),
    # Bounds.
    "max_clients: 0": ("[server]\nmax_clients = 0", "server.max_clients", "0", "from 1 to 100000"),
    "max_clients: -1": ("[server]\nmax_clients = -1", "server.max_clients", "-1", "from 1 to 100000"),
    "max_clients: top": ("[server]\nmax_clients = 100_001", "server.max_clients", "100001", "from 1 to 100000"),
    "max_clients: huge": (f"[server]\nmax_clients = 1{'0' * 30}", "server.max_clients", f"1{'0' * 30}", "to 100000"),
    "backlog: 0": ("[server]\nbacklog = 0", "server.backlog", "0", "from 1 to 65535"),
    "backlog: top": ("[server]\nbacklog = 65536", "server.backlog", "65536", "from 1 to 65535"),
    "head_bytes: low": ("[limits]\nhead_bytes = 511", "limits.head_bytes", "511", "from 512 to 1048576"),
    "head_bytes: top": ("[limits]\nhead_bytes = 1048577", "limits.head_bytes", "1048577", "from 512 to 1048576"),
    "target_bytes: low": ("[limits]\ntarget_bytes = 63", "limits.target_bytes", "63", "from 64 to 1000000"),
    "fields: 0": ("[limits]\nfields = 0", "limits.fields", "0", "from 1 to 10000"),
    "fields: top": ("[limits]\nfields = 10001", "limits.fields", "10001", "from 1 to 10000"),
    "archives: number": ("[site]\narchives = 1", "site.archives", "1", "must be true or false"),
    "archive_files: 0": ("[limits]\narchive_files = 0", "limits.archive_files", "0", "from 1 to 10000000"),
    "archive_bytes: 0": ("[limits]\narchive_bytes = 0", "limits.archive_bytes", "0", "from 1 to 1125899906842624"),
    "linger_bytes: -1": ("[limits]\nlinger_bytes = -1", "limits.linger_bytes", "-1", "from 0 to 1073741824"),
    **{
        f"{name}: {value}": (f"[limits]\n{name} = {value}", f"limits.{name}", value, "from 0.05 to 86400")
        for name in ("head_s", "idle_s", "send_stall_s", "linger_s", "drain_s")
        for value in ("0.04", "0", "-1.5", "86400.5")
    },
    # Where to listen.
    "listen: no port": ('[server]\nlisten = ["localhost"]', "server.listen", '"localhost"', "has no port; write"),
    "listen: empty port": ('[server]\nlisten = ["localhost:"]', "server.listen", '"localhost:"', "has no port; write"),
    "listen: nothing": ('[server]\nlisten = [""]', "server.listen", '""', 'write "host:port"'),
    "listen: only a number": ('[server]\nlisten = ["80"]', "server.listen", '"80"', 'write "host:port"'),
    "listen: IPv6": (
        '[server]\nlisten = ["::1:80"]',
        "server.listen",
        '"::1:80"',
        'brackets, for example "[::1]:8080"',
    ),
    "listen: port": ('[server]\nlisten = ["a:65536"]', "server.listen", '"a:65536"', "a port is at most 65535"),
    "listen: blank": ('[server]\nlisten = ["a b:80"]', "server.listen", '"a b:80"', "white space"),
    "listen: URL": ('[server]\nlisten = ["http://a:80"]', "server.listen", '"http://a:80"', ""),
    "listen: the second": ('[server]\nlisten = ["a:1", "b"]', "server.listen", '"b"', "has no port"),
    "listen: twice": ('[server]\nlisten = ["a:1", "a:1"]', "server.listen", '"a:1"', "is listed twice"),
    "listen: twice, spelt otherwise": ('[server]\nlisten = ["*:1", ":1"]', "server.listen", '":1"', "is listed twice"),
    "listen: negative": ('[server]\nlisten = ["a:-1"]', "server.listen", '"a:-1"', "port"),
    "listen: slash": ('[server]\nlisten = ["a:80/"]', "server.listen", '"a:80/"', "port"),
    "listen: NUL": ('[server]\nlisten = ["a\\u0000:80"]', "server.listen", '"a\\u0000:80"', ""),
    # Who may connect.
    **{
        f"{key}: {entry}": (f'[server]\n{key} = ["::1", "{entry}"]', f"server.{key}", f'"{entry}"', fragment)
        for key in ("allow", "deny")
        for entry, fragment in (
            ("192.168.1.1/24", 'has bits set beyond its prefix; write "192.168.1.0/24"'),
            ("10.0.0.0/33", 'such as "192.168.1.0/24"'),
            ("10.0.0", 'such as "192.168.1.0/24"'),
            ("256.0.0.1", 'such as "192.168.1.0/24"'),
            ("::1/129", 'such as "192.168.1.0/24"'),
            ("localhost", 'such as "192.168.1.0/24"'),
            ("", 'such as "192.168.1.0/24"'),
            ("[::1]", 'such as "192.168.1.0/24"'),
        )
    },
    "allowed and denied": (
        '[server]\nallow = ["10.0.0.0/8", "::1"]\ndeny = ["::1"]',
        "server.deny",
        '"::1"',
        "is in server.allow as well",
    ),
    "allowed and denied, spelt otherwise": (
        '[server]\nallow = ["10.0.0.1"]\ndeny = ["10.0.0.1/32"]',
        "server.deny",
        '"10.0.0.1/32"',
        "server.allow as well",
    ),
    # The site.
    "root: missing": ('[site]\nroot = "nowhere"', "site.root", '"nowhere"', "does not exist ({folder}/nowhere)"),
    "only: a path": (
        '[site]\nroot = "www"\nonly = "a/b"',
        "site.only",
        '"a/b"',
        "must be the name of a file in the root, without slashes",
    ),
    "root: a file": ('[site]\nroot = "file"', "site.root", '"file"', "is not a folder ({folder}/file)"),
    "root: below a file": ('[site]\nroot = "file/x"', "site.root", '"file/x"', "does not exist"),
    "root: NUL": ('[site]\nroot = "a\\u0000"', "site.root", '"a\\u0000"', "without NUL characters"),
    "root: too long": (f'[site]\nroot = "{"a" * 300}"', "site.root", f'"{"a" * 300}"', ""),
    "index: slash": ('[site]\nindex = ["a/b"]', "site.index", '"a/b"', "the name of a file, without slashes"),
    "index: empty": ('[site]\nindex = [""]', "site.index", '""', "the name of a file, without slashes"),
    "index: NUL": ('[site]\nindex = ["a\\u0000"]', "site.index", '"a\\u0000"', "without NUL characters"),
    "index: hidden": ('[site]\nindex = ["a", ".b"]', "site.index", '".b"', "site.hidden = false hides it"),
    "charset: blank": ('[site]\ndefault_charset = "utf 8"', "site.default_charset", '"utf 8"', 'such as "utf-8"'),
    "charset: CR LF": ('[site]\ndefault_charset = "a\\r\\nb: c"', "site.default_charset", '"a\\r\\nb: c"', "charset"),
    "charset: LF": ('[site]\ndefault_charset = "utf-8\\n"', "site.default_charset", '"utf-8\\n"', "charset"),
    "charset: parameter": ('[site]\ndefault_charset = "a; b=c"', "site.default_charset", '"a; b=c"', "charset"),
    **{
        f"media type: {extension} {media_type}": (
            f'[site]\nmedia_types = {{"{extension}" = "{media_type}"}}',
            "site.media_types",
            f'{{{shown} = "{media_type}"}}',
            fragment,
        )
        for extension, shown, media_type, fragment in (
            (".glb", '".glb"', "a/b", "without the dot"),
            ("GLB", "GLB", "a/b", "lower case"),
            ("", '""', "a/b", "extension"),
            ("tar.gz", '"tar.gz"', "a/b", "extension"),
            ("ü", '"ü"', "a/b", "extension"),
            ("glb", "glb", "", "must be a media type such as"),
            ("glb", "glb", "model", "must be a media type such as"),
            ("glb", "glb", "a/b/c", "must be a media type such as"),
            ("glb", "glb", "a/b\\r\\nX: y", "must be a media type such as"),
            ("glb", "glb", "a/b\\n", "must be a media type such as"),
            ("glb", "glb", "a/b;", "must be a media type such as"),
            ("glb", "glb", "a/b; c", "must be a media type such as"),
            ("glb", "glb", "ä/b", "must be a media type such as"),
        )
    },
    # Sizes and logs.
    "target as long as the head": (
        "[limits]\nhead_bytes = 1000\ntarget_bytes = 1000",
        "limits.target_bytes",
        "1000",
        "must be less than limits.head_bytes = 1000",
    ),
    "a target that could not be taken is not compared": (
        '[limits]\nhead_bytes = 1000\ntarget_bytes = "500"',
        "limits.target_bytes",
        '"500"',
        "a whole number from 64 to 1000000",
    ),
    "target longer than the default head": (
        "[limits]\ntarget_bytes = 20000",
        "limits.target_bytes",
        "20000",
        "must be less than limits.head_bytes = 16384",
    ),
    "log: no folder": ('[log]\naccess = "no/log"', "log.access", '"no/log"', "the folder {folder}/no does not exist"),
    "log: folder is a file": ('[log]\naccess = "file/log"', "log.access", '"file/log"', "{folder}/file"),
    "log: a folder": (
        '[log]\naccess = "www"',
        "log.access",
        '"www"',
        'must be "stdout", "off", "syslog", "journal", or the path of a file',
    ),
    "log: nothing": (
        '[log]\naccess = ""',
        "log.access",
        '""',
        'must be "stdout", "off", "syslog", "journal", or the path of a file',
    ),
    "error log: no folder": ('[log]\nerror = "/no/log"', "log.error", '"/no/log"', "the folder /no does not exist"),
    "log: NUL": ('[log]\naccess = "a\\u0000b"', "log.access", '"a\\u0000b"', ""),
    "log: too long": (f'[log]\naccess = "{"a" * 300}"', "log.access", f'"{"a" * 300}"', ""),
}


@pytest.mark.parametrize(("text", "key", "value", "fragment"), ONE_PROBLEM.values(), ids=ONE_PROBLEM)
def test_a_wrong_file(folder: Path, text: str, key: str, value: str, fragment: str) -> None:
    file = write(folder, text)
    (problem,) = problems(file)
    assert (problem.source, problem.key, problem.value) == (file, key, value)
    assert fragment.format(folder=folder) in problem.remedy
    assert problem.remedy
    assert str(problem).startswith(f"{file}: {key}")


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        ("[log]\naccess = 'caf\xe9'".encode("latin-1"), "is not UTF-8"),
        (b"mode: select\n", "is not TOML"),
        (b"[server\n", "is not TOML"),
        (b"[server]\nmode = select\n", "is not TOML"),
        (b"[server]\nmode = 'select'\nmode = 'select'\n", "is not TOML"),
        (b"[server]\n[server]\n", "is not TOML"),
        (b"\0", "is not TOML"),
        (b"[server]\nbacklog = 1" + b"0" * 5000, "has a number of too many digits"),
        (b"x = " + b"[" * 5000, "is nested too deeply"),
        (b"\xef\xbb\xbf[server]\n", "begins with a byte order mark"),
        (b"#" * (MAX_FILE_BYTES + 1), "is larger than 16777216 bytes"),
    ],
    ids=[
        "UTF-16",
        "Latin-1",
        "YAML",
        "bracket",
        "bare-word",
        "key-twice",
        "table-twice",
        "NUL",
        "digits",
        "nested",
        "BOM",
        "large",
    ],
)
def test_a_file_that_cannot_be_read(folder: Path, content: bytes, fragment: str) -> None:
    file = folder / "site.toml"
    file.write_bytes(content)
    (problem,) = problems(str(file))
    assert (problem.source, problem.key, problem.value) == (str(file), "", "")
    assert fragment in problem.remedy


def test_what_could_be_waited_for_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe.toml")
    for file in (str(folder / "pipe.toml"), "/dev/zero"):
        (problem,) = problems(file)
        assert problem.remedy == "is not a regular file, as a config file must be"


def test_a_pipe_of_the_shell(folder: Path) -> None:
    """``-c <(make-config)``: what comes late is waited for."""
    reading, writing = os.pipe()

    def write_later() -> None:
        time.sleep(0.1)
        os.write(writing, b'[server]\nmode = "threading"\n')
        os.close(writing)

    writer = threading.Thread(target=write_later)
    writer.start()
    assert config.load(f"/dev/fd/{reading}").server.mode == "threading"
    writer.join()
    os.close(reading)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("missing.toml", "No such file"),
        ("www", "Is a directory"),
        ("a" * 300, "File name too long"),
        ("file/x.toml", "Not a directory"),
        ("nowhere/site.toml", "No such file"),
    ],
)
def test_no_file(folder: Path, name: str, fragment: str) -> None:
    file = str(folder / name)
    (problem,) = problems(file)
    assert (problem.source, problem.key, problem.value) == (file, "", "")
    assert fragment in problem.remedy


def test_everything_that_is_wrong_is_said_at_once(folder: Path) -> None:
    text = """
        colour = "red"
        [server]
        mode = "forkin"
        max_clients = 0
        listen = ["localhost", "::1:80"]
        allow = ["10.0.0.1/8", "::1"]
        deny = ["::1", "x"]
        [site]
        root = "nowhere"
        index = ["a/b", ".c"]
        media_types = {".a" = "b"}
        [limits]
        head_bytes = 1000
        target_bytes = 1000
        idle_s = nan
        [log]
        access = "no/log"
        error = "no/log"
        [sight]
        x = 1
    """
    file = write(folder, text)
    found = [(problem.key, problem.value) for problem in problems(file)]
    assert sorted(found) == sorted(
        [
            ("colour", '"red"'),
            ("server.mode", '"forkin"'),
            ("server.max_clients", "0"),
            ("server.listen", '"localhost"'),
            ("server.listen", '"::1:80"'),
            ("server.allow", '"10.0.0.1/8"'),
            ("server.deny", '"x"'),
            ("server.deny", '"::1"'),
            ("site.root", '"nowhere"'),
            ("site.index", '"a/b"'),
            ("site.index", '".c"'),
            ("site.media_types", '{".a" = "b"}'),
            ("site.media_types", '{".a" = "b"}'),
            ("limits.target_bytes", "1000"),
            ("limits.idle_s", "nan"),
            ("log.access", '"no/log"'),
            ("log.error", '"no/log"'),
            ("sight", ""),
        ]
    )


def test_a_problem_that_a_file_makes_with_a_default_names_the_file(folder: Path) -> None:
    file = write(folder, "[limits]\nhead_bytes = 4096\n")
    (problem,) = problems(file)
    assert (problem.key, problem.value) == ("limits.head_bytes", "4096")
    assert "limits.target_bytes = 8192" in problem.remedy
    assert file in str(problem)


# Settings under an old name.

OLD, NEW = next(iter(RENAMED.items()))


def renamed(folder: Path, text: str) -> str:
    """A file with ``text`` in the table of a renamed setting, where {old} and {new} stand for its two names."""
    table, old = OLD.split(".")
    return write(folder, f"[{table}]\n" + text.format(old=old, new=NEW.split(".")[1]))


def test_renamed_settings_have_a_new_name_and_no_other_meaning() -> None:
    assert set(RENAMED.values()) <= set(ROWS)
    assert not set(RENAMED) & set(ROWS)


def test_an_old_name_works_and_is_noticed(folder: Path) -> None:
    file = renamed(folder, "{old} = 1234")
    settings = config.load(file)
    assert effective(settings)[NEW] == 1234
    assert settings.origins[NEW] == file
    assert settings.notices == (f"{file}: {OLD} is now {NEW}; the old name still works",)
    shown = config.show(settings).splitlines()
    assert f"{NEW.split('.')[1]} = 1234  # {file}" in shown
    assert not [line for line in shown if line.startswith(OLD.split(".")[1])]
    assert config.differences(settings, config.load(renamed(folder, "{new} = 1234"))) == []


def test_a_new_name_is_not_noticed(folder: Path) -> None:
    assert config.load(renamed(folder, "{new} = 1234")).notices == ()
    assert config.load().notices == ()


def test_an_old_name_is_noticed_once_however_many_sites_there_are(folder: Path) -> None:
    sites = "".join(f"[[site]]\nhosts = ['{name}']\nroot = 'www'\n" for name in "abc")
    settings = config.load(renamed(folder, "{old} = 1234\n" + sites))
    assert [effective(one)[NEW] for one in settings.all_sites] == [1234] * 3
    assert [len(one.notices) for one in settings.all_sites] == [1, 0, 0]


@pytest.mark.parametrize("text", ["{old} = 1\n{new} = 1", "{new} = 1\n{old} = 2", "{new} = 'x'\n{old} = 'x'"])
def test_both_names_in_one_file_are_refused(folder: Path, text: str) -> None:
    found = [problem for problem in problems(renamed(folder, text)) if problem.key == OLD]
    assert len(found) == 1
    assert found[0].remedy == f"is the old name of {NEW}, which is set too; keep one"


@pytest.mark.parametrize("value", ["-1", "1.5", "'x'", "true", "[]", f"1{'0' * 30}"])
def test_a_wrong_value_is_refused_under_the_name_that_is_in_the_file(folder: Path, value: str) -> None:
    (old,) = problems(renamed(folder, f"{{old}} = {value}"))
    (new,) = problems(renamed(folder, f"{{new}} = {value}"))
    assert (old.key, new.key) == (OLD, NEW)
    assert (old.value, old.remedy) == (new.value, new.remedy)
    assert old.remedy == "must be a whole number from 0 to 1099511627776"


@pytest.mark.parametrize(
    "text",
    ["[limits]\nrecall_byte = 1", "[limits]\nresponse_cache = 1", "[server]\nrecall_bytes = 1", "[log]\n{new} = 1"],
)
def test_a_misspelt_old_name_leads_to_the_new_one(folder: Path, text: str) -> None:
    (problem,) = problems(write(folder, text.format(new=NEW.split(".")[1])))
    assert problem.remedy == f"unknown; did you mean {NEW}?"


@pytest.mark.parametrize(("old", "new"), [("true", "proxy-protocol"), ("false", "x-forwarded-for")])
def test_the_values_of_a_renamed_switch(folder: Path, old: str, new: str) -> None:
    settings = config.load(str(write(folder, f'[proxies]\ntrusted = ["::1"]\nprotocol = {old}')))
    assert settings.proxies.client_from == new
    assert any("proxies.protocol is now proxies.client_from" in notice for notice in settings.notices)


@pytest.mark.parametrize("value", ["1", "'yes'", "[]", "'proxyprotocol'"])
def test_a_wrong_value_of_a_renamed_switch(folder: Path, value: str) -> None:
    (problem,) = problems(write(folder, f'[proxies]\ntrusted = ["::1"]\nprotocol = {value}'))
    assert problem.key == "proxies.protocol"
    assert problem.remedy.startswith('must be one of "x-forwarded-for", "forwarded", "proxy-protocol"')


# A file says what to serve, or is not served.


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"])
def test_an_empty_file_is_not_served(folder: Path, text: str) -> None:
    for flags in (Flags(), Flags(root=str(folder))):
        with pytest.raises(ConfigError) as caught:
            config.load(write(folder, text), flags, to_serve=True)
        assert str(caught.value).endswith("has no settings; it must name at least site.root")


@pytest.mark.parametrize("text", ['[server]\nmode = "select"\n', "[site]\n", "[site]\nlisting = false\n", "[log]\n"])
def test_a_file_that_is_served_names_its_root(folder: Path, text: str) -> None:
    file = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        config.load(file, to_serve=True)
    assert str(caught.value) == f'{file}: site.root: is missing: the folder to serve, such as "/srv/www"'
    assert config.load(file, Flags(root=str(folder)), to_serve=True).site.root == str(folder)
    assert config.load(file).site.root == str(folder), "to look at it is another matter"


def test_each_site_that_is_served_names_its_root(folder: Path) -> None:
    file = write(folder, '[[site]]\nroot = "www"\n[[site]]\nhosts = ["b"]\n')
    with pytest.raises(ConfigError) as caught:
        config.load(file, Flags(root=str(folder)), to_serve=True)
    assert [problem.key for problem in caught.value.problems] == ["[[site]] no. 2: root"]


def test_without_a_file_this_folder_is_served(folder: Path) -> None:
    assert config.load(to_serve=True).site.root == os.getcwd()


# No setting has a use for a NUL.


def with_nul(row: Row) -> str:
    """Return a value with a NUL that is of the right type otherwise; empty if there is none."""
    match row.default:
        case str() if not config.declared_choices(row.type):
            return '"a\\u0000b"'
        case list() if row.key != "site.precompressed":
            return '["a\\u0000b"]'
        case dict():
            return '{ "a\\u0000" = "b" }'
        case _:
            return ""


@pytest.mark.parametrize("row", [row for row in config.rows() if with_nul(row)], ids=lambda row: row.key)
def test_a_nul_is_one_line(folder: Path, row: Row) -> None:
    file = write(folder, f"[{row.section}]\n{row.name} = {with_nul(row)}\n")
    found = [problem for problem in problems(file) if problem.key == row.key]
    assert len(found) == 1
    assert "\\u0000" in found[0].value
    assert found[0].remedy.endswith(", without NUL characters")
    assert str(found[0]).startswith(f"{file}: {row.key} = ")


def test_a_backslash_and_a_u_are_no_nul(folder: Path) -> None:
    (folder / "a\\u0000b").mkdir()
    assert config.load(write(folder, "[site]\nroot = 'a\\u0000b'")).site.root.endswith("a\\u0000b")


# Values that are accepted.


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        *((f'[server]\nmode = "{name}"', "server.mode", name) for name in MODES),
        ("[server]\nmax_clients = 1", "server.max_clients", 1),
        ("[server]\nmax_clients = 100_000", "server.max_clients", 100_000),
        ("[limits]\nidle_s = 5", "limits.idle_s", 5.0),
        ("[limits]\nidle_s = 0.05", "limits.idle_s", 0.05),
        ("[limits]\nidle_s = 86400", "limits.idle_s", 86400.0),
        ("[limits]\nlinger_bytes = 0", "limits.linger_bytes", 0),
        ("[limits]\nhead_bytes = 512\ntarget_bytes = 511", "limits.target_bytes", 511),
        ('[server]\nlisten = [":80", "[::1]:http", "a.b:0"]', "server.listen", [":80", "[::1]:http", "a.b:0"]),
        ('[server]\nlisten = ["a:0", "a:0"]', "server.listen", ["a:0", "a:0"]),
        ('[server]\nallow = ["10.0.0.0/8", "::1"]', "server.allow", ["10.0.0.0/8", "::1"]),
        ("[site]\nindex = []", "site.index", []),
        ('[site]\nhidden = true\nindex = [".a"]', "site.index", [".a"]),
        ('[site]\ndefault_charset = ""', "site.default_charset", ""),
        ('[site.media_types]\n"7z" = "a/b"', "site.media_types", {"7z": "a/b"}),
        ('[site.media_types]\na = "text/x; charset=koi8-r"', "site.media_types", {"a": "text/x; charset=koi8-r"}),
        ('[log]\naccess = "off"', "log.access", "off"),
    ],
)
def test_a_good_file(folder: Path, text: str, key: str, value: object) -> None:
    file = write(folder, text)
    settings = config.load(file)
    assert effective(settings)[key] == value
    assert type(effective(settings)[key]) is type(value)
    assert settings.origins[key] == file


@pytest.mark.parametrize(
    ("root", "leads_to"),
    [
        ("www", "here/www"),
        ("./www/", "here/www"),
        ("www/deeper/..", "here/www"),
        ("../elsewhere", "elsewhere"),
        (".", "here"),
    ],
)
def test_a_root_in_a_file_is_relative_to_the_file(folder: Path, root: str, leads_to: str) -> None:
    write(folder, f'[site]\nroot = "{root}"')
    settings = config.load("../here/site.toml")
    assert settings.site.root == str(folder.parent / leads_to)
    assert settings.origins["site.root"] == "../here/site.toml"


def test_an_absolute_root(folder: Path) -> None:
    assert config.load(write(folder, f'[site]\nroot = "{folder}/www"')).site.root == str(folder / "www")


def test_dots_behind_a_symlink_are_not_shortened(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "elsewhere/www")
    settings = config.load(write(folder, '[site]\nroot = "link/.."'))
    assert os.path.samefile(settings.site.root, folder.parent / "elsewhere")


@pytest.mark.parametrize("name", ["access", "error"])
def test_a_log_is_relative_to_the_file(folder: Path, name: str) -> None:
    settings = config.load(write(folder, f'[log]\n{name} = "www/a.log"'))
    assert effective(settings)[f"log.{name}"] == str(folder / "www/a.log")


def test_a_root_on_the_command_line_is_relative_to_the_present_directory(folder: Path) -> None:
    settings = config.load(write(folder, NOTHING_SET), Flags(root="www"))
    assert settings.site.root == str(folder.parent / "elsewhere/www")
    assert settings.origins["site.root"] == "PATH"


# Flags.


def test_a_file_on_the_command_line_is_the_only_one(folder: Path) -> None:
    """A symlink stands for itself in its own folder, and for what it leads to in another one."""
    elsewhere = folder.parent / "elsewhere"
    (elsewhere / "outside").symlink_to(folder / "file")
    (elsewhere / "real").touch()
    (elsewhere / "inside").symlink_to("real")
    for said, root, only in (
        ("../here/file", folder, "file"),
        ("outside", folder, "file"),
        ("inside", elsewhere, "inside"),
        (".", elsewhere, ""),
    ):
        settings = config.load(None, Flags(root=said))
        assert (settings.site.root, settings.site.only) == (str(root), only)
        assert settings.origins["site.only"] == "PATH"


@pytest.mark.parametrize(
    ("flags", "key", "value", "origin"),
    [
        (Flags(mode="forking"), "server.mode", "forking", "--mode"),
        (Flags(max_clients=7), "server.max_clients", 7, "--max-clients"),
        (Flags(overflow="queue"), "server.overflow", "queue", "--overflow"),
        (Flags(port=9), "server.listen", ["a:9"], "--port"),
        (Flags(addresses=("b",)), "server.listen", ["b:1"], "--bind"),
    ],
)
def test_a_flag_beats_the_file_and_the_file_the_default(
    folder: Path, flags: Flags, key: str, value: object, origin: str
) -> None:
    text = '[server]\nmode = "iterative"\nmax_clients = 3\noverflow = "refuse"\nlisten = ["a:1"]'
    file = write(folder, text)
    before, after = config.load(file), config.load(file, flags)
    assert effective(before)[key] not in (value, ROWS[key].default)
    assert before.origins[key] == file
    assert effective(after)[key] == value
    assert after.origins[key] == origin
    changed = {other for other in ROWS if effective(before)[other] != effective(after)[other]}
    assert changed == {key}


@pytest.mark.parametrize(
    ("listen", "addresses", "port", "expected"),
    [
        (None, (), None, ["127.0.0.1:8080"]),
        (None, (), 0, ["127.0.0.1:0"]),
        (None, ("0.0.0.0",), None, ["0.0.0.0:8080"]),
        (None, ("::1",), None, ["[::1]:8080"]),
        (None, ("[::1]",), None, ["[::1]:8080"]),
        (None, ("fe80::1%eth0",), 1, ["[fe80::1%eth0]:1"]),
        (None, ("127.0.0.1", "::1"), 80, ["127.0.0.1:80", "[::1]:80"]),
        (None, ("*",), 80, ["*:80"]),
        (["a:1", "[::1]:2"], (), None, ["a:1", "[::1]:2"]),
        (["a:1", "[::1]:2"], (), 9, ["a:9", "[::1]:9"]),
        (["a:1", "[::1]:2"], ("b", "::2"), None, ["b:1", "[::2]:1"]),
        (["a:http", "b:2"], ("c",), None, ["c:http"]),
        (["a:1", "[::1]:2"], ("b",), 9, ["b:9"]),
        (["[::1]:http"], (), 9, ["[::1]:9"]),
        ([":1"], (), 9, [":9"]),
    ],
)
def test_addresses_and_ports(
    folder: Path, listen: list[str] | None, addresses: tuple[str, ...], port: int | None, expected: list[str]
) -> None:
    file = write(folder, "" if listen is None else f"[server]\nlisten = {config.toml(listen)}")
    assert config.load(file, Flags(addresses=addresses, port=port)).server.listen == expected


@pytest.mark.parametrize("flags", [Flags(port=9), Flags(addresses=("::1",)), Flags(addresses=("b",), port=9)])
def test_flags_do_not_make_a_wrong_address_of_the_file_right(folder: Path, flags: Flags) -> None:
    file = write(folder, '[server]\nlisten = ["localhost"]')
    assert (file, "server.listen", '"localhost"') in [
        (problem.source, problem.key, problem.value) for problem in problems(file, flags)
    ]


@pytest.mark.parametrize(
    ("flags", "source", "key", "value", "fragment"),
    [
        (Flags(mode="forkin"), "--mode", "server.mode", '"forkin"', 'did you mean "forking"?'),
        (Flags(max_clients=0), "--max-clients", "server.max_clients", "0", "a whole number from 1 to 100000"),
        (Flags(overflow="x"), "--overflow", "server.overflow", '"x"', 'one of "queue", "refuse"'),
        (Flags(port=65536), "--port", "server.listen", '"127.0.0.1:65536"', "at most 65535"),
        (Flags(addresses=("a b",)), "--bind", "server.listen", '"a b:8080"', "white space"),
        (Flags(addresses=("::1", "::1")), "--bind", "server.listen", '"[::1]:8080"', "twice"),
        (Flags(root="nowhere"), "PATH", "site.root", "nowhere", "does not exist"),
        (Flags(root="/dev/null"), "PATH", "", "/dev/null", "is a device; it must be the folder or the file to serve"),
        (Flags(root="../here/link.toml"), "PATH", "site.root", "link.toml", "does not exist"),
    ],
)
def test_a_wrong_flag(flags: Flags, source: str, key: str, value: str, fragment: str) -> None:
    (problem,) = problems(None, flags)
    assert (problem.source, problem.key) == (source, key)
    assert value in problem.value
    assert fragment in problem.remedy


def test_a_flag_does_not_hide_what_is_wrong_in_the_file(folder: Path) -> None:
    file = write(folder, '[server]\nmode = "x"')
    (problem,) = problems(file, Flags(mode="select"))
    assert (problem.source, problem.key, problem.value) == (file, "server.mode", '"x"')


def test_problems_of_file_and_flags_come_together(folder: Path) -> None:
    file = write(folder, "[server]\nbacklog = 0")
    assert {problem.source for problem in problems(file, Flags(max_clients=0))} == {file, "--max-clients"}


# Shown again.

STRANGE = {
    "server.listen": ["a:0", "[::1]:http"],
    "server.allow": ["10.0.0.0/8"],
    "site.root": 'quo"te\\ \x7f\x1b[31m\n ü \u2028 \U0001f600',
    "site.index": ['"', "\\", "a b", "ü\x7f"],
    "site.listing": False,
    "site.media_types": {"7z": "a/b", "a-b": "text/x; charset=koi8-r"},
    "limits.idle_s": 0.05,
    "limits.head_s": 86400,
    "log.access": "off",
}


def test_what_is_shown_is_toml_that_loads_to_the_same(folder: Path) -> None:
    (folder / str(STRANGE["site.root"])).mkdir()
    settings = config.load(write(folder, config.annotated(STRANGE)))
    shown = config.show(settings)
    assert [f"{section}.{name}" for section, table in tomllib.loads(shown).items() for name in table] == list(ROWS)
    again = config.load(write(folder.parent / "elsewhere", shown))
    assert effective(again) == effective(settings)
    assert effective(again)["site.index"] == STRANGE["site.index"]


def test_what_is_shown_says_where_it_came_from(folder: Path) -> None:
    file = write(folder, '[server]\nbacklog = 5\n[site]\nroot = "www"')
    lines = config.show(config.load(file, Flags(mode="forking", port=0, addresses=("::1",)))).splitlines()
    assert 'mode = "forking"  # --mode' in lines
    assert 'listen = ["[::1]:0"]  # --bind' in lines
    assert f"backlog = 5  # {file}" in lines
    assert f'root = "{folder}/www"  # {file}' in lines
    assert "max_clients = 256  # default" in lines


def test_a_strange_name_of_the_file_does_not_spoil_what_is_shown(folder: Path) -> None:
    file = write(folder, NOTHING_SET, "a\nb\x1b.toml")
    settings = config.load(file)
    again = config.load(write(folder, config.show(settings)))
    assert effective(again) == effective(settings)
