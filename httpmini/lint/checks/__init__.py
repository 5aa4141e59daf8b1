"""All checks, in the order of their reports. Each file has the checks of one group or two."""

from httpmini.lint.check import Check
from httpmini.lint.checks.behaviour import BEHAVIOUR
from httpmini.lint.checks.conditions import CONDITIONS
from httpmini.lint.checks.connections import CONNECTIONS
from httpmini.lint.checks.containment import CONTAINMENT
from httpmini.lint.checks.files import FILES
from httpmini.lint.checks.framing import FRAMING
from httpmini.lint.checks.heads import HEADS
from httpmini.lint.checks.messages import MESSAGES
from httpmini.lint.checks.names import NAMES
from httpmini.lint.checks.processes import PROCESSES
from httpmini.lint.checks.ranges import RANGES

CHECKS: tuple[Check, ...] = (
    *MESSAGES,
    *FILES,
    *HEADS,
    *FRAMING,
    *CONDITIONS,
    *RANGES,
    *NAMES,
    *CONTAINMENT,
    *CONNECTIONS,
    *BEHAVIOUR,
    *PROCESSES,
)
