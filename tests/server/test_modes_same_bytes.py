"""Every wire case gets the same bytes in every mode, over real sockets, however the request is split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from httpmini.lint.cases import CASES, Case
from httpmini.server.modes import MODES
from tests.support.answers import check
from tests.support.processes import ServerProcess
from tests.support.sans_io import answers_to
from tests.support.tables import check_all, in_batches
from tests.support.wire import converse, mask_date

# Each connection costs a fork in forking mode, so all splits are tried on one. The sans-I/O tests split every case at
# every byte.
BYTE_BY_BYTE_LIMIT = 400
PIECES = 5


@pytest.fixture(scope="module", params=sorted(MODES))
def server(request: pytest.FixtureRequest, site: Path) -> Iterator[ServerProcess]:
    running = ServerProcess([str(site), "--port", "0", "--mode", request.param])
    try:
        yield running
        descriptors = running.descriptors()
        assert descriptors < 32, "descriptors leak"
        running.assert_clean_end()
    finally:
        running.kill()


@pytest.fixture(scope="module")
def truth(site: Path) -> dict[str, bytes]:
    """Return the sans-I/O connection's response to each case, checked against the table."""
    table = {}
    for case in CASES:
        said = answers_to(site, [case.data])
        check(case, said)
        table[case.name] = mask_date(said)
    return table


@in_batches("cases", CASES)
def test_same_bytes_in_every_mode(cases: Sequence[Case], server: ServerProcess, truth: dict[str, bytes]) -> None:
    check_all(cases, lambda case: check_one(case, server, truth[case.name]))


def check_one(case: Case, server: ServerProcess, expected: bytes) -> None:
    assert mask_date(converse(server.port, [case.data])) == expected, "whole"
    small = case.data[:BYTE_BY_BYTE_LIMIT]
    octets = [*cut(small, 1), case.data[len(small) :]]
    assert mask_date(converse(server.port, filter(None, octets))) == expected, "byte by byte"
    pieces = cut(case.data, max(1, len(case.data) // PIECES))
    assert mask_date(converse(server.port, pieces)) == expected, f"in {len(pieces)} pieces"


def cut(data: bytes, length: int) -> list[bytes]:
    return [data[place : place + length] for place in range(0, len(data), length)]
