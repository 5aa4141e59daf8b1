"""A folder as one file: a tar or zip archive whose length is known before its first byte, and which is never stored."""
