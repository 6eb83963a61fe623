"""nginx configuration: what is wanted as data, and the one renderer that quotes it. Pure."""
