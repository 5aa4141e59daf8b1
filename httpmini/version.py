"""The version, once: the package, the Server field and the User-Agent field read it here."""

__version__ = "0.2.0"
