"""What a target names: files, folders, and what is not there or no target."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    ARABIC_FIVE,
    FULLWIDTH_FIVE,
    HEAD,
    LAST_MODIFIED,
    TEN,
    Case,
    Expected,
    case,
    get,
    missing,
    moved,
    refused,
)
from httpmini.lint.cases.site_tree import BIG

FILES = (
    get("ten", "/ten.txt", TEN, **{"content-type": "text/plain; charset=utf-8", "last-modified": LAST_MODIFIED}),
    get("empty file", "/empty.txt", b"", **{"content-length": "0"}),
    get("index of the root", "/", b"<h1>home</h1>\n", **{"content-type": "text/html; charset=utf-8"}),
    get("index of a folder", "/indexed/", b"an index\n"),
    get("second kind of index", "/old/", b"an old index\n"),
    get("blank", "/a%20b.txt", b"blank\n"),
    get("plus is a plus", "/a+b.txt", b"plus\n"),
    get("semicolon belongs to the name", "/a;b.txt", b"semicolon\n"),
    get("colon", "/a:b.txt", b"colon\n"),
    get("percent", "/50%25.txt", b"percent\n"),
    get("decoded once", "/%2541.txt", b"literally percent four one\n"),
    get("decoded at all", "/%41.txt", b"capital A\n"),
    get("lower-case hex", "/%61%2b%62.txt", b"plus\n"),
    get("encoded question mark", "/q%3Fx.txt", b"question\n"),
    get("encoded hash", "/h%231.txt", b"hash\n"),
    get("latin-1 octets", "/caf%E9.txt", b"latin-1 name\n"),
    get("latin-1 octets, raw", "/caf\xe9.txt", b"latin-1 name\n"),
    get("utf-8 octets", "/umlaut-%C3%BC.txt", b"utf-8 name\n"),
    get("control characters in a name", "/esc%1B[31m%0A.txt", b"control name\n"),
    get("markup in a name", "/quo'te%22%3Cb%3E&amp;.txt", b"markup\n"),
    get("query is not looked at", "/ten.txt?a=b&c", TEN),
    get("two slashes", "//sub///file.txt", b"in sub\n"),
    get("upper-case extension", "/picture.PNG", b"\x89PNG", **{"content-type": "image/png"}),
    get("module script", "/script.mjs", b"export {}\n", **{"content-type": "text/javascript; charset=utf-8"}),
    get("no extension", "/noextension", b"bytes", **{"content-type": "application/octet-stream"}),
    get("well-known", "/.well-known/x", b"well known\n"),
    get("3 MiB", "/big.bin", BIG, **{"content-length": str(len(BIG))}),
    get("link", "/link-in.txt", TEN),
    get("link, absolute", "/link-in-absolute.txt", TEN),
    get("link with dots", "/link-in-up.txt", TEN),
    get("link out and in again", "/link-around.txt", TEN),
    get("link to a folder", "/link-dir/file.txt", b"in sub\n"),
    get("link to a folder, absolute", "/link-dir-absolute/file.txt", b"in sub\n"),
    get("link to a link", "/link-chain.txt", TEN),
    get("link upwards", "/sub/link-up.txt", TEN),
    get("absolute-form", "http://example.org/ten.txt", TEN),
    get("absolute-form, any case", "HTTP://example.org:80/ten.txt", TEN),
    get("absolute-form without a path", "http://example.org", b"<h1>home</h1>\n"),
    get("absolute-form with a query", "http://example.org/ten.txt?http://x/", TEN),
)

NOT_THERE = (
    *map(
        missing,
        (
            "/nothing",
            "/ten.txt/",
            "/ten.txt/more",
            "/sub/nothing",
            "/" + "x" * 300,
            "/.hidden",
            "/.git/config",
            "/%2ehidden",
            "/%2Egit/config",
            "/sub/.well-known/x",
            "/.well-known/.hidden",
            "/..dots",
            "/../secret.txt",
            "/../www-secret/secret.txt",
            "/%2e%2e/secret.txt",
            "/.%2e/secret.txt",
            "/%2e./secret.txt",
            "/..%2fsecret.txt",
            "/sub/..%2f..%2fsecret.txt",
            "/sub/../../secret.txt",
            "/sub/../ten.txt",
            "/..",
            "/%252e%252e/secret.txt",
            "/%c0%ae%c0%ae/secret.txt",
            "/%c0%ae%c0%ae%c0%afsecret.txt",
            "/..%5csecret.txt",
            "/..\\secret.txt",
            "/%5c%5chost%5cshare",
            "/ten.txt::$DATA",
            "/ten.txt.",
            "/ten.txt%20",
            "/sub%2ffile.txt",
            "/TEN.TXT",
            "/NUL",
            "/CON.txt",
            "/link-out.txt",
            "/link-out-absolute.txt",
            "/link-out-chain.txt",
            "/link-out-dir/secret.txt",
            "/link-out-dir/",
            "/link-out-dir",
            "/link-out-sibling/secret.txt",
            "/link-system/passwd",
            "/link-broken.txt",
            "/link-loop",
            "/link-loop-a",
            "/link-loop/x",
            "/fifo",
            "/fifo/",
            "/socket",
            "/device",
        ),
    ),
    missing("http://example.org/../secret.txt"),
    missing("/" + "..%2f" * 50 + "etc/passwd"),
    missing("/" + "../" * 50 + "etc/passwd"),
    missing("/" + "a/" * 2000),
)

BAD_TARGETS = (
    *(
        missing(target, 400, "target-percent")
        for target in ("/%", "/%1", "/%zz", "/%-1", "/%+1", "/%u0041", "/a%2", "/%%41")
    ),
    *(missing(target, 400, "target-nul") for target in ("/%00", "/ten%00.txt", "/ten.txt%00.html", "/a/%00/b")),
    *(
        missing(target, 400, "target-form")
        for target in ("ten.txt", "*", "example.org:80", "ftp://example.org/ten.txt", "http:///ten.txt", "?x", "\\x")
    ),
    refused("fragment", f"GET /ten.txt#x {HEAD}", 400, "target-character"),
    refused("raw NUL", "GET /ten\0.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("raw control", "GET /ten\x01.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("DEL", "GET /ten\x7f.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("bare CR in the target", "GET /ten\r.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("raw blank", "GET /a b.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    refused("target too long", f"GET /{'x' * 8192} {HEAD}", 414, "target-long"),
    refused("line without an end", "GET /" + "x" * 20_000, 414, "target-long"),
)

FOLDERS = (
    moved("/sub", "./sub/"),
    moved("/sub?q=1&r=%20", "./sub/?q=1&r=%20"),
    moved("/sub?", "./sub/?"),
    moved("/sub?caf\xe9", "./sub/?caf%E9"),
    moved("//sub", "./sub/"),
    moved("/%73ub", "./sub/"),
    moved("/link-dir", "./link-dir/"),
    moved("/indexed", "./indexed/"),
    moved("http://evil.example/sub", "./sub/"),
    missing("//evil.example/%2e%2e"),
    missing("/sub%0d%0aSet-Cookie:x"),
    missing("/%09/evil.example"),
    missing("/%5cevil.example"),
    case("listing", f"GET /sub/ {HEAD}", Expected(200, fields={"content-type": "text/html; charset=utf-8"})),
    case("listing where the index is a folder", f"GET /shadow/ {HEAD}", Expected(200)),
    case("listing, empty", f"GET /empty-folder/ {HEAD}", Expected(200)),
    case(
        "host is not repeated", "GET /sub HTTP/1.1\r\nHost: evil\r\n\r\n", Expected(301, fields={"location": "./sub/"})
    ),
)

# A12, A64, A65, A66: percent signs.
PERCENT = (
    get("decoded letter", "/%74%65%6e%2E%74%78%74", TEN),
    get("plus, encoded", "/a%2Bb.txt", b"plus\n"),
    get("semicolon, encoded", "/a%3Bb.txt", b"semicolon\n"),
    get("NUL in the query", "/ten.txt?%00", TEN),
    get("bad percent in the query", "/ten.txt?%zz&%", TEN),
    missing("/a%20b%20.txt"),
    missing("/a%2fb.txt"),
    missing("/a%2520b.txt"),
    missing("/ten.txt%2500"),
    missing("/%2F"),
    missing("/sub%2F"),
    *(
        missing(target, 400, "target-percent")
        for target in (
            "/%2",
            "/%g1",
            "/%1g",
            "/%0x41",
            "/%x41",
            "/%_1",
            "/%1_",
            "/%.1",
            "/%\xb2\xb3",
            f"/%{ARABIC_FIVE}1",
            f"/%4{FULLWIDTH_FIVE}",
            "/%4/1",
            "/a%?b",
            "http://example.org/%",
        )
    ),
    *(missing(target, 400, "target-nul") for target in ("/sub%00/file.txt", "/%00%00", "http://example.org/a%00")),
)

# A60, A61, A63, T-DEV, T-83, T-CASE: there is nothing outside, and no other spelling of a name. The secret stands
# beside the root, and in a folder whose name begins as the root's does.
# RFC 3986 §5.2.4, §6.2.2.2: a single dot is no step, wherever it is and however it is written.
SINGLE_DOTS = (
    *(
        get(f"single dot {target}", target, TEN)
        for target in ("/./ten.txt", "/././ten.txt", "/%2e/ten.txt", "/%2E/./ten.txt", "/.//./ten.txt")
    ),
    get("single dot in absolute-form", "http://example.org/./ten.txt", TEN),
    get("single dot, and a query", "/./ten.txt?./..", TEN),
    get("single dot inside", "/sub/./file.txt", b"in sub\n"),
    get("single dot at the end of an index", "/indexed/.", b"an index\n"),
    get("single dot, encoded, at the end of an index", "/indexed/%2e", b"an index\n"),
    get("single dot as the root", "/.", b"<h1>home</h1>\n"),
    moved("/./sub", "./sub/"),
    missing("/./.hidden"),
    missing("/./.git/config"),
    missing("/sub/./.well-known/x"),
    missing("/ten.txt/./"),
    get("single dot before .well-known", "/./.well-known/x", b"well known\n"),
)

# A70, T-REDIR: a folder's name gets its slash, and nothing else.
REDIRECTS = (
    moved("////sub", "./sub/"),
    moved("/sub?//evil.example/", "./sub/?//evil.example/"),
    moved("/sub?%0d%0aSet-Cookie:x=y", "./sub/?%0d%0aSet-Cookie:x=y"),
    moved('/sub?"<>\\^`{|}', "./sub/?%22%3C%3E%5C%5E%60%7B%7C%7D"),  # a sender keeps to the grammar (RFC 9110 §2.2)
    moved("http://evil.example//sub", "./sub/"),
    missing("http://u:p@evil.example/sub?q", 400, "target-userinfo"),
    missing("https://@example.org/ten.txt", 400, "target-userinfo"),
    *map(
        missing,
        (
            "//evil.example/..%2f..",
            "///evil.example",
            "//evil.example/%2f..",
            "/%2f%2fevil.example",
            "/\\evil.example",
            "/\\\\evil.example/%2e%2e",
            "/evil.example%2f..",
            "/%0d%0aSet-Cookie:%20x=y",
            "/sub%0d",
            "/sub%20",
        ),
    ),
)

CASES: tuple[Case, ...] = (
    *FILES,
    *NOT_THERE,
    *BAD_TARGETS,
    *FOLDERS,
    *PERCENT,
    *SINGLE_DOTS,
    *REDIRECTS,
)
