"""The disk: a request becomes a response. Nothing in here has ever seen a socket."""
