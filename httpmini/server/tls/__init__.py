"""TLS: a connection around a connection, so that no mode and no protocol knows of it."""
