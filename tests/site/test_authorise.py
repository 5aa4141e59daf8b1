"""Basic authentication: who is admitted, what does not bypass it, and what a refusal does not reveal."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpmini.site.respond import Site
from httpmini.site.users import Users, problems, set_password
from tests.support.small_site import ask, load_site, write_tree

PASSWORD = "open:sesame ü"
CONFIG = """
[[realms]]
path = "/private/"
name = 'the "inner" room'
users = "users"

[[realms]]
path = "/private/deeper"
name = "deeper"
users = "others"

[[redirects]]
path = "/private/moved"
to = "/private/secret.txt"

[[redirects]]
path = "/way-in"
to = "/private/"
"""
CHALLENGE = 'Basic realm="the \\"inner\\" room", charset="UTF-8"'


def hashed(password: str | bytes, cost: int = 4) -> bytes:
    return bcrypt.hashpw(password.encode() if isinstance(password, str) else password, bcrypt.gensalt(cost))


def basic(user: str | bytes, password: str | bytes = PASSWORD) -> tuple[str, str]:
    octets = [part.encode() if isinstance(part, str) else part for part in (user, password)]
    return "Authorization", "Basic " + base64.b64encode(b":".join(octets)).decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    files = {
        "private/secret.txt": b"secret",
        "private/sub/x.txt": b"x",
        "private/deeper/y.txt": b"y",
        "private-not/open.txt": b"open",
        "open.txt": b"open",
    }
    root = write_tree(tmp_path / "www", files)
    os.symlink("private", root / "link")
    (tmp_path / "users").write_bytes(b"# who\n\nada:" + hashed(PASSWORD) + b"\nm\xc3\xbcller:" + hashed("x") + b"\n")
    (tmp_path / "others").write_bytes(b"bob:" + hashed("y") + b"\n")
    return load_site(root, CONFIG)


@pytest.mark.parametrize(
    "target", ["/private/secret.txt", "/private/", "/private", "/private/sub/", "/private/no-such", "/private/moved"]
)
@pytest.mark.parametrize(
    "more",
    [
        (),
        (("If-None-Match", "*"),),
        (("If-Match", '"x"'),),
        (("If-Modified-Since", "Sun, 06 Nov 2094 08:49:37 GMT"),),
        (("Range", "bytes=0-0"),),
        (("Range", "bytes=99-"),),
    ],
    ids=str,
)
def test_asked_before_anything_else(site: Site, target: str, more: tuple[tuple[str, str], ...]) -> None:
    """The 401 is the same for all paths, existing or not, moved or not, and for all conditions (RFC 9110 §13.2.1)."""
    answer = ask(site, target, *more)
    assert (answer.status, answer.token) == (401, "credentials-missing")
    assert answer.fields["www-authenticate"] == CHALLENGE
    assert answer.body == ask(site, "/private/secret.txt").body


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/private/secret.txt", 200, None),
        ("/private/", 200, None),
        ("/private", 301, "./private/"),
        ("/private/moved?a=b", 301, "/private/secret.txt?a=b"),
        ("/private/no-such", 404, None),
    ],
)
def test_let_in(site: Site, target: str, status: int, location: str | None) -> None:
    answer = ask(site, target, basic("ada"))
    assert (answer.status, answer.fields.get("location"), answer.user) == (status, location, "ada")


@pytest.mark.parametrize(
    "target", ["/open.txt", "/private-not/open.txt", "/", "/no-such", "/link/secret.txt", "/way-in"]
)
def test_what_is_not_in_a_realm_asks_nobody(site: Site, target: str) -> None:
    """A symlink publishes its target, as its owner decided; so do the settings for hidden names."""
    assert ask(site, target).status in (200, 301, 404)
    assert ask(site, target, basic("ada", "wrong")).user == ""


@pytest.mark.parametrize(
    "target",
    [
        "//private/secret.txt",
        "/private//secret.txt",
        "/%70rivate/secret.txt",
        "/%50RIVATE/secret.txt",
        "/Private/secret.txt",
        "/private/%73ecret.txt",
        "http://other.example/private/secret.txt",
        "http://other.example//private/secret.txt",
        "/private/secret.txt?x",
        "/?/private/../open.txt/../private/secret.txt",
        "/x/../private/secret.txt",
        "/x/%2e%2e/private/secret.txt",
        "/./private/secret.txt",
        "/%2e/private/secret.txt",
        "/private%2Fsecret.txt",
        "/%2Fprivate/secret.txt",
        "/private%5Csecret.txt",
        "/private;x/secret.txt",
        "/private%00/secret.txt",
        "/private%20/secret.txt",
        "/private./secret.txt",
        "/private/.",
        "/private/sub/../secret.txt",
        "/%2570rivate/secret.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_way_round(site: Site, target: str, method: str) -> None:
    answer = ask(site, target, method=method)
    assert answer.status in (200, 400, 401, 404)
    assert b"secret.txt" not in answer.body
    assert answer.body != b"secret"
    assert answer.status != 200 or target.startswith("/?")


@pytest.mark.parametrize("scheme", ["Basic ", "basic ", "BASIC ", "bAsIc   "])
def test_the_scheme_has_no_case(site: Site, scheme: str) -> None:
    name, value = basic("ada")
    assert ask(site, "/private/secret.txt", (name, scheme + value.removeprefix("Basic "))).body == b"secret"


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("", "malformed"),
        ("Basic", "malformed"),
        ("Basic ", "malformed"),
        ("Basic\tYWRhOng=", "malformed"),
        ("Basic !!!!", "malformed"),
        ("Basic YWRhOng", "malformed"),
        ("Basic YWRhOng=x", "malformed"),
        ("Basic YWRhOnB3=", "malformed"),  # the padding of nothing
        ("Basic YWRhOnB3==", "malformed"),
        ("Basic YWRhOnB3===", "malformed"),
        ("Basic YWRhOnB3====", "malformed"),
        ("Basic YWRh OngK", "malformed"),
        ("Basic YWRh", "malformed"),  # no colon
        ("Basic \xb5", "malformed"),
        ("Digest username=ada", "malformed"),
        ("Bearer YWRhOng=", "malformed"),
        ("YWRhOng=", "malformed"),
        ("Basic " + "A" * 8_000, "malformed"),
        (basic("ada\0", PASSWORD)[1], "malformed"),
        (basic("ada", PASSWORD + "\n")[1], "malformed"),
        (basic("ada", PASSWORD + "\0x")[1], "malformed"),
        (basic("ada", "")[1], "wrong"),
        (basic("", PASSWORD)[1], "wrong"),
        (basic("ad", PASSWORD)[1], "wrong"),
        (basic("adax", PASSWORD)[1], "wrong"),
        (basic("Ada", PASSWORD)[1], "wrong"),
        (basic("ada", PASSWORD[:-1])[1], "wrong"),
        (basic("ada", PASSWORD + "x")[1], "wrong"),
        (basic("ada", PASSWORD.upper())[1], "wrong"),
        (basic("ada", PASSWORD.encode("latin-1"))[1], "wrong"),
        (basic("bob", "y")[1], "wrong"),  # of another realm
        (basic("# who", "")[1], "wrong"),
        (basic("nobody", "x" * 5_000)[1], "wrong"),
    ],
)
def test_not_let_in(site: Site, value: str, token: str) -> None:
    answer = ask(site, "/private/secret.txt", ("Authorization", value))
    assert (answer.status, answer.token, answer.user) == (401, f"credentials-{token}", "")
    assert answer.fields["www-authenticate"] == CHALLENGE


def test_two_fields_of_credentials_are_none(site: Site) -> None:
    assert ask(site, "/private/secret.txt", basic("ada"), basic("ada")).token == "credentials-malformed"


def test_names_and_passwords_are_octets(site: Site) -> None:
    answer = ask(site, "/private/secret.txt", basic("müller", "x"))
    assert answer.status == 200
    assert answer.user == "m\xc3\xbcller"


def test_the_innermost_realm_counts(site: Site) -> None:
    assert ask(site, "/private/deeper/y.txt", basic("ada")).status == 401
    assert ask(site, "/private/deeper/y.txt", basic("bob", "y")).body == b"y"
    assert 'realm="deeper"' in ask(site, "/private/deeper").fields["www-authenticate"]


def test_the_whole_site_can_be_a_realm(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"a.txt": b"a"})
    set_password(str(tmp_path / "users"), "ada", "x", 4)
    site = load_site(root, '[[realms]]\npath = "/"\nusers = "users"\n')
    assert [ask(site, target).status for target in ("/", "/a.txt", "/no-such")] == [401, 401, 401]
    assert ask(site, "/", basic("ada", "x")).status == 200


# Users of a file.


def test_a_change_of_the_file_counts_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "users")
    set_password(path, "ada", "old", 4)
    users = Users(path)
    assert users.admit(b"ada", b"old")
    set_password(path, "ada", "new", 4)
    assert not users.admit(b"ada", b"old")
    assert users.admit(b"ada", b"new")
    Path(path).write_bytes(b"")
    assert not users.admit(b"ada", b"new")
    os.unlink(path)
    with pytest.raises(FileNotFoundError):
        users.admit(b"ada", b"new")


def test_without_the_file_nobody_is_let_in(site: Site, tmp_path: Path) -> None:
    assert ask(site, "/private/secret.txt", basic("ada")).status == 200
    (tmp_path / "users").unlink()
    answer = ask(site, "/private/secret.txt", basic("ada"))
    assert (answer.status, answer.token) == (500, "users-unreadable")
    assert b"users" not in answer.body.replace(b"users-unreadable", b"").replace(b"list of users", b"")


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of every hash that is computed."""
    seen: list[int] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        seen.append(2 ** int(hashed[4:6]))
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return seen


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (b"cheap", b"wrong"),
        (b"middle", b"wrong"),
        (b"dear", b"wrong"),
        (b"nobody", b"wrong"),
        (b"nobody", b""),
        (b"cheap", b"x" * 73),
        (b"nobody", b"x" * 73),
        (b"", b""),
    ],
)
def test_every_refusal_is_the_same_work(tmp_path: Path, rounds: list[int], name: bytes, password: bytes) -> None:
    """The time does not reveal whether the user exists: it is 2^7 rounds, whatever is wrong."""
    lines = [b"cheap:" + hashed("a", 4), b"middle:" + hashed("b", 6), b"dear:" + hashed("c", 7)]
    (tmp_path / "users").write_bytes(b"\n".join(lines))
    users = Users(str(tmp_path / "users"))
    assert not users.admit(name, password)
    assert not users.admit(name, password)
    assert sum(rounds) == 2 * 2**7


