"""A folder on a server and everything below it, copied."""
