"""The command line: one module for each command, and ``main`` to choose among them."""
