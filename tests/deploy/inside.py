"""Inside the booted machine: run the commands of docs/deploy.md, and see that what it says is so.

Runs as root with the Python of Debian, without pytest. The first check that fails ends it, with the journal.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

CONFIG = Path("/etc/httpmini/httpmini.toml")
UNIT = Path("/etc/systemd/system/httpmini.service")
USERS = Path("/etc/httpmini/users")
LIVE = Path("/etc/letsencrypt/live/example.org")
NAMES = ("-addext", "subjectAltName=DNS:example.org")
WAIT_S = 60.0


def run(*command: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=2 * WAIT_S, check=False)


def right(*command: str, said: str = "") -> str:
    done = run(*command, said=said)
    assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout


def status_of(target: str, *, password: str = "") -> int:
    """Ask the server; it may take its time to answer, but a refused connection is an error."""
    client = http.client.HTTPConnection("127.0.0.1", 80, timeout=WAIT_S)
    fields = {"Authorization": "Basic " + base64.b64encode(password.encode()).decode()} if password else {}
    try:
        client.request("GET", target, headers=fields)
        return client.getresponse().status
    finally:
        client.close()


def shown(name: str) -> str:
    return right("systemctl", "show", "--property", name, "--value", "httpmini.service").strip()


def journal() -> str:
    right("journalctl", "--sync")
    return right("journalctl", "--unit=httpmini", "--output=cat", "--no-pager")


def process_facts(process: int) -> dict[str, str]:
    pairs = (line.partition(":") for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return {key: value.strip() for key, _, value in pairs}


def refusals_during(act: Callable[[], object], *, clients: int = 4) -> tuple[int, int]:
    """Let clients connect one after another while ``act`` runs.

    Returns:
        How many were answered, and how many were refused or cut.
    """
    over = threading.Event()
    answered: list[int] = []
    failed: list[Exception] = []

    def ask() -> None:
        while not over.is_set():
            try:
                answered.append(status_of("/file.txt"))
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)
                time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        act()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert set(answered) <= {200}, answered
    for error in failed[:3]:
        print(f"#   {error!r}")
    return len(answered), len(failed)


def starts_as_the_docs_say() -> None:
    Path("/srv/www/file.txt").write_text("hello")
    assert " 200 " in right("sh", "-ec", Path("/root/with-systemd").read_text())
    assert shown("ActiveState") == "active"
    assert "active" in right("systemctl", "status", "httpmini")
    assert "requests" in right("httpmini", "ctl", "status", "-c", str(CONFIG))


def is_confined() -> None:
    (first,) = re.findall("httpmini serving .*", journal())
    print(f"#   {first}")
    assert "sandbox Landlock+seccomp open for" in first
    facts = process_facts(int(shown("MainPID")))
    assert 61184 <= int(facts["Uid"].split()[0]) <= 65519, facts["Uid"]  # the range of DynamicUser=
    assert (facts["Seccomp"], facts["NoNewPrivs"], int(facts["CapEff"], 16)) == ("2", "1", 0)
    assert "journal" not in run("httpmini", "config", "check", "-c", str(CONFIG)).stderr


def is_activated_by_a_connection() -> None:
    right("systemctl", "stop", "httpmini.service")
    assert (shown("ActiveState"), status_of("/file.txt"), shown("ActiveState")) == ("inactive", 200, "active")


def reloads() -> None:
    process, text = shown("MainPID"), CONFIG.read_text()
    CONFIG.write_text(text.replace("[site]\n", "[site]\nlisting = false\n"))
    right("systemctl", "reload", "httpmini")
    assert (status_of("/"), shown("MainPID")) == (403, process)
    CONFIG.write_text(text)
    right("systemctl", "reload", "httpmini")
    assert (status_of("/"), shown("MainPID")) == (200, process)


def refuses_a_reload_aloud() -> None:
    text = CONFIG.read_text()
    CONFIG.write_text(text + "nonsense = 1\n")
    assert run("systemctl", "reload", "httpmini").returncode != 0
    assert "nonsense" in journal()
    assert (status_of("/file.txt"), shown("ActiveState")) == (200, "active")
    CONFIG.write_text(text)
    right("systemctl", "reload", "httpmini")


def guards_a_folder() -> None:
    """A users file that only root can read: a refusal that names it, then the way of the docs."""
    folder, text = Path("/srv/www/private"), CONFIG.read_text()
    folder.mkdir()
    (folder / "secret.txt").write_text("secret")
    right("httpmini", "htpasswd", str(USERS), "me", said="hunter2\n")
    assert (USERS.stat().st_mode & 0o777, USERS.stat().st_uid) == (0o600, 0)
    realm = '\n[[realms]]\npath = "/private"\nname = "private"\nusers = "{}"\n'
    CONFIG.write_text(text + realm.format(USERS))
    check = run("httpmini", "config", "check", "-c", str(CONFIG))
    assert f"only root can read {USERS}" in check.stderr, check
    assert run("systemctl", "reload", "httpmini").returncode != 0
    assert re.search(rf"{USERS}.*: Permission denied; this process runs as user number \d+", journal())
    CONFIG.write_text(text + realm.format("users"))
    UNIT.write_text(UNIT.read_text().replace("#SupplementaryGroups=", "SupplementaryGroups="))
    right("sh", "-ec", Path("/root/with-realms").read_text().replace("NAME", "me"), said="hunter2\n")
    target = "/private/secret.txt"
    assert (status_of(target), status_of(target, password="me:hunter2")) == (401, 200)
    assert "only root" not in run("httpmini", "config", "check", "-c", str(CONFIG)).stderr
    right("httpmini", "htpasswd", str(USERS), "me", said="changed\n")
    right("systemctl", "reload", "httpmini")
    assert (status_of(target, password="me:hunter2"), status_of(target, password="me:changed")) == (401, 200)


def restarts_without_a_refusal() -> None:
    answered, failed = refusals_during(lambda: [right("systemctl", "restart", "httpmini") for _ in range(3)])
    print(f"#   {answered} answered, {failed} refused or cut")
    assert (answered > 0, failed) == (True, 0)


def survives_a_wrong_file() -> None:
    text = CONFIG.read_text()

    def break_and_repair() -> None:
        CONFIG.write_text(text + "nonsense = 1\n")
        assert run("systemctl", "restart", "httpmini").returncode != 0
        began, end = int(shown("NRestarts")), time.monotonic() + WAIT_S
        while int(shown("NRestarts")) < began + 7:  # more than the five starts that systemd allows by default
            assert time.monotonic() < end, "systemd has given up"
            time.sleep(0.2)
        assert right("systemctl", "is-active", "httpmini.socket").strip() == "active"
        CONFIG.write_text(text)  # nothing else is done

    answered, failed = refusals_during(break_and_repair)
    print(f"#   {answered} answered, {failed} refused or cut")
    assert (answered > 0, failed) == (True, 0)


def is_restarted_when_it_hangs() -> None:
    process = int(shown("MainPID"))
    os.kill(process, signal.SIGSTOP)
    end = time.monotonic() + 2 * WAIT_S
    while shown("MainPID") in (str(process), "0") or shown("ActiveState") != "active":
        assert time.monotonic() < end, "the watchdog did not bite"
        time.sleep(0.5)
    assert status_of("/file.txt") == 200
    assert "atchdog timeout" in journal()


def certificate(days: int) -> str:
    """Make a certificate for a number of days, where certbot would, for root alone; return its fingerprint."""
    LIVE.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, chain = str(LIVE / "privkey.pem"), str(LIVE / "fullchain.pem")
    pair = ("-keyout", key, "-out", chain, "-days", str(days))
    right("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=example.org", *NAMES, *pair)
    for name in (key, chain):
        os.chmod(name, 0o600)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(chain).read_text())).hexdigest()


def served_certificate() -> str:
    """Get a file by https; return the fingerprint of the certificate that came with it."""
    context = ssl.create_default_context(cafile=str(LIVE / "fullchain.pem"))
    with (
        socket.create_connection(("127.0.0.1", 443), timeout=WAIT_S) as plain,
        context.wrap_socket(plain, server_hostname="example.org") as client,
    ):
        client.sendall(b"GET /file.txt HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(b"hello"), answer
        found = client.getpeercert(binary_form=True)
    assert found is not None
    return hashlib.sha256(found).hexdigest()


def hands_over_a_certificate() -> None:
    """LoadCredential=: files that only root can read, for a user that exists only while the service runs."""
    first = certificate(10)
    UNIT.write_text(UNIT.read_text().replace("#LoadCredential=", "LoadCredential="))
    server, _, tls = Path("/root/https.toml").read_text().partition("[tls]\n")
    CONFIG.write_text(f"{server}{CONFIG.read_text()}[tls]\n{tls}")
    right("sh", "-ec", Path("/root/with-https").read_text())
    assert (served_certificate(), status_of("/file.txt")) == (first, 200)
    assert int(process_facts(int(shown("MainPID")))["Uid"].split()[0]) != 0
    right("systemctl", "reload", "httpmini")
    second = certificate(20)
    answered, failed = refusals_during(lambda: right("systemctl", "restart", "httpmini"))
    assert (answered > 0, failed, served_certificate()) == (True, 0, second)


CHECKS = (
    starts_as_the_docs_say,
    is_confined,
    is_activated_by_a_connection,
    reloads,
    refuses_a_reload_aloud,
    restarts_without_a_refusal,
    guards_a_folder,
    survives_a_wrong_file,
    hands_over_a_certificate,
    is_restarted_when_it_hangs,
)


def main() -> None:
    """Run the checks in their order; each begins with what the one before has left."""
    for check in CHECKS:
        began = time.monotonic()
        try:
            check()
        except BaseException:
            print(f"not ok {check.__name__}\n{journal()[-6000:]}")
            print(run("systemctl", "status", "--no-pager", "--full", "httpmini.service", "httpmini.socket").stdout)
            raise
        print(f"ok {check.__name__} ({time.monotonic() - began:.1f} s)")
    print("deploy: all right")


if __name__ == "__main__":
    main()
