"""Listening sockets and the clients that connect to them. Knows no HTTP."""
