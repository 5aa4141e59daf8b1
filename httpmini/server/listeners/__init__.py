"""Listening sockets: where clients connect. Knows no HTTP."""
