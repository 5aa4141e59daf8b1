"""A copy of a remote folder and everything below it."""
