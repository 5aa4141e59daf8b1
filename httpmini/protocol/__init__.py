"""Bytes to messages and back. No sockets, no files, no clock; the server and the client both stand on it."""
