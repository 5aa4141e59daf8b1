"""Judges of wire cases: what of a case's expectation binds any server, not only httpmini."""

from __future__ import annotations

from collections.abc import Callable

from httpmini.lint.answer import Answer
from httpmini.lint.check import fail
from httpmini.lint.lab import Session

Run = Callable[[Session], None]


def refuses(*names: str, statuses: tuple[int, ...] = ()) -> Run:
    """Return a run that requires an error for each of these cases, with one of ``statuses`` if there are any.

    A closed connection without a response is taken as a refusal, too, unless statuses are named.
    """

    def run(session: Session) -> None:
        for name in names:
            said = session.ask(of_known_file(session, session.case_data(name)))
            answer = said.answers[0]
            if not said.raw and said.ended and not statuses:
                continue
            if not said.raw:
                fail(f"{name}: nothing came")
            if statuses and answer.status not in statuses:
                fail(f"{name}: {answer}, not {' or '.join(map(str, statuses))}")
            if not 400 <= answer.status < 600:
                fail(f"{name}: {answer}, not an error")

    return run


def sends_the_file(*names: str) -> Run:
    """Return a run that requires the known file for each of these cases."""

    def run(session: Session) -> None:
        for name in names:
            session.expect_file(session.answer(of_known_file(session, session.case_data(name))), name)

    return run


def sends_what_it_names(*names: str) -> Run:
    """Return a run that requires the body that each of these cases expects."""

    def run(session: Session) -> None:
        for name in names:
            case = session.case(name)
            session.expect_body(session.answer(case.data), case.answers[0].body or b"", name)

    return run


def hides(secret: bytes, *names: str) -> Run:
    """Return a run that requires that no answer to these cases shows the secret, or succeeds."""

    def run(session: Session) -> None:
        for name in names:
            answer = session.answer(session.case(name).data)
            if secret in answer.body:
                fail(f"{name}: the file outside was sent")
            if answer.status == 200:
                fail(f"{name}: 200 with {len(answer.body):,} bytes")

    return run


def of_known_file(session: Session, data: bytes) -> bytes:
    """Return a request for the known file instead of the one that the cases use."""
    return data.replace(b"/ten.txt", session.lab.target.encode())


def has_field(answer: Answer, name: str) -> str:
    """Return the value of a field that has to be there.

    Raises:
        Failed: it is not.
    """
    value = answer.get(name)
    if value is None:
        fail(f"{answer} without the field {name.title()}")
    return value
