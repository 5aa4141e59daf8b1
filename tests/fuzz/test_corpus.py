"""Every seed, and every input that ever failed, as an ordinary test; and a short run from the seeds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import NAMES, make_target, seeds

INPUTS = [(name, path) for name in NAMES for path in seeds(name)]
EXAMPLES = 60


@pytest.mark.parametrize(("name", "path"), INPUTS, ids=lambda value: value if isinstance(value, str) else value.name)
def test_an_input_of_the_corpus(name: str, path: Path, tmp_path: Path) -> None:
    make_target(name, tmp_path)(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run(name: str, tmp_path: Path) -> None:
    """The same inputs in every run; ``make fuzz`` looks further."""
    check, chance = make_target(name, tmp_path), random.Random(name)
    known = [path.read_bytes() for path in seeds(name)]
    for _ in range(EXAMPLES):
        data = mutated(known, chance)
        try:
            check(data)
        except Exception as error:
            raise AssertionError(f"{name} fails for {data!r}") from error


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_is_small(name: str) -> None:
    found = seeds(name)
    assert found
    assert all(path.stat().st_size <= 20_000 for path in found)
    assert sum(path.stat().st_size for path in found) <= 100_000
