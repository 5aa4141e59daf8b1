"""Listings of folders: which entries are shown, in which order, and as what."""
