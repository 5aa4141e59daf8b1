"""Run the fuzzer: ``python -m tests.fuzz --minutes 10 [TARGET...]``, as ``make fuzz`` does.

Each target gets an equal share of the time, in a process of its own. With atheris (the extra ``fuzz``) the fuzzer sees
which lines an input reaches, and keeps those that reach new ones in test-artefacts/fuzz; without it, inputs are made
from the seeds. An input that fails is put into the corpus, where it stays as a test.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

WORK = Path(__file__).parents[2] / "test-artefacts" / "fuzz"
MOST_BYTES = 2048
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz")
    arguments.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    arguments.add_argument("--alone", type=float, help=argparse.SUPPRESS)  # seconds: run one target in this process
    arguments.add_argument("targets", nargs="*")
    given = arguments.parse_args()
    if given.alone is not None:
        run_alone(given.targets[0], given.alone)
        return 0
    from tests.fuzz.targets import NAMES

    names = given.targets or list(NAMES)
    seconds = max(1.0, given.minutes * 60 / len(names))
    failed = [name for name in names if not run(name, seconds)]
    print(f"failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def run(name: str, seconds: float) -> bool:
    """Run one target for a time; print how often it ran, keep what failed, return whether nothing did."""
    command = [sys.executable, "-m", "tests.fuzz", "--alone", str(seconds), name]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    count = re.findall(r"(?:number_of_executed_units: |executions: |Done )(\d+)", said)
    print(f"{name}: {count[-1] if count else '?'} executions", flush=True)
    if done.returncode == 0:
        return True
    print(said[-6000:])
    for path in (WORK / name).glob("crash-*"):
        keep(name, path.read_bytes())
        path.unlink()
    return False


def keep(name: str, data: bytes) -> None:
    """Put an input that failed into the corpus."""
    from tests.fuzz.targets import CORPUS

    path = CORPUS / name / f"failed-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"kept as {path}")


def run_alone(name: str, seconds: float) -> None:
    work = WORK / name
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if HAS_ATHERIS:
            run_guided(name, seconds, work, Path(folder))
        else:
            run_unguided(name, seconds, work, Path(folder))


def run_guided(name: str, seconds: float, work: Path, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["httpmini"]):
        from tests.fuzz.targets import CORPUS, make_target
    check = make_target(name, folder)
    found = work / "found"
    found.mkdir(exist_ok=True)
    options = [f"-max_total_time={int(seconds)}", f"-max_len={MOST_BYTES}", "-print_final_stats=1", "-verbosity=0"]
    options += [f"-artifact_prefix={work}/", "-timeout=60", "-rss_limit_mb=1024"]
    atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / name)], check)
    atheris.Fuzz()


def run_unguided(name: str, seconds: float, work: Path, folder: Path) -> None:
    from tests.fuzz.mutate import mutated
    from tests.fuzz.targets import make_target, seeds

    check, chance = make_target(name, folder), random.Random()
    known = [path.read_bytes() for path in seeds(name)]
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = mutated(known, chance)[:MOST_BYTES]
        count += 1
        try:
            check(data)
        except Exception:
            traceback.print_exc()
            (work / "crash-unguided").write_bytes(data)
            print(f"executions: {count}")
            sys.exit(1)
    print(f"executions: {count}")


if __name__ == "__main__":
    sys.exit(main())
