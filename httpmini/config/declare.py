"""How settings are declared: what is said of them beside their type and their default."""

from typing import Annotated

from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0.05, le=86400.0, extra={"unit": "seconds"})]


def says(text: str) -> Meta:
    """Return the description of a setting, on one line."""
    return Meta(description=" ".join(text.split()))


def example(value: object) -> Meta:
    """Return the example of a setting that has no default."""
    return Meta(examples=[value])
