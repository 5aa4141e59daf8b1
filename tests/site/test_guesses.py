"""Wrong passwords are counted for each address; right ones cost nothing."""

from __future__ import annotations

import os

import pytest

from httpmini.site.guesses import GUESSES, Guesses

BURST = int(GUESSES.per_s * GUESSES.burst_s)


class Clock:
    def __init__(self) -> None:
        self.now = 5.0  # the machine has just started

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> Guesses:
    return Guesses(clock)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"])
def test_a_burst_and_then_a_rate(guesses: Guesses, clock: Clock, host: str) -> None:
    assert [guesses.take(host) for _ in range(BURST)] == [0.0] * BURST
    assert guesses.take(host) == pytest.approx(1 / GUESSES.per_s)
    assert guesses.take(host) == pytest.approx(1 / GUESSES.per_s), "a refused guess costs nothing"
    clock.now += 1 / GUESSES.per_s
    assert guesses.take(host) == 0.0
    assert guesses.take(host) > 0.0


def test_right_passwords_are_free(guesses: Guesses) -> None:
    for _ in range(10 * BURST):
        assert guesses.take("192.0.2.1") == 0.0
        guesses.give_back("192.0.2.1")


@pytest.mark.parametrize(
    ("guesser", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::1", True),
    ],
)
def test_whose_guesses_count_together(guesses: Guesses, guesser: str, other: str, is_same: bool) -> None:
    for _ in range(BURST):
        guesses.take(guesser)
    assert (guesses.take(other) > 0) == is_same


@pytest.mark.parametrize("host", ["", "unix:"])
def test_what_is_no_address_has_no_limit(guesses: Guesses, host: str) -> None:
    assert [guesses.take(host) for _ in range(10 * BURST)] == [0.0] * 10 * BURST


def test_nobody_is_forgotten_for_others(guesses: Guesses) -> None:
    """A table of rows would have to forget one; here some others may be held back, and few are."""
    for _ in range(BURST):
        guesses.take("192.0.2.1")
    held_back = 0
    for number in range(400):
        host = f"198.51.{number // 256}.{number % 256}"
        held_back += any(guesses.take(host) for _ in range(BURST))
    assert guesses.take("192.0.2.1") > 0
    assert held_back < 20


def test_processes_count_together(guesses: Guesses) -> None:
    if os.fork() == 0:
        for _ in range(BURST):
            guesses.take("192.0.2.1")
        os._exit(0)
    os.wait()
    assert guesses.take("192.0.2.1") > 0
