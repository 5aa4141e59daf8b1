"""HTTP/1.0 on the connections of the core."""
