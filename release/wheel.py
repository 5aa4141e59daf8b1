"""What hatchling does for a wheel: pack the documentation and ``www/`` into one archive.

Apart from each other these files would take 50 KB more, since each is compressed by itself; and some of their names
are nothing that every installer can write. ``httpmini docs`` reads the archive (``httpmini/docs/sources.py``).
"""

from __future__ import annotations

import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Documentation(BuildHookInterface):  # type: ignore[type-arg]  # its argument is the config of any builder
    """Put the files that ``files`` in ``pyproject.toml`` matches into the archive that ``archive`` names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the archive; a package that is used where its source is needs none."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        archive = Path(self._folder.name, "archive")
        archive.write_bytes(packed(Path(self.root), self.config["files"]))
        build_data["force_include"][str(archive)] = self.config["archive"]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the archive, which is in the wheel by now."""
        if version != "editable":
            self._folder.cleanup()


def packed(root: Path, patterns: Iterable[str]) -> bytes:
    """Return files as tar.xz, which depends on nothing but their paths and contents."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for path in sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()}):
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(root).as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return lzma.compress(plain.getvalue(), preset=9 | lzma.PRESET_EXTREME)
