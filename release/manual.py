"""The manual pages, made from the same declarations as ``--help`` and ``conf/httpmini.toml``; see man-pages(7)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from httpmini.cli.main import main
from httpmini.config import expected, toml
from httpmini.config.rows import REQUIRED, Row, rows_of
from httpmini.config.schema import LISTS, SECTIONS
from httpmini.version import __version__

_STATUSES = "0: done. 1: the machine refuses. 2: wrong usage, or an error in the config file."


def manual_pages() -> dict[str, str]:
    """Return the text of each manual page, by its file name."""
    get = _command(main, "get")
    return {
        "httpmini.1": _page(_of_program()),
        "httpmini-get.1": _page(_of_get(get)),
        "httpmini.toml.5": _page(_of_settings()),
    }


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _of_program() -> Iterator[str]:
    yield from _head("httpmini", 1, "file server and client for HTTP/1.0")
    yield from (".SH SYNOPSIS", r".B httpmini", r"\fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]")
    yield from (
        ".SH DESCRIPTION",
        _text(_sentences(main)),
        "Names of commands and options can be completed in bash, zsh",
    )
    yield from (
        "and fish: the documentation of the installation says how.",
        r"\fB\-\-help\fR after any command explains it.",
        ".SH COMMANDS",
    )
    for path, command in _commands(main, "httpmini"):
        yield from (f".SS {_text(path)}", f".B {_text(path)}", _text(_usage(command)), ".PP")
        yield from _paragraphs(_sentences(command))
        if path == "httpmini get":
            yield "The options are in \\fBhttpmini-get\\fR(1)."
        else:
            yield from _options(command)
    yield from _end("EXIT STATUS", _STATUSES, r"\fBhttpmini-get\fR(1), \fBhttpmini.toml\fR(5)")


def _of_get(get: click.Command) -> Iterator[str]:
    yield from _head("httpmini-get", 1, "download over HTTP")
    yield from (".SH SYNOPSIS", ".B httpmini get", _text(_usage(get)), ".SH DESCRIPTION")
    yield from _paragraphs(_sentences(get))
    yield ".SH OPTIONS"
    yield from _options(get)
    yield from (".SH SEE ALSO", r"\fBhttpmini\fR(1)")


def _of_settings() -> Iterator[str]:
    yield from _head("httpmini.toml", 5, "settings of the httpmini server")
    yield from (".SH DESCRIPTION", "A file in TOML, named by \\fBhttpmini serve \\-c\\fR. Every setting has a default;")
    yield from ("\\fBhttpmini config check\\fR names everything that is wrong with a file, and",)
    yield from ("\\fBhttpmini config example\\fR prints one with all settings.",)
    for section, struct in (*SECTIONS.items(), *LISTS.items()):
        title = f"[[{section}]]" if section in LISTS else f"[{section}]"
        yield from (f".SH {title}", *_paragraphs(struct.__doc__ or ""))
        for row in rows_of(section):
            yield from _setting(row)
    yield from (".SH SEE ALSO", r"\fBhttpmini\fR(1)")


def _setting(row: Row) -> Iterator[str]:
    default = "No default" if row.default is REQUIRED else f"Default: {toml(row.default)}"
    yield from (".TP", rf"\fB{_text(row.name)}\fR", _text(row.help), _text(f"{default} ({expected(row.type)})."))


def _head(name: str, section: int, what: str) -> Iterator[str]:
    yield f'.TH {name.upper()} {section} "" "httpmini {__version__}"'
    yield from (".SH NAME", f"{_text(name)} \\- {what}")


def _end(title: str, text: str, see: str) -> Iterator[str]:
    yield from (f".SH {title}", text, ".SH SEE ALSO", see)


def _command(group: click.Group, name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    if command is None:
        raise LookupError(name)
    return command


def _commands(group: click.Group, above: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is no group, with the words that call it."""
    for name in group.list_commands(click.Context(group)):
        command, path = _command(group, name), f"{above} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, path)
        else:
            yield path, command


def _usage(command: click.Command) -> str:
    return " ".join(command.collect_usage_pieces(click.Context(command)))


def _sentences(command: click.Command) -> str:
    return (command.help or "").replace("\b", "").replace("``", "")


def _options(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for param in command.get_params(context):
        if not isinstance(param, click.Option) or "--help" in param.opts:  # every command has that one
            continue
        record = param.get_help_record(context)
        if record is not None:
            names, help_text = record
            yield from (".TP", rf"\fB{_text(names)}\fR", _text(help_text))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        yield from ((".PP",) if number else ())
        yield _text(paragraph)


def _text(text: str) -> str:
    """Spell text so that groff prints it: nothing in it is a request, an escape or a typographic dash."""
    line = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return rf"\&{line}" if line.startswith(".") else line


def write_pages(folder: Path) -> None:
    """Write all manual pages into ``folder``."""
    for name, text in manual_pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
