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

# Each connection costs a fork in forking mode; the sans-I/O tests split every case at every byte.
BYTE_BY_BYTE_LIMIT = 400
SPLITS = 4


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
    pieces = [small[i : i + 1] for i in range(len(small))] + [case.data[len(small) :]]
    assert mask_date(converse(server.port, filter(None, pieces))) == expected, "byte by byte"
    for place in range(1, len(case.data), max(1, len(case.data) // SPLITS)):
        said = mask_date(converse(server.port, [case.data[:place], case.data[place:]]))
        assert said == expected, f"split at {place}"
