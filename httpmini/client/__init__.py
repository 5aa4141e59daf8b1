"""The HTTP client, which shares only ``protocol/`` with the server."""
