"""Folders: listings in three forms, and archives."""

from __future__ import annotations

from httpmini.lint.cases.build import HEAD, KEEP, LAST_MODIFIED, Case, Expected, ask, case, get, missing, moved, refused

# RFC 9110 §12.5.1: a folder in the form that Accept prefers.
SUB_AS_JSON = (
    b'{"path": "/sub/", "entries": ['
    b'{"name": "file.txt", "href": "./file.txt", "type": "file", "size": 7, "modified": "1994-11-06T08:49:37Z"}, '
    b'{"name": "link-up.txt", "href": "./link-up.txt", "type": "file", "size": 10, "modified": "1994-11-06T08:49:37Z"}'
    b"]}"
)

SUB_AS_TEXT = b"7\t1994-11-06T08:49:37Z\tfile.txt\n10\t1994-11-06T08:49:37Z\tlink-up.txt\n"

JSON_FIELDS: dict[str, str | None] = {
    "content-type": "application/json",
    "vary": "Accept, Accept-Encoding",
    "cache-control": "no-cache",
    "content-length": str(len(SUB_AS_JSON)),
    "last-modified": None,
}

PAGE_FIELDS: dict[str, str | None] = {**JSON_FIELDS, "content-type": "text/html; charset=utf-8"}

del PAGE_FIELDS["content-length"]

LISTINGS = (
    case(
        "a folder as JSON",
        "GET /sub/ HTTP/1.0\r\nAccept: application/json\r\n\r\n",
        Expected(200, SUB_AS_JSON, fields=JSON_FIELDS),
    ),
    case(
        "HEAD of a folder as JSON",
        "HEAD /sub/ HTTP/1.0\r\nAccept: text/*;q=0.9, application/json\r\n\r\n",
        Expected(200, head_only=True, fields=JSON_FIELDS),
    ),
    case(
        "a folder as a page, on a tie",
        "GET /sub/ HTTP/1.0\r\nAccept: application/json, */*\r\n\r\n",
        Expected(200, fields=PAGE_FIELDS),
    ),
    case(
        "a folder as text",
        "GET /sub/ HTTP/1.0\r\nAccept: text/plain\r\n\r\n",
        Expected(200, SUB_AS_TEXT, fields={**PAGE_FIELDS, "content-type": "text/plain; charset=utf-8"}),
    ),
    case(
        "a folder, filtered and sorted",
        "GET /sub/?sort=size&order=desc&q=TXT&page=1&view=x HTTP/1.0\r\nAccept: text/plain\r\n\r\n",
        Expected(200, b"".join(reversed(SUB_AS_TEXT.splitlines(keepends=True)))),
    ),
    case(
        "a folder, compressed only if that is asked for",
        "GET /sub/ HTTP/1.0\r\nAccept: text/plain\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
        Expected(200, SUB_AS_TEXT, fields={"content-encoding": None}),
    ),
    case(
        "HEAD of a folder in gzip",
        "HEAD /sub/ HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n",
        Expected(200, head_only=True, fields={"content-encoding": "gzip", "vary": "Accept, Accept-Encoding"}),
    ),
    case("a thumbnail of what is no picture", "GET /ten.txt?thumb HTTP/1.0\r\n\r\n", Expected(200, b"0123456789")),
    case(
        "an index, whatever is preferred",
        "GET /indexed/ HTTP/1.0\r\nAccept: application/json\r\n\r\n",
        Expected(200, b"an index\n", fields={"vary": None, "content-type": "text/html; charset=utf-8"}),
    ),
)

# A folder as one file; its tag depends on the change times of the files.
SUB_AS_ZIP: dict[str, str | None] = {
    "content-type": "application/zip",
    "content-length": "415",
    "content-disposition": "attachment; filename=\"sub.zip\"; filename*=UTF-8''sub.zip",
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
    "last-modified": LAST_MODIFIED,
}

SUB_AS_TAR = {**SUB_AS_ZIP, "content-type": "application/x-tar", "content-length": "3584"}

SUB_AS_TAR["content-disposition"] = "attachment; filename=\"sub.tar\"; filename*=UTF-8''sub.tar"

ARCHIVES = (
    case("a folder as zip", f"GET /sub/?zip {HEAD}", Expected(200, fields=SUB_AS_ZIP)),
    case("a folder as tar", f"GET /sub/?tar {HEAD}", Expected(200, fields=SUB_AS_TAR)),
    case("HEAD of a zip", f"HEAD /sub/?zip {HEAD}", Expected(200, head_only=True, fields=SUB_AS_ZIP)),
    case(
        "the beginning of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=0-3\r\n\r\n",
        Expected(206, b"PK\3\4", fields={"content-range": "bytes 0-3/415", "content-type": "application/zip"}),
    ),
    case(
        "the end of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=-22\r\n\r\n",
        Expected(206, fields={"content-range": "bytes 393-414/415"}),
    ),
    case(
        "the end of a tar",
        f"GET /sub/?tar HTTP/1.0\r\nRange: bytes=2560-\r\nIf-Range: {LAST_MODIFIED}\r\n\r\n",
        Expected(206, bytes(1024), fields={"content-range": "bytes 2560-3583/3584"}),
    ),
    case(
        "several parts of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=-4,0-3\r\n\r\n",
        Expected(206, fields={"content-range": None}),
    ),
    case(
        "nothing of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=415-\r\n\r\n",
        Expected(416, reason="range-unsatisfiable", fields={"content-range": "bytes */415"}),
    ),
    case("a zip that is there", "GET /sub/?zip HTTP/1.0\r\nIf-None-Match: *\r\n\r\n", Expected(304, b"")),
    case(
        "a zip of that date",
        f"GET /sub/?zip HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n",
        Expected(304, b"", fields={"last-modified": LAST_MODIFIED}),
    ),
    case(
        "another zip than that",
        'GET /sub/?zip HTTP/1.0\r\nIf-Match: "x"\r\n\r\n',
        Expected(412, reason="precondition-failed"),
    ),
    case("two archives", ask("/sub/?zip", KEEP) + ask("/sub/?tar", "close"), Expected(200), Expected(200)),
    moved("/sub?zip", "./sub/?zip"),
    get("an archive of a file", "/ten.txt?zip", b"0123456789"),
    get("a query that only begins so", "/indexed/?zip=1", b"an index\n"),
    case("the archive of a folder with an index", f"GET /indexed/?zip {HEAD}", Expected(200)),
    refused("POST of an archive", f"POST /sub/?zip {HEAD}", 405, "method-not-allowed"),
    missing("/.git/?zip"),
    missing("/link-out-dir/?zip"),
)

CASES: tuple[Case, ...] = (
    *LISTINGS,
    *ARCHIVES,
)
