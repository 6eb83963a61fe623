"""nginx configuration: what any text becomes, and what sites become."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import records
from piku.deploy import live_sites, releases
from piku.errors import PikuError
from piku.nginx import service
from piku.nginx.directives import Raw, block, d, render
from piku.nginx.main_config import default_config
from piku.nginx.site import Platform, Site, SiteState, Static
from piku.nginx.vhost import directives
from piku.paths import AppName, Paths
from tests.unit.nginx.nginx_words import named, read

SITE = Site(
    app="shop",
    names=("shop.example",),
    serving="web",
    upstreams=("127.0.0.1:20000",),
)
AROUND = SiteState(certificate="/r/nginx/shop@1.pem")


def app_config(site: Site, platform: Platform, state: SiteState) -> str:
    return render(directives(site, platform, state))


HOSTILE = st.text(";{}\"'\\ \t$#~=*^@%/.:abn)(éß漢", max_size=12)


@given(st.lists(HOSTILE | st.text(max_size=20), max_size=4))
def test_an_argument_is_refused_or_comes_back_as_it_was(arguments: list[str]) -> None:
    inner = d("name", *arguments)
    try:
        text = render([inner, block("outer", arguments, [inner])])
    except PikuError as error:
        assert "cannot be given to nginx" in error.message
        assert any(char == "$" or ord(char) < 32 or ord(char) == 127 for char in "".join(arguments))
        return
    name = (("name", *arguments), None)
    assert read(text) == [name, (("outer", *arguments), [name])]


@given(st.text(max_size=5), st.sampled_from("$\n\r\0\x1b\x7f\ud800\udcff"), st.text(max_size=5))
def test_what_nginx_cannot_hold_is_refused_by_name(before: str, bad: str, after: str) -> None:
    with pytest.raises(PikuError, match="cannot be given to nginx: it contains"):
        render([d("name", before + bad + after)])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a/b.c", "a/b.c"), ("", '""'), ("a b", '"a b"'), ("a;b", '"a;b"'), ("a{b", '"a{b"'), ("}", '"}"'),
        ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("#a", '"#a"'), ("'a'", "\"'a'\""), ("été", "été"),
    ],
)  # fmt: skip
def test_quotes_only_where_they_are_needed(text: str, shown: str) -> None:
    assert render([d("x", text)]) == f"x {shown};\n"


def test_numbers_and_our_own_variables() -> None:
    assert render([d("x", 301, Raw("https://$host"))]) == "x 301 https://$host;\n"


def test_blocks_are_indented() -> None:
    text = render([block("a", ("b",), [d("c"), block("d", (), [d("e")])])])
    assert text == "a b {\n    c;\n    d {\n        e;\n    }\n}\n"


# --- sites ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "platform", "http", "https"),
    [
        ({}, {}, ["0.0.0.0:80"], ["0.0.0.0:443"]),
        ({}, {"ipv6": True}, ["0.0.0.0:80", "[::]:80"], ["0.0.0.0:443", "[::]:443"]),
        ({"DISABLE_IPV6": "true"}, {"ipv6": True}, ["0.0.0.0:80"], ["0.0.0.0:443"]),
        ({"NGINX_IPV4_ADDRESS": "10.0.0.1"}, {"ipv6": True}, ["10.0.0.1:80", "[::]:80"], ["10.0.0.1:443", "[::]:443"]),
        ({"NGINX_IPV6_ADDRESS": "fd00::1"}, {"ipv6": True}, ["0.0.0.0:80", "[fd00::1]:80"], ["0.0.0.0:443",
        "[fd00::1]:443"]),
        ({"NGINX_IPV6_ADDRESS": "fd00::1"}, {"ipv6": False}, ["0.0.0.0:80"], ["0.0.0.0:443"]),
        (
            {}, {"ipv6": True, "host": "127.0.0.1", "http_port": 8080, "https_port": 8443},
            ["127.0.0.1:8080"], ["127.0.0.1:8443"],
        ),
    ],
)  # fmt: skip
def test_where_nginx_listens(
    values: dict[str, str], platform: dict[str, object], http: list[str], https: list[str]
) -> None:
    config = app_config(replace(SITE, values=values), Platform(**platform), AROUND)  # type: ignore[arg-type]
    assert [words[0] for words in named(config, "listen") if "ssl" not in words] == http
    assert [words[0] for words in named(config, "listen") if "ssl" in words] == https


@pytest.mark.parametrize(
    ("port", "target"),
    [(443, "https://$host$request_uri"), (8443, "https://$host:8443$request_uri")],
)
def test_a_redirect_keeps_the_asked_host_and_path(port: int, target: str) -> None:
    config = app_config(
        replace(SITE, values={"NGINX_HTTPS_ONLY": "true"}), Platform(https_port=port), AROUND
    )
    assert named(config, "return")[0] == ["301", target]
    assert len(named(config, "server_name")) == 2


def test_candidates_bind_nothing_but_sockets_of_their_own() -> None:
    own = {"NGINX_IPV4_ADDRESS": "192.0.2.1", "NGINX_IPV6_ADDRESS": "2001:db8::1"}
    site = replace(SITE, values=own)
    config = app_config(site, Platform(ipv6=True, check_dir="/scratch"), AROUND)
    places = [words[0] for words in named(config, "listen")]
    assert len(set(places)) == 4
    assert all(place.startswith("unix:/scratch/") for place in places)


def test_every_listener_has_a_server_for_unknown_hosts() -> None:
    own = {"NGINX_IPV4_ADDRESS": "10.0.0.1"}
    both = {**own, "NGINX_IPV6_ADDRESS": "::1"}
    sites = [SITE, replace(SITE, app="b", values=own), replace(SITE, app="c", values=both)]
    platform = Platform(ipv6=True)
    default = default_config(sites, platform)
    have = [words[0] for words in named(default, "listen")]
    wanted = {w[0] for site in sites for w in named(app_config(site, platform, AROUND), "listen")}
    assert wanted <= set(have)
    assert len(have) == len(set(have))
    assert all("default_server" in words for words in named(default, "listen"))
    assert {words[0] for words in named(default, "return")} == {"444"}
    assert named(default, "ssl_reject_handshake") == [["on"]]


def test_files_with_secrets_are_denied_and_git_folders_unless_allowed() -> None:
    allowed = replace(SITE, values={"NGINX_ALLOW_GIT_FOLDERS": "true"})
    for site, git in ((SITE, True), (allowed, False)):
        (pattern,) = (
            words[1]
            for words in named(app_config(site, Platform(), AROUND), "location")
            if words[0] == "~"
        )
        for path in ("/.env", "/a/.env.local", "/.htpasswd", "/.npmrc"):
            assert re.search(pattern, path), path
        assert bool(re.search(pattern, "/a/.git/config")) == git
        for path in ("/.well-known/security.txt", "/env", "/a.env", "/.nojekyll"):
            assert not re.search(pattern, path), path


def test_an_app_without_processes_says_503() -> None:
    config = app_config(replace(SITE, serving="", upstreams=()), Platform(), AROUND)
    assert ["503"] in named(config, "return")
    assert named(config, "upstream") == []


# --- what the real nginx says --------------------------------------------------------------------


HARD = [
    " ",
    "a b",
    "a;b{c}",
    "it's",
    'say "x"',
    "back\\slash",
    "~",
    "=",
    "^~",
    "#x",
    "a\\",
    "\\n",
    "é",
    "%41",
    "*",
]


def complete(paths: Paths, site: Site) -> service.Sites:
    """A site with what is around it, as the deploy looks it up."""
    name = AppName(site.app)
    return {name: live_sites.states(paths, {name: site})[0][name]}


def test_the_real_nginx_reads_what_we_quote(paths: Paths) -> None:
    for number, text in enumerate(HARD):
        site = replace(
            SITE, app=f"a{number}", static=(Static(prefix="/", path=f"/srv/{text}", links=(text, f"{text}/index.html")),),
            names=(f"h{number}",),
        )  # fmt: skip
        service.check(paths, complete(paths, site))


def test_the_real_nginx_judges_and_its_words_are_handed_on(paths: Paths) -> None:
    ours = paths.root / "copy-of-include"
    ours.write_text("client_max_body_size 1m;\nno_such_directive on;\n")
    sites = complete(
        paths, replace(SITE, include=str(ours), values={"NGINX_INCLUDE_FILE": "nginx/mine.conf"})
    )
    with pytest.raises(
        PikuError, match=r'unknown directive "no_such_directive" in nginx/mine.conf:2'
    ) as error:
        service.check(paths, sites)
    assert str(paths.root) not in error.value.message
    ours.write_text("client_max_body_size 1m;\n}\nserver {\n")
    with pytest.raises(PikuError, match="nginx refuses the configuration: unexpected"):
        service.check(paths, sites)
    ours.write_text("client_max_body_size 1m;\n")
    service.check(paths, sites)


def test_installing_writes_exactly_what_is_wanted(paths: Paths) -> None:
    sites = complete(paths, SITE)
    assert service.install(paths, sites)
    # Until nginx has taken it up, there is something to reload, also for the next command.
    assert service.install(paths, sites)
    service.reload(paths)
    assert not service.install(paths, sites)
    conf = paths.app(AppName("shop")).nginx
    assert "shop.example" in conf.read_text()
    foreign = [paths.nginx / "notes.txt", paths.nginx / "mine.conf"]
    for path in foreign:
        path.write_text("# mine\n")
    assert not service.install(paths, {}, keep=[AppName("shop")])
    assert conf.exists()
    assert service.install(paths, {})
    assert not conf.exists()
    assert all(path.exists() for path in foreign)


def test_a_damaged_record_is_one_apps_problem(paths: Paths) -> None:
    shop, other = paths.app(AppName("shop")), paths.app(AppName("other"))
    for app in (shop, other):
        app.repo.mkdir(parents=True)
        site = replace(SITE, app=app.name)
        releases.commit(app, releases.Live(start=1, release=1, checkout="c", site=site))
    record = other.live_record
    assert set(live_sites.load(paths)[0]) == {"shop", "other"}
    for damaged in ("{", "[]", "{}", '{"processes": [{}], "site": null}'):
        record.write_text(damaged)
        assert set(live_sites.load(paths)[0]) == {"shop"}
        with pytest.raises(PikuError, match="damaged"):
            releases.live(other)


def test_an_upgraded_package_does_not_change_what_runs(paths: Paths) -> None:
    started = service.platform(paths, Platform(http_port=8080))
    records.save(paths.platform, replace(started, version=(1, 2, 3), modules=("http_v2_module",)))
    now = service.platform(paths)
    assert (now.http_port, now.version, now.modules) == (8080, (1, 2, 3), ("http_v2_module",))
