"""A download that cannot come out corrupt."""
