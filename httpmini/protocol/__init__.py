"""Bytes to messages and back, for the server and the client. No sockets, no files, no clock."""
