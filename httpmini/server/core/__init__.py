"""What every server needs, whatever it speaks: bytes, time, processes. Knows no HTTP."""
