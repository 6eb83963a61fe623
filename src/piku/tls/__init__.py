"""TLS: which certificate an app is served with; the extra `certs` gets them from an authority.

Start in `certificate`. openssl reads and checks certificates; nothing here parses them.
"""
