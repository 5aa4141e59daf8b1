"""The bench: the modes of httpmini beside other servers, on one folder. ``python -m bench.compare --help``."""
