"""The commands ``get`` and ``mirror``: their options, in sections, and the table of exit statuses."""

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
    2  wrong usage, or an invalid URL
    3  the host name could not be resolved
    4  no connection
    5  TLS failed
    6  timed out
    7  the response is not valid HTTP
    8  the response was truncated
    9  redirected too often, in a circle, or to a URL that is not followed
   10  too large
   11  the status is not a success (2xx)
   12  corrupt: wrong digest, length or version
  130  interrupted
"""


def _read_by(reader: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that parses one or several values with a function of ``httpmini.client.command.arguments``."""

    def read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        from httpmini.client.command import arguments  # imported late to keep the start of the server fast

        function = getattr(arguments, reader)
        try:
            if isinstance(value, tuple):
                return tuple(function(text) for text in value)
            return None if value is None else function(value)
        except UsageError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return read


class _Option(click.Option):
    """An option that belongs to a section of the help."""

    def __init__(self, *args: Any, section: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.section = section


class _Command(click.Command):
    """A command whose help is divided into sections."""

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
        help="Send this header field, replacing the default one; without a value, send none. May be repeated.",
    ),
    _option(
        "-u",
        "--user",
        metavar="USER[:PASSWORD]",
        help="Use Basic authentication; prompt for the password if it is left out (others can see the command line).",
    ),
    _flag("--netrc", help="Look up user name and password in ~/.netrc."),
)

_redirects = _section(
    "Redirections",
    _flag("--no-follow", help="Do not follow redirections."),
    _option(
        "--max-redirs",
        callback=_read_by("parse_count"),
        metavar="N",
        default=str(Limits().redirects),
        show_default=True,
        help="Follow at most N redirections.",
    ),
    _flag("--downgrade", help="Follow redirections from https to http too."),
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
        help="Connect to ADDRESS instead of resolving HOST. May be repeated.",
    ),
    _option("--unix-socket", metavar="PATH", help="Connect to this Unix socket."),
    _option("--proxy", metavar="URL", help="Use this proxy.  [default: http_proxy, https_proxy, no_proxy]"),
    _flag("--no-proxy", help="Use no proxy."),
)

_limits = _section(
    "Limits",
    _seconds("--connect-timeout", Timeouts().connect_s, "Seconds to wait for a connection."),
    _seconds("--first-byte-timeout", Timeouts().first_byte_s, "Seconds to wait for the first byte of the response."),
    _seconds("--silence-timeout", Timeouts().silence_s, "Seconds to wait between two pieces of the response."),
    _seconds("--max-time", None, "Seconds for each request as a whole."),
    _option(
        "--max-size", callback=_read_by("parse_size"), metavar="SIZE", help="Refuse larger bodies, such as 500K or 2G."
    ),
    _option(
        "--retries",
        callback=_read_by("parse_count"),
        metavar="N",
        default=str(Retries().times),
        show_default=True,
        help="Retry N times if the connection fails, and on 429, 502, 503 and 504.",
    ),
)


@click.command(
    cls=_Command,
    short_help="Fetch URLs to standard output or into files.",
    epilog=_STATUSES.format(incomplete="the file or standard output could not be written"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@_section(
    "Output",
    _option("-o", "--output", metavar="FILE", help="Write to FILE, replacing it if it exists; - is standard output."),
    _flag("-O", "--remote-name", help="Write to a file named by the server or the URL."),
    _flag("-f", "--force", help="Replace an existing file (-O) or a symlink (-O, -o)."),
    _flag("-I", "--head", help="Request only the head (HEAD), and print it."),
    _flag("-i", "--include", help="Print the head before the body."),
    _flag("--json", "as_json", help="Print a JSON object per URL instead: status, timings, sizes, digest, error."),
    _flag("-v", "--verbose", help="Show heads on standard error, without credentials."),
    _flag("-q", "--quiet", help="Show no progress."),
)
@_section(
    "Download",
    _option(
        "--segments",
        callback=_read_by("parse_segments"),
        metavar="N",
        default="1",
        help="Fetch N parts of a file at the same time.",
    ),
    _option(
        "--rate",
        callback=_read_by("parse_size"),
        metavar="SIZE",
        help="Limit the bytes per second, such as 500K or 2M.",
    ),
    _option(
        "--sha256", callback=_read_by("parse_sha256"), metavar="HEX", help="Require the whole file to have this digest."
    ),
    _flag("--compressed", help="Request a compressed body, and decode it."),
    _flag("--no-sync", help="Do not wait until the file is on disk; after a power cut it may be empty."),
)
@_request
@_section(
    "Request",
    _option("-X", "--method", callback=_read_by("parse_method"), metavar="METHOD", help="Use this method."),
    _option(
        "--data",
        multiple=True,
        metavar="TEXT|@FILE|@-",
        help="Send this as the body (POST); with @, the contents of a file or of standard input.",
    ),
)
@_redirects
@_routes
@_limits
def get(urls: tuple[str, ...], **flags: Any) -> None:
    """Fetch URLs to standard output or into files.

    :8080/x and localhost:8080/x are accepted as URLs.

    A file gets its name once it is complete and verified. Until then it is called NAME.part; if that exists already,
    only the missing rest is fetched, unless the file has changed meanwhile.
    """
    from httpmini.client.command.get import get as fetch_urls
    from httpmini.client.command.get_options import GetOptions

    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that a part can be saved
    sys.exit(fetch_urls(urls, GetOptions(**flags)))


@click.command(
    cls=_Command,
    short_help="Keep a local copy of a remote folder.",
    epilog=_STATUSES.format(incomplete="something was skipped or could not be written"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("url")
@click.argument("folder")
@_section(
    "Mirror",
    _flag("--delete", help="Delete files and empty folders that are not on the server."),
    _option(
        "--max-delete",
        callback=_read_by("parse_percent"),
        metavar="PERCENT",
        default="50",
        show_default=True,
        help="Ask before deleting more of the local files than this; without a terminal, delete nothing then.",
    ),
    _flag("--hidden", help="Include files and folders whose names begin with a dot."),
    _flag("-f", "--force", help="Replace files that no earlier run has written."),
    _flag("-n", "--dry-run", help="Change nothing, and say what would be done."),
    _flag("--no-sync", help="Do not wait until each file is on disk; after a power cut some may be empty."),
    _flag("-v", "--verbose", help="Show heads on standard error, without credentials."),
    _flag("-q", "--quiet", help="Report only what is skipped."),
)
@_request
@_routes
@_limits
def mirror(url: str, folder: str, **flags: Any) -> None:
    """Make FOLDER a copy of the folder at URL: one served by httpmini, or any page with links to its files.

    Only what has changed is fetched, and nothing outside the folder at URL is requested.
    """
    from httpmini.client.command.mirror import MirrorOptions, mirror_folder

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(mirror_folder(url, folder, MirrorOptions(**flags)))
