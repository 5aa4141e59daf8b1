"""A server with a vulnerability: requests below /planted/ make it do what no request may. Run as a program."""

from __future__ import annotations

import os
import socket
import sys
from errno import EACCES

from httpmini.site import resolve
from tests.support.attempts import ATTEMPTS


def _read(path: bytes) -> int:
    return os.open(path, os.O_RDONLY)


def _write(path: bytes) -> int:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    return os.open(__file__, os.O_RDONLY)


def _connect(path: bytes) -> int:
    socket.create_connection(("127.0.0.1", int(os.path.basename(path)))).close()
    return os.open(__file__, os.O_RDONLY)


def _root(_path: bytes) -> int:
    os.setuid(0)
    return os.open(__file__, os.O_RDONLY)


def _attempt(path: bytes) -> int:
    """Do what ``/planted/attempt/NAME/TARGET`` says."""
    name, _, target = os.fsdecode(path[1:]).partition("/")
    target = f"/{target}" if "/" in target else target
    try:
        ATTEMPTS[name][1](target)
    except PermissionError as error:
        raise PermissionError(EACCES, "refused") from error
    return os.open(__file__, os.O_RDONLY)


_HOLES = {b"attempt": _attempt, b"read": _read, b"write": _write, b"connect": _connect, b"root": _root}


class _Planted(resolve.Resolver, frozen=True):
    def resolve(self, names: tuple[bytes, ...]) -> resolve.File | resolve.Directory | resolve.Fact:
        if names[:1] != (b"planted",):
            return super().resolve(names)
        try:
            fd = _HOLES[names[1]](b"/" + b"/".join(names[2:]))
        except OSError as error:
            return resolve.fact_of(error)
        return resolve.File(fd, os.fstat(fd))


if __name__ == "__main__":
    import difflib  # noqa: F401  (the user nobody may not be able to read these later)
    import tomllib  # noqa: F401

    import httpmini.cli.main
    import httpmini.cli.serve
    import httpmini.site.users  # noqa: F401
    from httpmini.daemon import build_site, sandbox, server  # noqa: F401

    build_site.Resolver = _Planted  # type: ignore[attr-defined]
    if "--no-landlock" in sys.argv:  # a system call that no kernel has
        sys.argv.remove("--no-landlock")
        sandbox._CREATE_RULESET = 100_000
    if "--as-nobody" in sys.argv:
        sys.argv.remove("--as-nobody")
        os.setuid(65534)
    from httpmini.__main__ import main

    sys.argv[0] = "httpmini"
    main()
