"""The login of a registry, for the nodes that get images from it."""

import base64
import json
from pathlib import Path

from piku import files
from piku.errors import PikuError

# What docker calls its own registry in that file.
_ALIASES = {"docker.io": "https://index.docker.io/v1/"}


def header(image: str, home: Path) -> dict[str, str]:
    """The header by which a service has its image's login (Docker Engine API, "Authentication"),
    from the file where docker and skopeo keep it; none without. Raises PikuError if it is damaged.
    """
    registry, kept = image.partition("/")[0], home / ".docker" / "config.json"
    try:
        logins = json.loads(files.read(kept) or "{}").get("auths", {})
        found = logins.get(registry) or logins.get(_ALIASES.get(registry, "")) or {}
        pair = base64.b64decode(found.get("auth", ""), validate=True).decode()
    except (ValueError, AttributeError) as error:
        raise PikuError(f"{kept} is damaged: {error}", hint=f"docker login {registry}") from None
    if not pair:
        return {}
    user, _, password = pair.partition(":")
    login = {"username": user, "password": password, "serveraddress": registry}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}
