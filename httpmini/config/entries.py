"""The settings of tables that may be repeated: rules, redirects and realms."""

from typing import Annotated

import msgspec

from httpmini.config.declare import example, says


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Header fields for some paths. May be repeated; if several rules set one field, the last one wins."""

    path: Annotated[
        str,
        example("/assets/**"),
        says("""A glob, matched against the decoded path of the request and against the file sent for it: * matches
        anything within a component, ? one character, ** between slashes any number of components. A glob without a
        slash matches a name in any folder."""),
    ]
    fields: Annotated[
        dict[str, str],
        example({"Cache-Control": "max-age=31536000, immutable"}),
        says("""The fields to send. They replace the server's own ("Cache-Control" is "no-cache" by default); ""
        removes one. Content-Type and Content-Encoding (for files that are stored in that coding) are for files only;
        Cache-Control and Expires are not sent with errors, which would live on in caches."""),
    ]


class RedirectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What has moved. May be repeated; the first match wins."""

    path: Annotated[
        str,
        example("/old/**"),
        says("A glob for the path of the request, as in [[rules]]."),
    ]
    to: Annotated[
        str,
        example("/new/**"),
        says("""The new location: a path, or an http or https URL. If both end in **, what the first one matches is
        appended to the second. The query is kept."""),
    ]
    permanent: Annotated[
        bool,
        says("Whether the move is permanent (301, which browsers remember) or temporary (302)."),
    ] = True


class RealmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A folder protected by a password. May be repeated; the innermost one applies.

    Without TLS the password travels unencrypted.
    """

    path: Annotated[
        str,
        example("/private/"),
        says("""The folder as it is named on disk, not percent-encoded. It is protected with everything below it,
        existing or not."""),
    ]
    name: Annotated[
        str,
        says("The text that the browser shows when it asks for the password."),
    ] = "httpmini"
    users: Annotated[
        str,
        example("users.htpasswd"),
        says("""The file of users, outside the served folder, as written by httpmini htpasswd FILE USER or htpasswd -B.
        Changes take effect at once. A relative path is relative to this file."""),
    ]
