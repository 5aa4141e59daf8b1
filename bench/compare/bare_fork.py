"""The least that a forking server in Python can do: accept, fork, recv, send a constant, exit.

    python bench/compare/bare_fork.py FILE PORT

Forking mode is measured against it. Only ``os`` and ``socket`` are imported, because each page that a child writes to
is copied, and more modules are more such pages.
"""

import os
import socket
import sys


def main() -> None:
    """Answer every request with the file."""
    with open(sys.argv[1], "rb") as file:
        body = file.read()
    response = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=4096)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            client.recv(4096)
            client.sendall(response)
            os._exit(0)
        client.close()
        while _reaped():
            pass


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    main()
