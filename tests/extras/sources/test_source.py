"""Which addresses an app may be deployed from."""

import pytest

from piku.errors import PikuError
from piku.extras.sources import source


@pytest.mark.parametrize(
    ("text", "url", "ref", "host"),
    [
        ("https://github.com/me/shop", "https://github.com/me/shop", "", "github.com"),
        ("https://git.local:8443/a/b.git#main", "https://git.local:8443/a/b.git", "main", "git.local"),
        ("ssh://git@host:2222/me/shop.git#v1.0", "ssh://git@host:2222/me/shop.git", "v1.0", "host"),
        ("ssh://host/~me/shop", "ssh://host/~me/shop", "", "host"),
        ("git@github.com:me/shop.git#feature/a+b", "git@github.com:me/shop.git", "feature/a+b", "github.com"),
    ],
)  # fmt: skip
def test_accepted(text: str, url: str, ref: str, host: str) -> None:
    found = source.parse(text)
    assert (found.url, found.ref, found.host) == (url, ref, host)
    assert str(found) == text and found.by_ssh == (not url.startswith("https"))


@pytest.mark.parametrize(
    "text",
    [
        "", "#main", "shop", "../shop", "/srv/shop.git", "file:///srv/shop.git", "ext::sh -c evil",
        "http://github.com/me/shop", "git://github.com/me/shop", "--upload-pack=evil",
        "https://token@github.com/me/shop", "https://me:secret@github.com/me/shop",
        "https://-oProxyCommand=evil/x", "ssh://-oProxyCommand=evil/x", "ssh://a@-oProxyCommand=x/x",
        "git@-oProxyCommand=x:shop", "-x@host:shop", "git@host:-x", "git@host:/etc/passwd",
        "https://host/a b", "https://host/a\nb", "git@host:a::b", "ext::a@host:b", "host:shop",
        "https://host/../x", "https://host/a#", "https://host/a#-x", "https://host/a#a..b",
        "https://host/a#x.lock", "https://host/a#main:evil", "https://host/a#+main", "https://host/a#a b",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(PikuError) as error:
        source.parse(text)
    assert "secret" not in error.value.message
