"""One user in memory: who is admitted, and how often one may guess."""

from __future__ import annotations

from base64 import b64encode

import pytest

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers
from httpmini.site.authorise import Realm, authorise
from httpmini.site.one_user import OneUser
from httpmini.work import begin, finish


def ask(user: OneUser, name: str, password: str, host: str = "192.0.2.1") -> int:
    """Return 200, or the status of the refusal."""
    credentials = b64encode(f"{name}:{password}".encode()).decode()
    fields = Headers((("Authorization", f"Basic {credentials}"),))
    try:
        finish(begin(authorise([Realm((), "httpmini", user)], (b"a",), fields, host)))
    except ProtocolError as error:
        return error.reason.status
    return 200


@pytest.mark.parametrize(
    ("name", "admitted", "refused"),
    [("ada", [("ada", "pw")], [("bob", "pw"), ("", "pw")]), ("", [("ada", "pw"), ("", "pw"), ("ü", "pw")], [])],
    ids=["ada", "any"],
)
def test_who_is_admitted(name: str, admitted: list[tuple[str, str]], refused: list[tuple[str, str]]) -> None:
    user = OneUser(name, "pw")
    assert [ask(user, *one) for one in admitted] == [200] * len(admitted)
    wrong = [*refused, ("ada", ""), ("ada", "p"), ("ada", "pwx"), ("adap", "w"), ("ada", "PW")]
    assert [ask(user, *one) for one in wrong] == [401] * len(wrong)


def test_guesses_run_out_for_one_address() -> None:
    """Then the right password is no exception, or a guess would be free."""
    user = OneUser("", "pw")
    assert [ask(user, "ada", "pw") for _ in range(200)] == [200] * 200
    statuses = [ask(user, "ada", str(number)) for number in range(100)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert ask(user, "ada", "pw") == 429
    assert ask(user, "ada", "pw", "192.0.2.2") == 200
