"""Any value of any setting that nginx follows: it is refused by name, or nginx takes exactly what it means.

Many values are valid but for one character, and many whole sets of settings collide in one place: what
our own checks accept must never be refused by nginx.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from piku.app import settings
from piku.deploy import going_live, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import main_config, site_config, vhost
from piku.nginx.directives import render
from piku.nginx.site import Additions, Platform, Site, SiteState
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate as certificate_module
from tests.unit.nginx.nginx_opinion import Nginx, installed, newer
from tests.unit.nginx.nginx_words import meant, read

FILES = {
    "Procfile": "wsgi: app:app\n",
    "app.py": "",
    **dict.fromkeys(
        (
            "ENV.txt", "public/index.html", "public/sub/index.html", "public/a b/é+=~@-.x y", "public/noext",
            "public/404.html", "public/.git_is_not/x", "x" * 255,
        ),
        "x",
    ),
    "nginx.conf": "# nothing\n",
}  # fmt: skip
SECRET = "correct-horse-battery-staple"
HASH = "$6$abcdefgh$" + "x" * 86
# Few enough to collide often.
PREFIXES = st.sampled_from(
    [
        "/", "/a", "/a/", "/a/b", "/ab", "/A", "/a/b/c/", "/ENV", "/ENV/", "/Procfile", "/a/ENV", "/.git", "/.git/x",
        "/index.html", "/a/index.html", "/a/index.html/", "/~x", "/+", "/.well-known", "/é", "/a.b", "/-", "/@x",
        "/.well-known/acme-challenges", "/" + "x" * 250, "/" + "y" * 999,
    ]
)  # fmt: skip
PATHS = st.sampled_from(
    [
        ".", "public", "public/", "./public/sub", "public/index.html", "public/a b", "public/a b/é+=~@-.x y",
        "public/noext", "x" * 255, "DATA/up", "DATA/up/load", "DATA", "LIVE", "LIVE/public", "public/.git_is_not",
        "linked", "linked/load",
    ]
)  # fmt: skip
PAGES = st.sampled_from(["public/404.html", "public/noext", "public/a b/é+=~@-.x y"])
NAMES = st.sampled_from(
    [
        "shop.example", "WWW.Shop.Example.", "*.shop.example", "_", "a_b.example", "127.0.0.1", "localhost",
        "xn--bcher-kva.example", "1", ".".join(["x" * 63] * 3 + ["y" * 61]), "*." + ".".join(["z" * 61] * 4),
        "shop.example/a", "*.shop.example/a/B.c-d/",
    ]
)  # fmt: skip
STATUSES = st.sampled_from(
    ["404", "50x", "5xx", "500", "503", "400", "444", "494", "497", "599", "451", "498"]
)


def _listed(
    items: st.SearchStrategy[str], separators: str = ",", most: int = 4
) -> st.SearchStrategy[str]:
    return st.builds(
        lambda parts, by: by.join(parts),
        st.lists(items, min_size=1, max_size=most, unique=True), st.sampled_from(separators),
    )  # fmt: skip


# Valid texts of every setting that nginx follows.
VALID: dict[str, st.SearchStrategy[str]] = {
    "NGINX_SERVER_NAME": _listed(NAMES, ", "),
    "NGINX_REDIRECT_FROM": _listed(
        st.sampled_from(["old.example", "*.old.example", "older.example", "x" * 63])
    ),
    "NGINX_HTTPS_ONLY": st.sampled_from(["true", "false"]),
    "NGINX_HSTS": st.sampled_from(
        ["true", "9999999999", "31536000; includeSubDomains; preload", "off", "0"]
    ),
    "NGINX_IPV4_ADDRESS": st.sampled_from(["127.0.0.1", "192.0.2.1", "255.255.255.255"]),
    "NGINX_IPV6_ADDRESS": st.sampled_from(["::1", "[::]", "2001:DB8::1", "::ffff:1.2.3.4"]),
    "DISABLE_IPV6": st.sampled_from(["true", "false"]),
    "NGINX_STATIC_PATHS": _listed(st.builds("{}:{}".format, PREFIXES, PATHS), most=5),
    "NGINX_CATCH_ALL": PREFIXES,
    "NGINX_CACHE_PREFIXES": _listed(PREFIXES, ",|"),
    "NGINX_CACHE_SIZE": st.sampled_from(["1", "10000", "007"]),
    "NGINX_CACHE_EXPIRY": st.sampled_from(["1", "1000000000", "007"]),
    **{
        f"NGINX_CACHE_{name}": st.sampled_from(["0", "1", "1000000000", "007"])
        for name in ("TIME", "CONTROL", "REDIRECTS", "ANY")
    },
    "NGINX_CACHE_PATH": st.sampled_from(["z", "a b/é", "DATA", "DATA/up/kept", "CACHE/z"]),
    "NGINX_CLOUDFLARE_ACL": st.sampled_from(["true", "false"]),
    "NGINX_BASIC_AUTH": _listed(
        st.sampled_from(["ann", "bob@x", "été"]).map(lambda user: f"{user}:{HASH}")
    ),
    "NGINX_RATE_LIMIT": st.sampled_from(
        [
            "1/s",
            "999999/s burst=999999",
            "1/m",
            "999999r/m,burst=1",
            "10/s burst=0",
            "9/m burst=000",
        ]
    ),
    "NGINX_MAX_BODY_SIZE": st.sampled_from(["0", "64m", "999999999g", "999999999K", "2G", "007"]),
    "NGINX_PROXY_TIMEOUT": st.sampled_from(["1", "60", "86400", "007"]),
    "NGINX_ERROR_PAGES": _listed(st.builds("{}:{}".format, STATUSES, PAGES), most=3),
    "NGINX_ALLOW_GIT_FOLDERS": st.sampled_from(["true", "false"]),
    "UWSGI_IDLE": st.sampled_from(["0", "60", "10000000"]),
    "NGINX_INCLUDE_FILE": st.sampled_from(["nginx.conf", "./nginx.conf"]),
}
# Nearly valid, each in a way of its own.
WRONG: dict[str, tuple[str, ...]] = {
    "NGINX_SERVER_NAME": (".".join(["x" * 63] * 4), "*", "bücher.example", "x" * 64, "a..b", "~^a$", "a:80", "*.", "[::1]", "/a", "a/b//c", "a/.b", "a/..", "a/b c/$d", "a/é"),
    "NGINX_REDIRECT_FROM": ("*", "a b/c"),
    "NGINX_HSTS": ("99999999999", "true; max-age=1", "-1", "includeSubDomains"),
    "NGINX_IPV4_ADDRESS": ("1.2.3", "127.0.0.1:80", "::1"),
    "NGINX_IPV6_ADDRESS": ("fe80::1%eth0", "[::1]:80", "1.2.3.4"),
    "NGINX_STATIC_PATHS": (
        "/a", ":x", "/a:", "/a:..", "/a:nothing", "a b:public", "/a:public,/a/:public", "/:app.py", "/a:/etc",
        "/a:/", "/a:public/index.html/x", "/a:loop",
        "/a:" + "x" * 256, "/a:" + "y/" * 2000, "/" + "é" * 4000 + ":public", "/%2e:public", "/a/../b:public",
        "/@piku-x:public", "/.well-known/acme-challenge:public", "/a:.git", "/a:DATA/../../envs", "/x y:public",
    ),
    "NGINX_CATCH_ALL": ("//a", "/..", "/@before-0", "/" + "x" * 5000, "/?a", "=404"),
    "NGINX_CACHE_PREFIXES": ("a b", "..", "/a,/a/", "/a||/a", "a%20b", "/" + "é" * 600),
    **{f"NGINX_CACHE_{name}": ("-1", "1000000001", "1h", "1.5") for name in ("TIME", "CONTROL", "REDIRECTS", "ANY")},
    "NGINX_CACHE_SIZE": ("0", "10001", "1g"),
    "NGINX_CACHE_EXPIRY": ("0", "1d"),
    "NGINX_CACHE_PATH": (
        "/", "/srv/x", "../x", "LIVE/x", "DATA/file", "DATA/file/x", "DATA/loop", "x" * 256,
    ),
    "NGINX_BASIC_AUTH": ("ann:" + SECRET, SECRET, f"ann:{HASH},ann:{HASH}", f"{HASH}:ann", f"ann:{SECRET},{SECRET}"),
    "NGINX_RATE_LIMIT": ("0/s", "10", "10/h", "10/s burst=-1", "1000000/s", "10/s nodelay", "1.5/s"),
    "NGINX_MAX_BODY_SIZE": ("-1", "9999999999", "1t", "1.5m", "m"),
    "NGINX_PROXY_TIMEOUT": ("0", "86401", "1h"),
    "NGINX_ERROR_PAGES": (
        "499:public/404.html", "51x:public/404.html", "40x:public/404.html", "600:public/404.html", "404", "404:",
        "404:/etc/passwd", "399:public/404.html", "50x:public/404.html,500:public/noext",
    ),
    "UWSGI_IDLE": ("-1", "5m", "10000001"),
    "NGINX_INCLUDE_FILE": ("none.conf", "n" * 300, "public", "loop", "/etc/passwd", "x*"),
    **dict.fromkeys(
        ("NGINX_HTTPS_ONLY", "DISABLE_IPV6", "NGINX_CLOUDFLARE_ACL", "NGINX_ALLOW_GIT_FOLDERS"), ("maybe", "0.0")
    ),
}  # fmt: skip
NAMED = {"NGINX_SERVER_NAME": VALID["NGINX_SERVER_NAME"]}
SETS = st.fixed_dictionaries(
    NAMED, optional={name: of for name, of in VALID.items() if name not in NAMED}
)
PLATFORMS = (
    Platform(),
    Platform(ipv6=True, version=(1, 31), modules=("http_v3_module", "http_v2_module", "threads")),
)
HOSTILE = st.sampled_from(
    [
        *"\"'\n\r;}{$#\\\0\t\x1b\x7f\x85\u2028 *?[]()|,:=~é漢",
        "\ud800",
        "\udcff",
        "${x}",
        "..",
        "*" * 10_000,
    ]
)
PROCFILES = {
    "wsgi": "wsgi: app:app\n",
    "web": "web: x\n",
    "static": "static: public\n",
    "both": "web: x\nstatic: public\n",
    "none": "worker: x\n",
}
# All that app names may differ in.
APPS = ("shop", "Shop", "shop.", "a_b", "a-b", "9", "x" * 63, "x" * 62 + "X")


@st.composite
def almost_valid(draw: st.DrawFn) -> dict[str, str]:
    """A set of settings, one of which is wrong, or has something hostile in it."""
    values = draw(SETS)
    name = draw(st.sampled_from(sorted(VALID)))
    if draw(st.booleans()):
        return {**values, name: draw(st.sampled_from(WRONG[name]))}
    text = values.get(name) or draw(VALID[name])
    place = draw(st.integers(0, len(text)))
    return {**values, name: text[:place] + draw(HOSTILE) + text[place:]}


Make = Callable[[Mapping[str, str], str], Site]


@pytest.fixture
def make(paths: Paths, shop: AppPaths, deployment: Callable[..., Deployment]) -> Make:
    """A function that does with settings what a deploy does, for one of the Procfiles."""
    jobs = {
        kind: deployment(shop, {**FILES, "Procfile": text}, NGINX_SERVER_NAME="x")
        for kind, text in PROCFILES.items()
    }
    for kind in jobs.values():
        (kind.checkout / "linked").symlink_to(shop.data / "up")
        (kind.checkout / "loop").symlink_to("loop")
    (shop.data / "up" / "load").mkdir(parents=True)
    (shop.data / "file").touch()
    (shop.data / "loop").symlink_to(shop.data / "loop")
    shop.live_link.symlink_to(jobs["wsgi"].checkout)
    releases.commit(shop, Live(start=1, release=1, checkout="v1"))
    served = {
        "uwsgi": [Process(kind="wsgi", instance=1, start=1, address="/x.sock")],
        "http": [Process(kind="web", instance=1, start=1, address="127.0.0.1:20000", port=20000)],
    }
    places = {"DATA": str(shop.data), "CACHE": str(shop.cache), "LIVE": str(shop.live_link)}

    def made(values: Mapping[str, str], kind: str) -> Site:
        for short, long in places.items():
            values = {name: text.replace(short, long) for name, text in values.items()}
        settings.check_all(values)
        context = replace(jobs[kind].context, settings=values)
        this = replace(jobs[kind], revision=replace(jobs[kind].revision, context=context))
        found = going_live.site(
            this, served.get({"wsgi": "uwsgi", "static": "", "none": ""}.get(kind, "http"), ())
        )
        assert found is not None
        return found

    return made


@functools.cache
def nginxes() -> Sequence[Nginx]:
    return [installed(), newer()]


# What an extra may answer in an app's place.
CLOSED = (Additions(pages={503: "/srv/down.html"}, closed=True),)
# A Procfile, and whether an extra answers in the app's place.
STATES = st.tuples(st.sampled_from(sorted(PROCFILES)), st.booleans())
Tried = list[tuple[dict[str, str], tuple[str, bool]]]
# One server for all; a failure is narrowed down by us, and not by trying thousands more.
EFFORT = effort(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=40,
    phases=[Phase.generate],
)


@EFFORT
@given(tried=st.lists(st.tuples(SETS, STATES), min_size=len(APPS), max_size=len(APPS)))
def test_what_our_checks_accept_nginx_accepts(
    make: Make, paths: Paths, shop: AppPaths, tried: Tried
) -> None:
    judge(make, paths, shop, tried)


@EFFORT
@given(tried=st.lists(st.tuples(almost_valid(), STATES), min_size=len(APPS), max_size=len(APPS)))
def test_what_is_almost_valid_is_refused_or_means_itself(
    make: Make, paths: Paths, shop: AppPaths, tried: Tried
) -> None:
    judge(make, paths, shop, tried)


def test_no_two_settings_collide_in_one_address(make: Make, paths: Paths, shop: AppPaths) -> None:
    mapped = (
        "/:.",
        "/a:.",
        "/a:public/noext",
        "/ENV:public",
        "/ENV:public/noext",
        "/a/ENV:public/noext",
        "/a/b:public",
    )
    static = [*((one,) for one in mapped), *itertools.combinations(mapped, 2)]
    catch_all = ("", "/", "/ENV", "/a", "/a/", "/a/ENV", "/a/b", "/a/b/c")
    cached = ("", "/", "/ENV", "/a/ENV", "/a/b")
    certificate = certificate_module.certificate(shop, ("shop.example",)).path
    found = []
    for number, (one, last, kept) in enumerate(itertools.product(static, catch_all, cached)):
        values = {
            "NGINX_STATIC_PATHS": ",".join(one),
            "NGINX_CATCH_ALL": last,
            "NGINX_CACHE_PREFIXES": kept,
        }
        kind = ("web", "wsgi", "none")[number % 3]
        with contextlib.suppress(PikuError):  # two of one prefix
            site = replace(
                make({"NGINX_SERVER_NAME": f"h{number}", **values}, kind), app=f"a{number}"
            )
            added = [hook(paths, paths.app(AppName(site.app)), site) for hook in hooks("nginx")]
            additions = tuple(each for each in added if each)
            found.append((site, SiteState(certificate=certificate, additions=additions)))
    assert len(found) >= 600
    for first in range(0, len(found), 100):
        accepted, said = installed().judges(found[first : first + 100])
        assert accepted, said


def test_every_wrong_value_is_refused_by_name(make: Make, paths: Paths) -> None:
    for name, texts in WRONG.items():
        for text in texts:
            with pytest.raises(PikuError, match=name) as error:
                site = make(
                    {"NGINX_SERVER_NAME": "shop.example", "NGINX_CACHE_PREFIXES": "/", name: text},
                    "web",
                )
                site_config.state(paths, AppName("shop"), site)
            assert_explains(error.value)


def judge(make: Make, paths: Paths, shop: AppPaths, tried: Tried) -> None:
    """Every set of settings is refused with a reason, or becomes exactly what was meant and pleases nginx."""
    certificate = certificate_module.certificate(shop, ("shop.example",)).path
    networks = main_config.cloudflare_networks(paths)
    found: list[tuple[Site, SiteState]] = []
    said = []
    for name, (values, (kind, closed)) in zip(APPS, tried, strict=True):
        try:
            app, one = paths.app(AppName(name)), replace(make(values, kind), app=name)
            kept = one.values.get("NGINX_CACHE_PATH", "").replace("/shop", f"/{name}")
            one = replace(one, values={**one.values, "NGINX_CACHE_PATH": kept})
            added = [hook(paths, app, one) for hook in hooks("nginx")]
            added += [hook(paths, {app.name: one}).get(app.name) for hook in hooks("together")]
        except PikuError as error:
            assert_explains(error)
            continue
        except Exception as error:
            raise AssertionError(f"{error!r} for {values}") from error
        around = SiteState(
            certificate=certificate,
            additions=tuple(filter(None, (*added, *(CLOSED if closed else ())))),
            cloudflare=networks if "true" in values.get("NGINX_CLOUDFLARE_ACL", "") else (),
        )
        for platform in PLATFORMS:
            made = vhost.directives(one, platform, around)
            assert read(render(made)) == meant(made), values
        found.append((one, around))
        said.append(values)
    for nginx in nginxes():
        accepted, complaint = nginx.judges(found)
        if not accepted:
            for one, values in zip(found, said, strict=True):
                assert nginx.judges([one])[0], (nginx.judges([one])[1], values)
            pytest.fail(complaint)


def assert_explains(error: PikuError) -> None:
    """Whether it names a setting in one line that can be read, and keeps what is secret."""
    assert any(name in error.message for name in VALID), error
    assert error.message.isprintable() and len(error.message) < 1300, error
    assert (
        SECRET[:8] not in error.message + error.hint and HASH[:12] not in error.message + error.hint
    ), error
