"""What people see on a terminal while a folder is shared: drawn by a process of its own, for which nobody waits."""
