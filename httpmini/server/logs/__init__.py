"""What the server writes down: one line per response, and lines about itself."""
