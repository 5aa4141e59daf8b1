"""The client's commands, ``get`` and ``mirror``: their flags, in sections, and the table of exit statuses."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.errors import UsageError

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Decorator = Callable[[_Function], _Function]

_STATUSES = """\b
Exit status:
    0  done
    1  {incomplete}
    2  wrong usage, or not a URL
    3  the name was not resolved
    4  no connection
    5  TLS failed
    6  timed out
    7  the answer is broken
    8  the answer ended before its end
    9  redirected too often, in a circle, or to where it is not followed
   10  too large
   11  the answer is not a success (2xx)
   12  corrupt: the digest, the length or the version is wrong
  130  interrupted
"""


def _read_by(reader: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that has a value, or each of several, read by a function of ``httpmini.client.command.arguments``."""

    def read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        from httpmini.client.command import arguments  # the server need not wait for this import

        function = getattr(arguments, reader)
        try:
            if isinstance(value, tuple):
                return tuple(function(text) for text in value)
            return None if value is None else function(value)
        except UsageError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return read


class _Option(click.Option):
    """An option that knows its section."""

    def __init__(self, *args: Any, section: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.section = section


class _Command(click.Command):
    """A command whose help has sections, and ends with the exit statuses."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", "Output"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=32)


def _section(title: str, *options: Callable[[str], _Decorator[Any]]) -> _Decorator[Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(title)(function)
        return function

    return decorate


def _option(*names: str, **more: Any) -> Callable[[str], _Decorator[Any]]:
    return lambda section: click.option(*names, cls=_Option, section=section, **more)


def _flag(*names: str, help: str) -> Callable[[str], _Decorator[Any]]:
    return _option(*names, is_flag=True, help=help)


def _seconds(name: str, default: float | None, text: str) -> Callable[[str], _Decorator[Any]]:
    shown = None if default is None else f"{default:g}"
    return _option(name, callback=_read_by("parse_seconds"), metavar="S", default=shown, show_default=True, help=text)


_request = _section(
    "Request",
    _option(
        "-H",
        "--header",
        "fields",
        callback=_read_by("parse_field"),
        multiple=True,
        metavar="'Name: value'",
        help="Send this header field, instead of ours of this name; without a value, send none. May be repeated.",
    ),
    _option(
        "-u",
        "--user",
        metavar="USER[:PASSWORD]",
        help="Basic authentication. Without the password, which others could see, it is asked for.",
    ),
    _flag("--netrc", help="Look for name and password in ~/.netrc."),
)

_redirects = _section(
    "Redirections",
    _flag("--no-follow", help="Do not follow them."),
    _option(
        "--max-redirs",
        callback=_read_by("parse_count"),
        metavar="N",
        default=str(Limits().redirects),
        show_default=True,
        help="Follow so many at most.",
    ),
    _flag("--downgrade", help="Follow them from https to http, too."),
)

_routes = _section(
    "Connection",
    _flag("-4", "--ipv4", help="Use IPv4 only."),
    _flag("-6", "--ipv6", help="Use IPv6 only."),
    _option(
        "--resolve",
        callback=_read_by("parse_override"),
        multiple=True,
        metavar="HOST:PORT:ADDRESS",
        help="Connect to ADDRESS instead of looking HOST up. May be repeated.",
    ),
    _option("--unix-socket", metavar="PATH", help="Connect to this socket."),
    _option("--proxy", metavar="URL", help="Use this proxy.  [default: http_proxy, https_proxy, no_proxy]"),
    _flag("--no-proxy", help="Use no proxy."),
)

_limits = _section(
    "Limits",
    _seconds("--connect-timeout", Timeouts().connect_s, "Until there is a connection."),
    _seconds("--first-byte-timeout", Timeouts().first_byte_s, "From the request to the first byte of the answer."),
    _seconds("--silence-timeout", Timeouts().silence_s, "Between two pieces of the answer."),
    _seconds("--max-time", None, "For each request as a whole."),
    _option("--max-size", callback=_read_by("parse_size"), metavar="SIZE", help="Refuse more, such as 500K or 2G."),
    _option(
        "--retries",
        callback=_read_by("parse_count"),
        metavar="N",
        default=str(Retries().times),
        show_default=True,
        help="Try again so often where the connection fails, and on 429, 502, 503 and 504.",
    ),
)


@click.command(
    cls=_Command,
    short_help="Fetch URLs to standard output or into files.",
    epilog=_STATUSES.format(incomplete="the file or standard output cannot be written"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@_section(
    "Output",
    _option(
        "-o", "--output", metavar="FILE", help="Write to FILE, and replace it if it is there; - is standard output."
    ),
    _flag("-O", "--remote-name", help="Write to a file named as the server or the URL says."),
    _flag("-f", "--force", help="Replace a file that has the name (-O), and a symlink (-O, -o)."),
    _flag("-I", "--head", help="Ask for the head alone (HEAD), and print it."),
    _flag("-i", "--include", help="Print the head before the body."),
    _flag("--json", "as_json", help="Print an object for each URL instead: status, timings, sizes, digest, error."),
    _flag("-v", "--verbose", help="Show the heads on standard error, but for credentials."),
    _flag("-q", "--quiet", help="Show no progress."),
)
@_section(
    "Download",
    _option(
        "--segments",
        callback=_read_by("parse_segments"),
        metavar="N",
        default="1",
        help="Fetch N parts of a file at once.",
    ),
    _option(
        "--rate", callback=_read_by("parse_size"), metavar="SIZE", help="At most so much a second, such as 500K or 2M."
    ),
    _option("--sha256", callback=_read_by("parse_sha256"), metavar="HEX", help="What all of it must come to."),
    _flag("--compressed", help="Ask for it compressed, and write what it was before."),
)
@_request
@_section(
    "Request",
    _option("-X", "--method", callback=_read_by("parse_method"), metavar="METHOD", help="Ask with this method."),
    _option(
        "--data",
        multiple=True,
        metavar="TEXT|@FILE|@-",
        help="Send this as a body (POST); with @, what is in the file or comes from standard input.",
    ),
)
@_redirects
@_routes
@_limits
def get(urls: tuple[str, ...], **flags: Any) -> None:
    """Fetch URLs to standard output or into files.

    :8080/x and localhost:8080/x will do for a URL.

    A file gets its name when all of it is there, and right. Until then it is NAME.part; if that is there already, only
    what is missing is fetched, unless the file has changed meanwhile.
    """
    from httpmini.client.command import get as command

    signal.signal(signal.SIGINT, signal.default_int_handler)  # what was begun is put in order
    sys.exit(command.get(urls, command.GetOptions(**flags)))


@click.command(
    cls=_Command,
    short_help="Keep a copy of a folder on a server.",
    epilog=_STATUSES.format(incomplete="something was skipped, or cannot be written"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("url")
@click.argument("folder")
@_section(
    "Mirror",
    _flag("--delete", help="Take away files and empty folders that are not on the server."),
    _flag("-n", "--dry-run", help="Do nothing, and say what would be done."),
    _flag("-v", "--verbose", help="Show the heads on standard error, but for credentials."),
    _flag("-q", "--quiet", help="Say only what is skipped."),
)
@_request
@_routes
@_limits
def mirror(url: str, folder: str, **flags: Any) -> None:
    """Make FOLDER what the folder at URL is: one that httpmini serves, or any page that lists its files.

    Only what has changed is fetched, and nothing outside the folder at URL is asked for.
    """
    from httpmini.client.command.mirror import MirrorOptions, mirror_folder

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(mirror_folder(url, folder, MirrorOptions(**flags)))


COMMANDS = {"get": get, "mirror": mirror}
