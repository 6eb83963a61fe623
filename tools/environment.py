"""The clean environment in which another user, or a server for tests, runs."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# How this machine reaches package registries: needed wherever something is built.
REGISTRIES = (
    "PIP_*",
    "*_PROXY",
    "*_proxy",
    "SSL_CERT_*",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
)
# How the person, or the machine, that looks on wants it.
SESSION = ("ARGS", "CI", "NO_COLOR", "PIKU_TEST_CLUSTER", "TERM")


def passed_on(patterns: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of this process that match one of the patterns."""
    return {
        name: value
        for name, value in environ.items()
        if any(fnmatchcase(name, p) for p in patterns)
    }


def clean(*, user: str, home: str) -> dict[str, str]:
    """What a login would see, and how to reach registries."""
    return {
        **passed_on(REGISTRIES),
        "PATH": PATH,
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
    }