def test_a_right_password_is_checked_once(tmp_path: Path, rounds: list[int]) -> None:
    set_password(str(tmp_path / "users"), "ada", "x", 4)
    users = Users(str(tmp_path / "users"))
    assert [users.admit(b"ada", b"x") for _ in range(50)] == [True] * 50
    assert rounds == [2**4]
    assert not users.admit(b"ad", b"ax")
    assert len(rounds) == 2


@pytest.mark.parametrize("prefix", [b"$2a$", b"$2b$", b"$2y$"])
def test_all_kinds_of_bcrypt(tmp_path: Path, prefix: bytes) -> None:
    (tmp_path / "users").write_bytes(b"ada:" + prefix + hashed("x").removeprefix(b"$2b$"))
    assert Users(str(tmp_path / "users")).admit(b"ada", b"x")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"ada", "must be a name, a colon"),
        (b":$2b$04$" + b"." * 53, "must be a name"),
        (b"ada:x", "has no bcrypt hash"),
        (b"ada:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=", "has no bcrypt hash"),
        (b"ada:$apr1$x$y", "has no bcrypt hash"),
        (b"ada:$2b$04$" + b"." * 52, "has no bcrypt hash"),
        (b"ada:$2b$04$" + b"." * 54, "has no bcrypt hash"),
        (b"ada:$2b$03$" + b"." * 53, "cost 3; from 4 to 14"),
        (b"ada:$2b$15$" + b"." * 53, "cost 15; from 4 to 14"),
        (b"bob:$2b$04$" + b"." * 53, "repeats the name of an earlier line"),
        (b"\xff\xfe", "must be a name"),
        (b"\xef\xbb\xbfada:$2b$04$" + b"." * 53, "byte order mark"),
        (b"a\0da:$2b$04$" + b"." * 53, "must be a name"),
        (b"a\x7fda:$2b$04$" + b"." * 53, "must be a name"),
        (b"ada :$2b$04$" + b"." * 53, "without spaces"),
        (b"ada:$2b$04$" + b"." * 21 + b"9" + b"." * 31, "has no bcrypt hash"),
    ],
)
def test_a_line_that_nobody_can_log_in_with(tmp_path: Path, line: bytes, what: str) -> None:
    path = tmp_path / "users"
    path.write_bytes(b"bob:" + hashed("y") + b"\n# a comment\n\n" + line + b"\n")
    ((number, text),) = problems(str(path))
    assert number == 4
    assert what in text
    users = Users(str(path))  # a server that is running continues without it
    assert users.admit(b"bob", b"y")
    assert not users.admit(line.partition(b":")[0].strip() if not line.startswith(b"bob") else b"ada", b"x")


