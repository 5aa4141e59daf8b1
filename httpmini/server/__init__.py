"""Sockets and time. Nothing in here spells a header, but for ``http_connection.py``, which asks the writer to."""
