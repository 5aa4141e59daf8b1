"""Downloads that resume, and cannot come out corrupt."""
