"""What happens on a page while a test uses it."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Error, Page, Request, Response


class PageMonitor:
    """The responses of a page, and everything that goes wrong on it."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        self.responses: list[Response] = []
        self._page = page
        page.on("console", self._hear)
        page.on("pageerror", self._break)
        page.on("requestfailed", self._fail)
        page.on("response", self._see)

    def close(self) -> None:
        """Monitor the page no longer."""
        self._page.remove_listener("console", self._hear)
        self._page.remove_listener("pageerror", self._break)
        self._page.remove_listener("requestfailed", self._fail)
        self._page.remove_listener("response", self._see)

    def _break(self, error: Error) -> None:
        self.faults.append(str(error))

    def _fail(self, request: Request) -> None:
        self.faults.append(f"failed: {request.url} {request.failure}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _see(self, response: Response) -> None:
        self.responses.append(response)
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")