@pytest.mark.parametrize("line", [b"#bob:", b"  #bob:", b"\t# bob:", b"##bob:"])
def test_a_user_who_is_commented_out_cannot_log_in(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "users"
    path.write_bytes(b"ada:" + hashed("x") + b"\r\n" + line + hashed("old") + b"\n")
    assert list(problems(str(path))) == []
    users = Users(str(path))
    assert users.admit(b"ada", b"x")
    for name in (line.removesuffix(b":"), line.strip(b"\t :"), b"#bob", b"# bob", b"bob", b" bob"):
        assert not users.admit(name, b"old")


def test_check_and_use_agree(tmp_path: Path) -> None:
    """Who is named on a line without a problem can log in, and nobody else."""
    path = tmp_path / "users"
    right = hashed("x")
    words = [
        b"ada",
        b"#ada",
        b"",
        b" ",
        b"\t",
        b":",
        b"#",
        b"\xef\xbb\xbf",
        b"\r",
        b"\0",
        b"\x0c",
        b"\xff",
        b":" + right,
    ]

    @settings(max_examples=100)  # make fuzz tries more
    @given(st.lists(st.lists(st.sampled_from(words), max_size=5).map(b"".join), min_size=1, max_size=3))
    def check(lines: list[bytes]) -> None:
        path.write_bytes(b"\n".join([*lines, b"zed:" + right]))  # or the hashes for nobody would be of the usual cost
        wrong = {number for number, _ in problems(str(path))}
        users = Users(str(path))
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            name = line.partition(b":")[0]
            for spelled in {name, name.strip(), name.strip().strip(b"#"), name.removeprefix(b"\xef\xbb\xbf")}:
                if users.admit(spelled, b"x"):
                    assert any(
                        other.strip().partition(b":")[0] == spelled and place not in wrong
                        for place, other in enumerate(path.read_bytes().splitlines(), 1)
                    )
                    assert not spelled.startswith(b"#")
            if number not in wrong and line.strip().endswith(right) and not line.strip().startswith(b"#"):
                assert users.admit(line.strip().partition(b":")[0], b"x")

    check()


def test_a_file_without_users_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("# nobody\n")
    assert [text for _, text in problems(str(tmp_path / "users"))] == ["has no users: nobody could log in"]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(OSError, match=r"not a regular file|directory"):
            Users(str(path))


def test_a_rewrite_is_noticed_although_time_and_size_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_bytes(b"ada:" + hashed("old"))
    before = path.stat()
    users = Users(str(path))
    assert users.admit(b"ada", b"old")
    with path.open("r+b") as file:
        file.write(b"ada:" + hashed("new"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not users.admit(b"ada", b"old")
    assert users.admit(b"ada", b"new")


def test_set_password(tmp_path: Path) -> None:
    path = tmp_path / "users"
    set_password(str(path), "ada", "x", 4)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    set_password(str(path), "bob", "pa:ss", 4)
    set_password(str(path), "ada", "z", 4)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [line.split(b":")[0] for line in path.read_bytes().splitlines()] == [b"bob", b"ada"]
    assert list(problems(str(path))) == []
    users = Users(str(path))
    assert users.admit(b"ada", b"z")
    assert users.admit(b"bob", b"pa:ss")
    assert os.listdir(tmp_path) == ["users"]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *[("", "x"), ("a:b", "x"), ("#a", "x"), (" a", "x"), ("a\nb", "x"), ("a", ""), ("a", "x" * 73), ("a", "x\0")],
        *[("a", "x\ty"), ("a", "\x1b[A"), ("a", "\x7f")],
    ],
)
def test_a_name_or_password_that_cannot_be_taken(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"colon|bytes"):
        set_password(str(tmp_path / "users"), name, password, 4)
    assert os.listdir(tmp_path) == []
