"""What a trace tells of connections, drawn: as a page, as text, and for programs that draw traces."""
