# Varnish (6 or newer) in front of one httpmini, which has
#
#     [proxies]
#     trusted = ["127.0.0.1"]             # the address of Varnish
#     client_from = "x-forwarded-for"     # Varnish adds its client there by itself
#
# Fresh responses come from memory. Others are revalidated with If-None-Match, and a 304 makes them fresh again.
#
# Who may have what has to be decided here as well. httpmini sees a request only when the cache does not have the
# response: server.deny, and limits for addresses, do not keep anybody from what others have been sent. Passwords do:
# requests with Authorization are passed on, and what is protected is never stored.
vcl 4.1;

# The addresses in server.deny.
acl denied {
    # "192.0.2.0"/24;
}

backend default {
    .host = "127.0.0.1";
    .port = "8080";
    .connect_timeout = 2s;
    .probe = {
        .url = "/";
        .interval = 2s;
        .threshold = 1;
        .initial = 1;
        .window = 2;
    }
}

sub vcl_recv {
    if (client.ip ~ denied) {
        return (synth(403));
    }
    # The status pages are for this machine.
    if (req.url ~ "^(/files)?/-/") {
        return (synth(404));
    }
    # For the same site below a prefix; httpmini need not know it.
    #set req.url = regsub(req.url, "^/files/", "/");
}

sub vcl_backend_fetch {
    # Asks httpmini to keep connections open: it does only what it is asked for.
    set bereq.http.Connection = "keep-alive";
}

sub vcl_backend_response {
    # Large files are passed on as they come, and do not push everything else out of the cache.
    if (beresp.http.Content-Length ~ "^[0-9]{8,}$") {
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
        return (deliver);
    }
    # httpmini sends no-cache unless [[rules]] says otherwise: store, but revalidate before every use. Here a response
    # may be used for ten seconds without that; browsers still revalidate. It is kept for an hour, to be revalidated.
    if (beresp.status == 200 && beresp.http.Cache-Control == "no-cache") {
        set beresp.ttl = 10s;
        set beresp.grace = 10s;
        set beresp.keep = 1h;
        return (deliver);
    }
    # Refusals say no-store, so that a file that was asked for too early appears at once. The redirection to a folder
    # says nothing, and is as short-lived: the folder may become a file.
    if (beresp.status >= 300 && !beresp.http.Cache-Control) {
        set beresp.ttl = 0s;
    }
}

sub vcl_backend_error {
    # Kept connections end when httpmini reloads or restarts; nothing was sent on them, so ask again on another.
    if (bereq.retries < 3) {
        return (retry);
    }
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
    } else {
        set resp.http.X-Cache = "miss";
    }
}
