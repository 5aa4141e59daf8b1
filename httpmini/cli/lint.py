"""``httpmini lint``: its flags, which server it examines, and where the findings go."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from httpmini.cli.ending import ends_like_ctrl_c
from httpmini.cli.examined import address_of, give_up
from httpmini.cli.outputs import problem_with
from httpmini.errors import HttpminiError, UsageError, visible

if TYPE_CHECKING:
    from httpmini.lint.check import Check
    from httpmini.lint.lab import Lab
    from httpmini.lint.result import Report

_PROFILES = ("1.0", "1.1", "files", "course")
_KNOWN_FILE = "/ten.txt"
_EPILOG = """\b
Exit status:
    0  no must has failed
    1  at least one has
    2  wrong usage
    4  no connection, or the command does not start
"""


@dataclass(frozen=True)
class _Flags:
    """The flags of ``lint``, named as there."""

    spawn: str | None
    profile: str
    only: str
    skip: str
    points: Path | None
    max_clients: int | None
    timeout: float
    root: Path | None
    verbose: bool
    json_file: str | None
    junit_file: str | None
    html_file: str | None
    owned: bool

    @property
    def files(self) -> list[str]:
        """The files that are written in the end."""
        return [file for file in (self.json_file, self.junit_file, self.html_file) if file is not None and file != "-"]


@click.command(short_help="Grade a server by what its clients see.", epilog=_EPILOG)
@click.argument("targets", nargs=-1, metavar="[URL]")
@click.option("--spawn", metavar="COMMAND", help="Start this server; {port} and {root} are filled in.")
@click.option("--profile", type=click.Choice(_PROFILES), default="course", show_default=True, help="Which checks.")
@click.option("--only", metavar="ID,...", default="", help="These checks or groups, of any profile.")
@click.option("--skip", metavar="ID,...", default="", help="All but these checks or groups.")
@click.option("--list", "listed", is_flag=True, help="List the checks of the profile and end.")
@click.option("--points", metavar="FILE", type=Path, help="What checks or groups are worth, in TOML: head-body = 5")
@click.option("--max-clients", metavar="N", type=click.IntRange(1, 100), help="How many it should serve at once.")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(0.1, 30),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
@click.option("--make-root", metavar="FOLDER", type=Path, help="Create the folder that URL's server has to serve; end.")
@click.option("--root", metavar="FOLDER", type=Path, help="The server at URL serves FOLDER, made by --make-root.")
@click.option("-v", "--verbose", is_flag=True, help="Show the bytes that were sent and received.")
@click.option("--json", "json_file", metavar="FILE", help="Write the findings as JSON; - is standard output.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write them as JUnit XML.")
@click.option("--html", "html_file", metavar="FILE", help="Write them as one page.")
@click.option("--merge", is_flag=True, help="Compare the servers of several files of --json, which are named instead.")
@click.option("--i-own-this-server", "owned", is_flag=True, help="Examine another host: it gets broken requests.")
def lint(targets: tuple[str, ...], listed: bool, make_root: Path | None, merge: bool, **more: Any) -> None:
    """Grade the server at URL, or the one that --spawn starts: its messages, and what several clients see of it.

    URL names a file that the server has. It gets at most 400 connections within 60 seconds.
    """
    flags = _Flags(**more)
    if listed:
        _list(_chosen(flags))
    elif make_root is not None:
        root = _make(make_root)
        click.echo(f"Serve {root}, then: httpmini lint --root {root} http://127.0.0.1:PORT/")
    elif merge:
        _merge(targets, flags)
    else:
        _check_files(flags)
        with ends_like_ctrl_c():
            report = _examine(targets, flags)
        _write([report], flags)
        sys.exit(1 if report.failed("must") else 0)


def _check_files(flags: _Flags) -> None:
    """Look whether the files can be written: nobody waits a minute to hear that they cannot."""
    for file in flags.files:
        problem = problem_with(Path(file))
        if problem:
            raise UsageError(f"{visible(file)}: cannot be written: {problem}")


def _make(folder: Path) -> Path:
    """Create the site of the cases in a new folder; return its root."""
    from httpmini.lint.cases.site_tree import make_site

    if folder.exists():
        raise UsageError(f"--make-root: {folder} exists; name a new folder")
    folder.mkdir(parents=True)
    return make_site(folder)


def _chosen(flags: _Flags) -> list[Check]:
    """Return the checks that the flags select, in order."""
    from httpmini.lint.checks import CHECKS

    only, skip = _names("--only", flags.only), _names("--skip", flags.skip)
    chosen = [
        check for check in CHECKS if only & {check.id, check.group} or (not only and flags.profile in check.profiles)
    ]
    return [check for check in chosen if not skip & {check.id, check.group}]


def _names(flag: str, text: str) -> set[str]:
    from httpmini.lint.checks import CHECKS

    names = {name.strip() for name in text.split(",") if name.strip()}
    known = {check.id for check in CHECKS} | {check.group for check in CHECKS}
    for name in sorted(names - known):
        close = get_close_matches(name, known, 1)
        raise UsageError(f"{flag}: {name} is no check and no group{f'; did you mean {close[0]}?' if close else ''}")
    return names


def _list(checks: list[Check]) -> None:
    for check in checks:
        click.echo(f"{check.id:<22} {check.group:<12} {check.level.value:<9} {check.title}  ({check.section})")


def _merge(files: tuple[str, ...], flags: _Flags) -> None:
    """Write a page about several reports."""
    from httpmini.lint.result import from_json

    if len(files) < 2 or flags.html_file is None:
        raise UsageError("--merge takes two or more files of --json, and --html FILE for the page")
    reports = []
    for file in files:
        try:
            reports.append(from_json(Path(file).read_bytes(), file))
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error
    _write(reports, flags)


def _examine(targets: tuple[str, ...], flags: _Flags) -> Report:
    """Make the checks, and print each finding as it is ready."""
    from httpmini.lint.checks import CHECKS
    from httpmini.lint.points import read_points
    from httpmini.lint.report import text
    from httpmini.lint.runner import Runner

    if len(targets) + (flags.spawn is not None) != 1:
        raise UsageError("name one server: a URL, or --spawn COMMAND")
    checks = _chosen(flags)
    points = {check.id: float(check.level.points) for check in CHECKS}
    if flags.points is not None:
        points = read_points(flags.points, CHECKS)
    quiet = flags.json_file == "-"
    with _server(targets, flags) as lab:
        try:
            report = Runner(lab, points).run(checks, flags.spawn or targets[0], flags.profile)
        except HttpminiError as error:
            give_up(error)
    for line in () if quiet else text.lines(report, verbose=flags.verbose):
        click.echo(line)
    return report


@contextlib.contextmanager
def _server(targets: tuple[str, ...], flags: _Flags) -> Iterator[Lab]:
    """Provide the server of the flags; end it afterwards if it was started here."""
    from httpmini.lint.cases.site_tree import make_site
    from httpmini.lint.lab import Lab
    from httpmini.lint.spawn import Spawned

    most = flags.max_clients or 0
    if flags.spawn is None:
        host, port, target = _address(targets[0], flags)
        yield Lab(host, port, flags.timeout, target, flags.root, max_clients=most)
        return
    with tempfile.TemporaryDirectory(prefix="httpmini-lint-") as folder:
        server = Spawned(flags.spawn, make_site(Path(folder)))
        try:
            try:
                server.start()
            except HttpminiError as error:
                give_up(error)
            yield Lab("127.0.0.1", server.port, flags.timeout, _KNOWN_FILE, server.root, server, most)
        finally:
            server.close()


def _address(url: str, flags: _Flags) -> tuple[str, int, str]:
    """Return address, port and target of the URL; this machine's own addresses are all that need no flag."""
    address, port, path = address_of(url, "broken requests", owned=flags.owned)
    if flags.root is None:
        return address, port, path
    if not (flags.root / _KNOWN_FILE[1:]).is_file():
        raise UsageError(f"--root: {flags.root} is not a folder made by --make-root")
    return address, port, _KNOWN_FILE


def _write(reports: list[Report], flags: _Flags) -> None:
    """Write the files that the flags name."""
    from httpmini.lint.report.junit import to_junit
    from httpmini.lint.report.page import to_html
    from httpmini.lint.result import to_json

    if flags.json_file is not None:
        _save(flags.json_file, to_json(reports[0]))
    if flags.junit_file is not None:
        _save(flags.junit_file, to_junit(reports[0]))
    if flags.html_file is not None:
        _save(flags.html_file, to_html(reports).encode())


def _save(file: str, data: bytes) -> None:
    if file == "-":
        click.echo(data, nl=False)
        return
    try:
        Path(file).write_bytes(data)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from error
