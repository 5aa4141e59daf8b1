"""Who may connect, how many, how often and how fast. Knows no HTTP."""
