"""``httpmini why``: explain the response to a request, without sending anything."""

from __future__ import annotations

import secrets
import sys

import click

from httpmini import config
from httpmini.cli.options import config_option
from httpmini.errors import visible

FIRST_REFUSAL = 400
_UNLIKE_THE_LOG = (
    "it does not tell every field of a request (-H adds them), and files, settings or the load were others then"
)


@click.command(short_help="Explain the response to a request.")
@click.argument("request")
@config_option
@click.option("--root", metavar="FOLDER", help="The folder to serve, in place of the file's.")
@click.option("-X", "--method", default="GET", show_default=True, metavar="METHOD", help="The method of the request.")
@click.option("-H", "--header", "fields", multiple=True, metavar="'Name: value'", help="A field of the request.")
@click.option("--as", "user", default="", metavar="USER", help="Suppose that it has the name and password of USER.")
@click.option(
    "--password",
    "guard",
    is_flag=False,
    flag_value="",
    metavar="[USER]",
    help="Suppose that the server was started with --password [USER].",
)
@click.option("--address", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where it comes from.")
def why(
    request: str,
    file: str | None,
    root: str | None,
    method: str,
    fields: tuple[str, ...],
    user: str,
    guard: str | None,
    address: str,
) -> None:
    """Say step by step what a server with the settings in FILE would answer to REQUEST.

    REQUEST is a URL, a path, or a line of the access log in JSON, which is asked again as it was asked then; "-" reads
    one of these from standard input. Nothing is sent. The exit status is 0 for a response below 400, 1 for any other
    one, and 2 for wrong usage.
    """
    from httpmini.daemon.explain import Explainer
    from httpmini.daemon.questions import ask, ask_again
    from httpmini.site.one_user import OneUser

    if request == "-":
        request = sys.stdin.readline().strip()
    question = ask_again(request, fields) if request.startswith("{") else ask(request, method, fields, address)
    settings = config.load(file, config.Flags(root=root), to_serve=file is not None and root is None)
    password = None if guard is None else OneUser(guard, secrets.token_hex())  # which nobody knows, nor has to
    explanation = Explainer(settings, password).explain(question.octets, question.address, user or question.user)
    for number, step in enumerate(explanation.steps, 1):
        click.echo(f"{number:2}  {step.name:<10}  {visible(step.text)}")
    click.echo(f" =  {visible(explanation.outcome)}")
    found = (explanation.status, explanation.reason.token if explanation.reason else "")
    if question.status and found != (question.status, question.reason):
        logged = f"{question.status} {question.reason}".rstrip()
        click.echo(f"httpmini: the log has {visible(logged)} for this; {_UNLIKE_THE_LOG}", err=True)
    sys.exit(1 if explanation.status >= FIRST_REFUSAL else 0)
