"""``httpmini get`` and ``httpmini mirror``: arguments in, files and text out."""
