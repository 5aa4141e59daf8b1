"""The least that a server that forks can do: accept, fork, receive, send a constant, exit: ``forks.py FILE PORT``.

Imports nothing else, because each page of memory that a child touches is copied for it.
"""

import os
import socket
import sys

with open(sys.argv[1], "rb") as file:
    BODY = file.read()
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[2])))
listener.listen(4096)
while True:
    client, _ = listener.accept()
    if os.fork() == 0:
        client.recv(65536)
        client.sendall(ANSWER)
        os._exit(0)
    client.close()
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:  # there is none any more
        pass
