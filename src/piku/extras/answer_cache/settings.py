"""The settings NGINX_CACHE_* (specification, "Nginx Configuration"), and their check."""

from piku.app import checks
from piku.app.settings import Setting

_SECONDS = checks.whole(0, 10**9)


def prefixes(text: str) -> tuple[str, ...]:
    """Prefixes of URLs, separated by `|` or commas."""
    found = tuple(
        checks.url("/" + part.lstrip("/")) for part in checks.parts(text.replace("|", ","))
    )
    checks.refuse_twice(prefix.rstrip("/") for prefix in found)
    return found


# fmt: off
PREFIXES = Setting(name="NGINX_CACHE_PREFIXES", check=prefixes,
    doc="URL prefixes whose responses nginx caches: prefix1|prefix2|prefix3.")
SIZE = Setting(name="NGINX_CACHE_SIZE", default="1", check=checks.whole(1, 10000),
    doc="The most that the cache may hold, in gigabytes.")
TIME = Setting(name="NGINX_CACHE_TIME", default="3600", check=_SECONDS,
    doc="Seconds for which a response with status 200 is cached.")
CONTROL = Setting(name="NGINX_CACHE_CONTROL", default="3600", check=_SECONDS,
    doc="Seconds in the Cache-Control header of cached prefixes, unless the app sends its own.")
REDIRECTS = Setting(name="NGINX_CACHE_REDIRECTS", default="3600", check=_SECONDS,
    doc="Seconds for which a redirect is cached.")
ANY = Setting(name="NGINX_CACHE_ANY", default="3600", check=_SECONDS,
    doc="Seconds for which any other response is cached, except for server errors.")
EXPIRY = Setting(name="NGINX_CACHE_EXPIRY", default="86400", check=checks.whole(1, 10**9),
    doc="Seconds without a request after which a cached response is removed.")
PATH = Setting(name="NGINX_CACHE_PATH", check=checks.file_path,
    doc="Where nginx keeps the cache: a path in the app's cache folder, or an absolute one.")
# fmt: on
SETTINGS = (PREFIXES, SIZE, TIME, CONTROL, REDIRECTS, ANY, EXPIRY, PATH)
