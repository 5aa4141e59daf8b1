"""``httpmini mirror``: a remote folder, kept as a local folder.

    Crawler      visits the remote folders, each before those in it
    Inventory    what the listings have named, and whether they tell everything
    Fetcher      requests one file if it may have changed, and writes it
    deleter      deletes what the inventory does not name, within a bound
    Remote       listings and files over HTTP; content undoes a coding that nobody requested
    LocalCopy    files and folders on disk; below it, Tree walks the paths
    State        what is known of each local file from one run to the next
    Report       counts and sentences

The server is asked, file by file, whether the file has changed since the last run, by entity tag or date (RFC 9110
§13): one short exchange over a kept connection for each. Sizes and times from a listing would cost nothing, but a file
rewritten within its second, with the same size, would stay outdated for ever, and most listings have no exact size. The
state of a file counts only while the local file is as we left it.

Nothing outside the start folder is requested. Redirections are therefore followed here, by hand, and the client passed
in should not follow them itself (``Client(follow=False, decode=False)``; files are stored as they are sent). The
responses of a client that does follow are held to the same rule afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from httpmini.client.client import Client
from httpmini.client.mirror.crawler import Crawler
from httpmini.client.mirror.deleter import Bound, delete_surplus
from httpmini.client.mirror.fetcher import Fetcher
from httpmini.client.mirror.inventory import Inventory
from httpmini.client.mirror.listings import Entry, below, unsafe
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.remote import Remote
from httpmini.client.mirror.report import Mirrored, Report
from httpmini.client.mirror.state import State
from httpmini.client.mirror.tree import Tree
from httpmini.client.url import Url, join, parse_url
from httpmini.errors import BadUrl

MAX_ENTRIES = 100_000
MAX_DELETE_PERCENT = 50.0


def mirror(
    client: Client,
    url: str | Url,
    folder: str,
    *,
    delete: bool = False,
    dry_run: bool = False,
    sync: bool = True,
    hidden: bool = False,
    force: bool = False,
    max_delete: float = MAX_DELETE_PERCENT,
    confirm: Callable[[str], bool] | None = None,
    say: Callable[[str], None] = lambda _: None,
    entries: int = MAX_ENTRIES,
) -> Mirrored:
    """Make the local ``folder`` a copy of the folder at ``url``, and return the counts of what was done.

    Args:
        client: sends the requests; best one that neither follows redirections nor decodes, see above.
        url: of a folder with a listing, httpmini's or any page with links. A page that is not a listing is stored as
            ``index.html``, together with what it links to below itself.
        folder: a path; created if it is missing. Nothing outside it is touched, and no symlink in it is followed.
        delete: delete regular files and empty folders that are not on the server, if all listings could be read.
        dry_run: change nothing, and say what would be done.
        sync: have each file on disk before it gets its name (fsync).
        hidden: include names that begin with a dot, which are otherwise neither written nor deleted.
        force: replace files that no earlier run has written, which are otherwise skipped unless they are the same.
        max_delete: how many percent of the local files may be deleted.
        confirm: asked, with a reason, before more is deleted; None to delete nothing then.
        say: receives a sentence for everything that is done or left out, free of control characters.
        entries: the most files and folders to visit; a folder that contains itself has no end.

    Raises:
        BadUrl: ``url`` is not a folder that can be listed.
        FetchError: the first listing could not be fetched, at the start or again after a file without a response.
            What has been fetched stays. Any other trouble with a file or folder is reported and counted.
        CannotRun: the disk failed.
    """
    start = _start(url)
    report = Report(say, dry_run=dry_run)
    inventory = Inventory(report, entries, hidden=hidden)
    with closing(Tree(folder, sync=sync)) as tree:
        copy = LocalCopy(tree, dry_run=dry_run, hidden=hidden)
        bound = Bound(copy.count_files(), max_delete, confirm) if delete else None
        with _state(copy, start, inventory) as state:
            remote = Remote(client, start)
            Crawler(remote, copy, inventory, Fetcher(remote, copy, state, report, force=force)).run(start)
            if bound:
                delete_surplus(copy, inventory, report, bound)
    return report.counts


@contextmanager
def _state(copy: LocalCopy, start: Entry, inventory: Inventory) -> Iterator[State]:
    """Yield what earlier runs knew of the files, and save what this one knows, however it ends."""
    state = State(copy, start.url.text)
    complete = False
    try:
        yield state
        complete = not inventory.unknown
    finally:
        state.save(keep=inventory.names if complete else None)


def _start(url: str | Url) -> Entry:
    """Return the folder to start at: the URL with a slash at its end."""
    given = url if isinstance(url, Url) else parse_url(url)
    if "?" in given.target:
        raise BadUrl(f"{given.text}: a folder has no query; write a URL that ends in a slash")
    there = replace(given, target=given.target.removesuffix("/") + "/")
    there = replace(there, target=join(there, "./").target)  # RFC 3986 §5.2.4: without . and ..
    root = replace(there, target="/")
    inside = below(there, Entry((), root, is_folder=True))
    if inside is not None and any(map(unsafe, inside.names)):
        raise BadUrl(f"{given.text}: a folder in the path has an invalid name")
    return Entry((), there, is_folder=True)
