"""Wait until a file on a server can be told from its next version."""

from __future__ import annotations

from httpmini.client.client import Client
from httpmini.client.versions import validators
from tests.support.processes import eventually


def wait_for_date(url: str) -> None:
    """Wait until the date of a file identifies its version: some seconds after the file was made."""

    with Client() as client:

        def is_told() -> bool:
            with client.fetch(url, method="HEAD") as response:
                return validators(response.headers)[1] != ""

        eventually(is_told, f"the date of {url} tells versions apart", every_s=0.05)
