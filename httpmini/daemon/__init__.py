"""The life of the process. Nothing in here ever sees a request."""
