"""The site of the wire cases: every kind of entry that a folder can hold, and a secret beside the root."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path

SECRET = b"nobody may read this\n"
BIG = bytes(range(256)) * 12_288  # 3 MiB: more than any socket buffer
MTIME = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example


_FILES = {
    "index.html": b"<h1>home</h1>\n",
    "ten.txt": b"0123456789",
    "empty.txt": b"",
    "a b.txt": b"blank\n",
    "a+b.txt": b"plus\n",
    "a;b.txt": b"semicolon\n",
    "a:b.txt": b"colon\n",
    "50%.txt": b"percent\n",
    "%41.txt": b"literally percent four one\n",
    "A.txt": b"capital A\n",
    "q?x.txt": b"question\n",
    "h#1.txt": b"hash\n",
    "picture.PNG": b"\x89PNG",
    "script.mjs": b"export {}\n",
    "noextension": b"bytes",
    "umlaut-\xc3\xbc.txt".encode("latin-1").decode("utf-8"): b"utf-8 name\n",
    "big.bin": BIG,
    ".hidden": SECRET,
    ".git/config": SECRET,
    ".well-known/x": b"well known\n",
    "sub/.well-known/x": SECRET,
    "sub/file.txt": b"in sub\n",
    "indexed/index.html": b"an index\n",
    "old/index.htm": b"an old index\n",
    "shadow/index.html/not-an-index.txt": b"the index is a folder\n",
    "empty-folder/.keep": b"",
    "..dots": SECRET,
    "quo'te\"<b>&amp;.txt": b"markup\n",
}
_OUTSIDE = {"www-secret/secret.txt": SECRET, "secret.txt": SECRET}
# Where each link leads; {root} and {base} are the folder and the one above it.
_LINKS = {
    "link-in.txt": "ten.txt",
    "link-in-absolute.txt": "{root}/ten.txt",
    "link-in-up.txt": "sub/../sub/../ten.txt",
    "link-around.txt": "../www/ten.txt",
    "link-dir": "sub",
    "link-dir-absolute": "{root}/sub",
    "link-chain.txt": "link-in.txt",
    "link-out.txt": "../secret.txt",
    "link-out-absolute.txt": "{base}/secret.txt",
    "link-out-chain.txt": "link-out.txt",
    "link-out-dir": "..",
    "link-out-sibling": "../www-secret",
    "link-system": "/etc",
    "link-broken.txt": "nothing-here",
    "link-loop": "link-loop",
    "link-loop-a": "link-loop-b",
    "link-loop-b": "link-loop-a",
    "sub/link-up.txt": "../ten.txt",
}


def make_site(base: Path) -> Path:
    """Create ``base/www`` and return its path."""
    root = base / "www"
    for folder, table in ((root, _FILES), (base, _OUTSIDE)):
        for name, content in table.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.txt"))).write_bytes(b"latin-1 name\n")
    (Path(os.fsdecode(os.fsencode(root) + b"/esc\x1b[31m\n.txt"))).write_bytes(b"control name\n")
    for name, target in _LINKS.items():
        (root / name).symlink_to(target.format(root=root, base=base))
    os.mkfifo(root / "fifo")
    os.mknod(root / "socket", stat.S_IFSOCK | 0o600)  # not bound: the path of a socket is limited to 107 bytes
    (root / "device").symlink_to("/dev/zero")
    _give_dates(root)
    return root


@cache
def shared_site() -> Path:
    """Create the site that all tests of this process share, before the table of wire cases needs its date."""
    base = tempfile.mkdtemp(prefix="httpmini-site-")
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    return make_site(Path(base))


def changed(root: Path) -> int:
    """Return the second in which every entry of the site was changed last."""
    return int((root / "ten.txt").lstat().st_ctime)


def _give_dates(root: Path) -> None:
    """Give all entries one modification time and, which takes luck, change times within one second."""
    entries = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    seconds = set[int]()
    while len(seconds) != 1:
        for entry in entries:
            os.utime(entry, (MTIME, MTIME), follow_symlinks=False)
        seconds = {int(os.lstat(entry).st_ctime) for entry in entries}
