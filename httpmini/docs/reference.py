"""The settings and the commands as Markdown, from the declarations that the program itself uses."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from httpmini.config.hints import expected
from httpmini.config.render import toml
from httpmini.config.rows import REQUIRED, rows_of
from httpmini.config.schema import LISTS, SECTIONS


def settings() -> str:
    """Return the page of all settings."""
    lines = [
        "# Settings",
        "",
        "Every setting, as `httpmini serve -c FILE` reads it from a TOML file. `httpmini config check -c FILE` says",
        "what is wrong with a file, and `httpmini config show -c FILE` where each value comes from.",
    ]
    for section, struct in SECTIONS.items():
        lines += ["", f"## [{section}]", "", _prose(struct.__doc__), *_settings(section)]
    for section, struct in LISTS.items():
        lines += ["", f"## [[{section}]]", "", _prose(struct.__doc__), *_settings(section)]
    return "\n".join(lines) + "\n"


def _settings(section: str) -> Iterator[str]:
    for row in rows_of(section):
        default = "has to be set" if row.default is REQUIRED else f"default {_code(toml(row.default))}"
        yield f"\n### {row.key}\n\n{_plain(expected(row.type))}; {default}\n\n{_plain(row.help)}"


def commands(program: click.Group) -> str:
    """Return the page of all commands of ``program``, with their options."""
    lines = ["# Commands", "", "What `--help` says of each command."]
    for name, command in _all(program, click.Context(program, info_name="httpmini")):
        lines += ["", f"## {name}", "", *_command(name, command)]
    return "\n".join(lines) + "\n"


def _all(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with all of its name, those of groups included."""
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if command is None:
            continue
        below = click.Context(command, info_name=word, parent=context)
        if isinstance(command, click.Group):
            yield from _all(command, below)
        else:
            yield below.command_path, command


def _command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join((name, *command.collect_usage_pieces(context)))
    lines = [f"    {usage}", ""]
    lines += [_prose(command.help), ""]
    options = [option for option in command.params if isinstance(option, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    if records:
        lines += ["| option | |", "|---|---|", *(f"| {_code(flag)} | {_cell(text)} |" for flag, text in records)]
    return lines


def _prose(text: str | None) -> str:
    """Return the paragraphs of a docstring."""
    return "\n\n".join(_plain(paragraph) for paragraph in inspect.cleandoc(text or "").split("\n\n"))


def _plain(text: str) -> str:
    """Return prose of a docstring on one line, with nothing in it that Markdown would read as its own."""
    text = " ".join(text.replace("\b", "").replace("``", "`").split())
    return text.replace("[", "\\[").replace("*", "\\*").replace("<", "\\<")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`".replace("|", "\\|")
