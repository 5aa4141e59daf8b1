"""The companion client: the same protocol/ as the server, and nothing else of it."""
