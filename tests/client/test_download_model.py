"""A download as a state machine, driven at random: cut, killed, tidied away, doubled, while the server changes.

Whatever happens, the file under the final name is always one whole version, and a download can always be finished.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import httpmini
from httpmini.errors import CannotRun, HttpminiError
from tests.support.one_file import PARTS, OneFile
from tests.support.progress import EndAfter

SIZES = (0, 10, 600_000, 900_000, 900_000)
VERSIONS = [random.Random(number).randbytes(size) for number, size in enumerate(SIZES)]

DYING = """
import sys
import httpmini
from tests.support.dying import die_before

url, path, segments, step = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
die_before(step)
with httpmini.Client(retries=httpmini.Retries(1, 0.01)) as client:
    httpmini.download(client, url, path, segments=segments, overwrite=True)
"""


class Downloads(RuleBasedStateMachine):
    """One file on a server, and one on the disk."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "x"
        self.server = OneFile(VERSIONS[2], '"0"')
        self.tags = 0
        self.may_stay = {"x", "moved"}
        self.served = {VERSIONS[2]}
        self.plan_was_removed = False

    def teardown(self) -> None:
        if hasattr(self, "server"):
            try:
                self.finish()
            finally:
                self.server.close()
                shutil.rmtree(self.folder)

    def download(self, segments: int = 1, progress: EndAfter | None = None) -> None:
        with httpmini.Client(retries=httpmini.Retries(1, 0.01)) as client:
            httpmini.download(
                client, self.server.url, self.path, segments=segments, overwrite=True, progress=progress, sync=False
            )

    @rule(number=st.sampled_from(range(len(VERSIONS))), same_tag=st.booleans())
    def change_the_file(self, number: int, same_tag: bool) -> None:
        """A strong tag is of one content; but after a rollback it is of that content again."""
        self.server.content = VERSIONS[number]
        self.served.add(VERSIONS[number])
        self.server.tag = f'"{number}"' if same_tag else self.new_tag()

    @rule()
    def change_the_tag(self) -> None:
        self.server.tag = self.new_tag()

    def new_tag(self) -> str:
        self.tags += 1
        return f'"new {self.tags}"'

    @rule()
    def send_no_tag(self) -> None:
        self.server.tag = ""

    @rule(part=st.sampled_from([*PARTS, "ignored", "404 No", "500 No"]))
    def change_the_ranges(self, part: str) -> None:
        self.server.part = part

    @rule(head=st.sampled_from(["", "tagless", "405 No"]), most=st.sampled_from([1, 2, 1000]))
    def change_the_manners(self, head: str, most: int) -> None:
        self.server.wait_until_idle()
        self.server.head, self.server.most = head, most

    @rule(cut=st.integers(0, 900_000), segments=st.sampled_from([1, 3]))
    def be_cut_off(self, cut: int, segments: int) -> None:
        self.server.cut = cut
        try:
            self.download(segments)
        except HttpminiError:
            pass
        finally:
            self.server.cut = None

    @rule(count=st.integers(1, 900_000), segments=st.sampled_from([1, 3]))
    def be_interrupted(self, count: int, segments: int) -> None:
        with suppress(HttpminiError, KeyboardInterrupt):
            self.download(segments, EndAfter(count, KeyboardInterrupt()))

    @rule(step=st.integers(1, 40), segments=st.sampled_from([1, 3]))
    def be_killed(self, step: int, segments: int) -> None:
        command = [sys.executable, "-c", DYING, self.server.url, str(self.path), str(segments), str(step)]
        done = subprocess.run(command, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode in (0, -signal.SIGKILL) or b"httpmini.errors." in done.stderr, done.stderr

    @rule(
        removed=st.sampled_from([("x.part",), ("x.part", "x.part.json"), ("x.part.json",), ("x",)]), begin=st.booleans()
    )
    def tidy_up_meanwhile(self, removed: tuple[str, ...], begin: bool) -> None:
        """And begin the same in another process, which is interrupted."""
        machine = self

        class Meddler(EndAfter):
            def __init__(self) -> None:
                self.waits = True

            def advance(self, count: int) -> None:
                if self.waits:
                    self.waits = False
                    machine.plan_was_removed |= "x.part.json" in removed
                    for name in removed:
                        (machine.folder / name).unlink(missing_ok=True)
                    if begin:
                        machine.be_interrupted(400_000, 1)

        with suppress(HttpminiError):
            self.download(1, Meddler())

    @rule(name=st.sampled_from(["x.part", "x.part.json"]))
    def move_away(self, name: str) -> None:
        if (self.folder / name).exists():
            os.replace(self.folder / name, self.folder / "moved")
            self.plan_was_removed |= name == "x.part.json"
            self.may_stay |= {f"{name}.new"}  # if a process was killed before: whose it is can no longer be proved

    @rule()
    def finish(self) -> None:
        """With a server that behaves, one more call is enough; or it says what to move away, and is right about it."""
        self.server.wait_until_idle()
        self.server.part = self.server.head = ""
        self.server.most = 1000
        try:
            self.download()
        except CannotRun as error:
            assert self.plan_was_removed, error  # noqa: PT017
            assert f"{self.path}.part exists without" in str(error)  # noqa: PT017
            os.unlink(f"{self.path}.part")
            self.download()
        self.plan_was_removed = False
        assert self.path.read_bytes() == self.server.content
        # A process that is killed while it replaces a file by another version may leave a hidden link.
        assert {name for name in os.listdir(self.folder) if not name.startswith(".x.")} <= self.may_stay

    @invariant()
    def what_has_the_name_is_one_whole_version(self) -> None:
        if hasattr(self, "path") and self.path.exists():
            assert self.path.read_bytes() in self.served


TestDownloads = Downloads.TestCase
TestDownloads.settings = settings(
    max_examples=int(os.environ.get("HTTPMINI_MODEL_EXAMPLES", "25")),
    stateful_step_count=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # what depends on time cannot be made smaller
    suppress_health_check=list(HealthCheck),
)
