"""The site: turns a request into a response, from files on disk. No sockets."""
