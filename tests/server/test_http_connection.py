"""Every wire case on a connection without sockets, delivered in every way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from httpmini.errors import ProtocolError
from httpmini.lint.cases import CASES, Case
from httpmini.protocol.message import Request, Response
from httpmini.server.core.connection import Interest
from httpmini.server.http.heads import HeadReader
from httpmini.server.http.virtual_hosts import VirtualHosts
from httpmini.server.limits.admission import Refusal
from tests.support.answers import check
from tests.support.sans_io import PEER, Conversation, answers_to, deliver
from tests.support.tables import check_all, in_batches
from tests.support.wire import mask_date

# Splitting a megabyte at every byte shows nothing that splitting its first kilobytes does not.
MOST_SPLITS = 2_000

every_case = in_batches("cases", CASES)


def test_case_names_are_different() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@every_case
def test_whole(cases: Sequence[Case], site: Path) -> None:
    check_all(cases, lambda case: check(case, answers_to(site, [case.data])))


@every_case
def test_byte_by_byte(cases: Sequence[Case], site: Path) -> None:
    def check_one(case: Case) -> None:
        small = case.data[:MOST_SPLITS]
        pieces = [small[i : i + 1] for i in range(len(small))] + [case.data[len(small) :]]
        check(case, answers_to(site, filter(None, pieces)))

    check_all(cases, check_one)


@every_case
def test_split_in_two_at_every_byte(cases: Sequence[Case], site: Path) -> None:
    def check_one(case: Case) -> None:
        whole = mask_date(answers_to(site, [case.data]))
        step = max(1, len(case.data) // 200)
        for place in range(1, len(case.data), step):
            assert mask_date(answers_to(site, filter(None, [case.data[:place], case.data[place:]]))) == whole, place

    check_all(cases, check_one)


REQUEST = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def test_each_response_has_one_log_line(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(REQUEST + b"GET /nothing HTTP/1.0\r\n\r\n")
    statuses = [line.split('" ')[1].split()[0] for line in conversation.log]
    assert statuses == ["200", "404"]


def test_an_idle_connection_ends_without_a_response(site: Path) -> None:
    conversation = Conversation(site, now=100.0)
    assert conversation.connection.deadline == 100.0 + conversation.limits.idle_s
    conversation.connection.expire(conversation.connection.deadline)
    conversation.flush()
    assert (conversation.said, conversation.log) == (b"", [])
    assert conversation.connection.interest is Interest.CLOSED


def test_more_bytes_do_not_extend_the_time_for_a_head(site: Path) -> None:
    conversation = Conversation(site)
    for second in range(5):
        conversation.hear(b"G", now=float(second))
        assert conversation.connection.deadline == conversation.limits.head_s


def test_slow_head_gets_408(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(b"GET / HT")
    conversation.connection.expire(conversation.connection.deadline)
    conversation.flush()
    assert conversation.said.startswith(b"HTTP/1.0 408 ")
    assert b"head-slow" in conversation.said
    assert '"GET / HT" 408 ' in conversation.log[0]
    assert conversation.connection.interest is Interest.LINGER


def test_the_idle_timeout_restarts_after_a_response(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(REQUEST, now=7.0)
    assert conversation.connection.interest is Interest.READ
    assert conversation.connection.deadline == 7.0 + conversation.limits.idle_s


def test_a_stalled_reader_is_cut_off_and_logged_with_the_bytes_sent(site: Path) -> None:
    conversation = Conversation(site)
    connection = conversation.connection
    deliver(connection, b"GET /ten.txt HTTP/1.0\r\n\r\n", 0.0)
    answer = connection.output[0]
    assert isinstance(answer, bytes)
    connection.sent(answer.index(b"\r\n\r\n") + 4, 1.0)
    connection.sent(4, 2.0)
    assert connection.deadline == 2.0 + conversation.limits.send_stall_s
    connection.expire(connection.deadline)
    assert (connection.interest, connection.aborted) == (Interest.CLOSED, True)
    assert '" 200 4 ' in conversation.log[0]


@pytest.mark.parametrize("taken", [None, 0, 3], ids=["not written", "nothing taken", "the head begun"])
def test_a_cached_response_that_was_cut_off_is_logged_without_earlier_ones(old_site: Path, taken: int | None) -> None:
    conversation = Conversation(old_site)
    for _ in range(3):
        conversation.hear(REQUEST)
    octets = conversation.connection.receive(REQUEST, 9.0)
    assert octets is not None, "it comes from the cache"
    if taken is not None:
        conversation.connection.send_later(octets, taken, 9.0)
    conversation.connection.lose(10.0)
    assert [line.split('" ')[1].split()[1] for line in conversation.log] == ["10", "10", "10", "-"]


def test_a_connection_lost_within_a_head_is_one_log_line(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(b"GET /ten")
    conversation.connection.lose(1.0)
    assert len(conversation.log) == 1
    assert '"GET /ten" 400 -' in conversation.log[0]


def test_lingering_is_bounded_in_bytes(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(b"\x16\x03")
    interests = []
    for data in (b"x" * conversation.limits.linger_bytes, b"x"):
        conversation.hear(data)
        interests.append(conversation.connection.interest)
    assert interests == [Interest.LINGER, Interest.CLOSED]


def test_lingering_is_bounded_in_time(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(b"\x16\x03", now=5.0)
    assert conversation.connection.deadline == 5.0 + conversation.limits.linger_s
    conversation.connection.expire(conversation.connection.deadline)
    assert conversation.connection.interest is Interest.CLOSED


@pytest.mark.parametrize(
    ("request_head", "expects_more"),
    [
        (b"GET /ten.txt HTTP/1.0\r\n\r\n", False),
        (b"GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n", True),  # it may pipeline
        (b"GET /ten.txt HTTP/1.0\r\n\r\nmore", True),
        (b"PUT /ten.txt HTTP/1.0\r\nContent-Length: 9\r\n\r\n", True),
        (b"\x16\x03", True),
    ],
)
def test_which_connections_expect_more(site: Path, request_head: bytes, expects_more: bool) -> None:
    conversation = Conversation(site)
    conversation.hear(request_head)
    assert conversation.connection.interest is Interest.LINGER
    assert conversation.connection.expects_more == expects_more


class _Broken:
    """A site that can neither respond nor render an error page."""

    def respond(self, request: Request) -> Response:
        raise OSError(24, "Too many open files")

    def refuse(self, error: ProtocolError) -> Response:
        raise OSError(24, "Too many open files")


def test_a_bug_gets_a_response_even_if_no_page_can_be_rendered(site: Path) -> None:
    conversation = Conversation(site)
    generation = conversation.service.generation
    hosts = VirtualHosts(replace(generation.hosts.default, site=_Broken()))
    heads = HeadReader(generation.head_limits, hosts)
    conversation.service.generation = replace(generation, hosts=hosts, heads=heads)
    conversation.connection = conversation.service.connect(PEER, 0.0)
    conversation.hear(b"GET /ten.txt HTTP/1.0\r\n\r\n")
    assert conversation.said.startswith(b"HTTP/1.0 500 ")
    assert b"Traceback" not in conversation.said
    assert [error.split(":")[0] for error in conversation.errors] == [
        "fault while answering 'GET /ten.txt HTTP/1.0'",
        "fault while drawing fault",
    ]


def test_draining_ends_an_idle_connection(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(REQUEST)
    conversation.connection.drain(1.0)
    assert conversation.connection.interest is Interest.CLOSED


@pytest.mark.parametrize("heard", [b"", REQUEST[:10]])
def test_retiring_lets_a_client_ask_that_has_not(site: Path, heard: bytes) -> None:
    """It was let in by a process that another one replaces, and has nothing that it could ask again."""
    conversation = Conversation(site)
    if heard:
        conversation.hear(heard)
    conversation.connection.retire(1.0)
    assert conversation.connection.interest is Interest.READ
    conversation.hear(REQUEST[len(heard) :])
    assert b"Connection: close" in conversation.said
    assert conversation.said.endswith(b"0123456789")
    assert conversation.connection.is_ending


def test_retiring_ends_a_connection_between_two_requests(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(REQUEST)
    conversation.connection.retire(1.0)
    assert conversation.connection.interest is Interest.CLOSED


def test_draining_finishes_a_request_that_has_begun(site: Path) -> None:
    conversation = Conversation(site)
    conversation.hear(REQUEST[:10])
    conversation.connection.drain(1.0)
    conversation.hear(REQUEST[10:])
    assert b"Connection: close" in conversation.said
    assert conversation.said.endswith(b"0123456789")


@pytest.mark.parametrize(
    ("refusal", "status", "token"),
    [
        (Refusal.BUSY, 503, b"too-many-clients"),
        (Refusal.CROWDED, 429, b"address-clients"),
        (Refusal.DENIED, 403, b"address-denied"),
        (Refusal.RESOURCES, 503, b"out-of-resources"),
    ],
)
def test_refusals(site: Path, refusal: Refusal, status: int, token: bytes) -> None:
    conversation = Conversation(site)
    conversation.connection = conversation.service.refuse(PEER, refusal, 0.0, 41.5)
    conversation.flush()
    assert conversation.said.startswith(f"HTTP/1.0 {status} ".encode())
    assert token in conversation.said
    assert (b"\r\nRetry-After: 42\r\n" in conversation.said) == (status != 403)
    assert conversation.connection.interest is Interest.LINGER
    assert f'"-" {status} ' in conversation.log[0]
