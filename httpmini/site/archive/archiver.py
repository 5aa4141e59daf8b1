"""``/photos/?zip`` and ``/photos/?tar``: a folder as one file.

The steps of ``Archiver.respond``:

1. place        one archive for each address at a time                       429
2. plan         walk through the folder, in a work                           403, 404, 503
3. represent    conditions and ranges, as for any file                       412, 304, 416, 206, 200

The body is a promise: it is made while it is sent (``reader.py``).
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol
from urllib.parse import quote
from weakref import WeakValueDictionary

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request, Response
from httpmini.reasons import REASONS
from httpmini.site.archive.layout import Layout
from httpmini.site.archive.plan import Names, tag_of
from httpmini.site.archive.reader import Archive, Part, Reader
from httpmini.site.archive.sums import Sums
from httpmini.site.archive.tar import TarLayout
from httpmini.site.archive.walk import Bounds, Walk
from httpmini.site.archive.zip import ZipLayout
from httpmini.site.authorise import Realm, realm_of
from httpmini.site.conditional import validators_at
from httpmini.site.representation import Representation
from httpmini.site.resolve import Directory, FolderId, Resolver
from httpmini.site.target import Path
from httpmini.work import ARCHIVES, Steps, Work

_FORMS: dict[str, type[Layout]] = {"?zip": ZipLayout, "?tar": TarLayout}
_RETRY_AFTER = ("Retry-After", "1")
# What a name has that a terminal, a header or another system could misread: the same as in a listing, and the
# characters that Windows refuses.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"*/:<>?\\|]')


class Places(Protocol):
    """Says which addresses are being sent something of which each may have one at a time."""

    def take(self, host: str) -> bool:
        """Take the place of an address; return whether it was free."""
        ...

    def give(self, host: str) -> None:
        """Give it back."""
        ...


class Archiver:
    """Makes the archives of one site. Threads may share it.

    Args:
        resolver: decides what is visible, and opens it.
        realms: the realms of the site.
        bounds: how much an archive may cost.
        places: bounds how many an address gets at a time; None for any number.
        tell: takes lines about files that change while they are sent.
        sums: what is known of the files; shared with other processes.
    """

    def __init__(
        self,
        resolver: Resolver,
        realms: Sequence[Realm],
        bounds: Bounds,
        places: Places | None,
        tell: Callable[[str], None],
        sums: Sums,
    ) -> None:
        self._resolver = resolver
        self._realms = realms
        self._bounds = bounds
        self._places = places
        self._tell = tell
        self._sums = sums
        self._archives = WeakValueDictionary[str, Archive]()  # those that are being sent: many may want the same one

    def respond(
        self, request: Request, directory: Directory, path: Path, host: str, wall: Callable[[], float]
    ) -> Steps[Response]:
        """Respond to a request for the archive of a folder.

        Args:
            request: has the conditions and ranges.
            directory: the open folder.
            path: the requested path; its query is one of ``QUERIES``.
            host: the address of the client.
            wall: returns the time of day, in seconds since the epoch.

        Raises:
            ProtocolError: 403, 404, 412, 416, 429 or 503.
        """
        if self._places is not None and not self._places.take(host):
            raise ProtocolError(REASONS["archive-busy"], fields=(_RETRY_AFTER,))
        keep = False
        try:
            prepare()
            status = os.fstat(directory.fd)
            here = (status.st_dev, status.st_ino)
            work = Work(ARCHIVES, partial(self._find, path.names, here, _FORMS[path.sent_query]))
            yield work
            response = self._represent(request, work.result(), host, wall)
            keep = response.release is not None
            return response
        finally:
            if not keep:
                self._release(host)

    def _represent(self, request: Request, archive: Archive, host: str, wall: Callable[[], float]) -> Response:
        layout, now = archive.layout, wall()
        reader = Reader(archive, self._resolver, self._sums, wall, self._tell, partial(self._release, host))
        response = Representation(
            layout.size,
            partial(Part, reader),
            (),
            layout.media_type,
            "",
            False,
            validators_at(archive.entity_tag, layout.plan.changed_ns, now, coarse=layout.plan.is_coarse),
            (disposition(layout.plan.title, layout.form),),
        ).respond(request, now)
        if response.body:
            response.release = reader.close
        return response

    def _find(self, names: Names, here: FolderId, form: type[Layout]) -> Archive:
        """Return the archive of a folder as it is now; the same one as before if nothing has changed."""
        title = names[-1] if names else os.path.basename(self._resolver.root.rstrip(b"/")) or b"files"
        plan = Walk(self._resolver, self._bounds, self._shut_inside(names, here)).plan(names, title)
        tag = tag_of(plan, form.form)
        archive = self._archives.get(tag)
        if archive is None:
            archive = Archive(form(plan), tag, array("q", [-1]) * len(plan.members))
            self._archives[tag] = archive
        return archive

    def _shut_inside(self, names: Names, here: FolderId) -> Callable[[Names, FolderId | None], bool]:
        """Return what says whether a path is in another realm than the folder that was asked for."""
        ours = realm_of(self._realms, names)
        shut = {self._resolver.folder_id(realm.names) for realm in self._realms} - {here, None}

        def is_shut(names: Names, folder: FolderId | None) -> bool:
            return folder in shut or realm_of(self._realms, names) is not ours

        return is_shut

    def _release(self, host: str) -> None:
        if self._places is not None:
            self._places.give(host)


def prepare() -> None:
    """Import what archives need: not in a helper thread, whose locks of imports a forked child would wait for."""
    import hashlib
    import tarfile  # noqa: F401

    hashlib.blake2b()


def disposition(title: bytes, form: str) -> tuple[str, str]:
    """Return the Content-Disposition of an archive (RFC 6266 §4.3; RFC 8187 §3.2): its name, harmless everywhere."""
    name = f"{_UNSAFE.sub('_', title.decode('utf-8', 'replace'))}.{form}"
    plain = "".join(character if " " <= character <= "~" and character != "%" else "_" for character in name)
    return "Content-Disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
