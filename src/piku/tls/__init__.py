"""TLS: which certificate an app is served with, and acme.sh, which gets them from an authority.

Start in `certificate`. openssl reads and checks certificates; nothing here parses them.
"""
