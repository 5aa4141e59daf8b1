"""``httpmini compare``: every mode in turn, with the same real clients, measured on this machine."""
