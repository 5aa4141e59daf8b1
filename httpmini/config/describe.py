"""Descriptions of settings."""

from __future__ import annotations

from msgspec import Meta


def says(text: str) -> Meta:
    """Return the description of a setting, on one line."""
    return Meta(description=" ".join(text.split()))
