"""A recorded connection as a wire case, in the form of ``lint/cases``."""

from __future__ import annotations

from collections.abc import Iterator

from httpmini.errors import UsageError
from httpmini.lint.answer import Answer
from httpmini.lint.replay import methods_of, request_lines, split
from httpmini.recording import Recording

_MOST_BODY_BYTES = 200  # that a case spells out
_FIRST_REFUSAL = 400
_OF_REFUSALS = ("allow", "connection", "content-range")
_TELLING = ("allow", "connection", "content-length", "content-range", "content-type", "location")


def to_case(recording: Recording, name: str) -> str:
    """Return the source of a case; other fields than the telling ones differ with time and place.

    Raises:
        UsageError: the end of the recording is missing.
    """
    if recording.is_cut:
        raise UsageError("the recording is cut: it had become too large, and a case needs all of it")
    data = recording.said("client")
    methods = methods_of(request_lines(data))
    answers = split(recording.said("server"), methods, ended=True)
    rows = [f"{name!r},", *_octets(data)]
    if len(answers) == 1 and not answers[0].status:
        rows.append(f"raw={answers[0].body!r},")
    else:
        rows += [
            _expected(answer, number < len(methods) and methods[number] == "HEAD")
            for number, answer in enumerate(answers)
        ]
    return "case(\n" + "".join(f"    {row}\n" for row in rows) + "),"


def _octets(data: bytes) -> Iterator[str]:
    """Yield the request, a literal for each of its lines."""
    lines = data.splitlines(keepends=True) or [b""]
    if len(lines) == 1:
        yield f"{lines[0]!r},"
        return
    yield f"({lines[0]!r}"
    for line in lines[1:-1]:
        yield f" {line!r}"
    yield f" {lines[-1]!r}),"


def _expected(answer: Answer, head_only: bool) -> str:
    telling = _OF_REFUSALS if answer.status >= _FIRST_REFUSAL else _TELLING
    fields = {name: value for name, value in answer.fields if name in telling}
    parts = [str(answer.status)]
    if not head_only and answer.status < _FIRST_REFUSAL and len(answer.body) <= _MOST_BODY_BYTES:
        parts.append(repr(answer.body))
    parts.append(f"fields={fields!r}")
    if head_only:
        parts.append("head_only=True")
    return f"Expected({', '.join(parts)}),"
