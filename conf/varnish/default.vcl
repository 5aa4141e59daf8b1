# Varnish (6 or newer) before one httpmini, which has
#
#     [proxies]
#     trusted = ["127.0.0.1"]        # where Varnish is
#
# What is fresh is answered from memory; what is not is asked for again with If-None-Match, and a 304 makes it fresh.
vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "8080";
    .connect_timeout = 2s;
    .probe = {
        .url = "/-/health";
        .interval = 2s;
        .threshold = 1;
        .initial = 1;
        .window = 2;
    }
}

sub vcl_recv {
    # Seen from here only, and never by way of a cache.
    if (req.url ~ "^/-/") {
        return (synth(404));
    }
}

sub vcl_backend_response {
    # httpmini says no-cache unless [[rules]] says otherwise: keep, but ask before every use. For ten seconds this does not
    # ask, which is how old an answer may be; browsers still do. What is older is kept for an hour, to be asked about.
    if (beresp.status == 200 && beresp.http.Cache-Control == "no-cache") {
        set beresp.ttl = 10s;
        set beresp.grace = 10s;
        set beresp.keep = 1h;
        return (deliver);
    }
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
    } else {
        set resp.http.X-Cache = "miss";
    }
}
