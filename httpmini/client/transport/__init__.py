"""One connection to a server: names, sockets, proxies, TLS, and exchanges on it."""
