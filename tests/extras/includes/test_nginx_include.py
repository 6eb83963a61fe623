"""NGINX_INCLUDE_FILE: what concerns other apps is refused, however it is written."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import files
from piku.deploy import going_live
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.includes import syntax
from piku.nginx import service, site_config
from piku.paths import AppPaths, Paths
from tests.unit.conftest import commit, deployment

__all__ = ["commit", "deployment"]
Used = Callable[..., str]


@pytest.fixture
def used(paths: Paths, shop: AppPaths, deployment: Callable[..., Deployment]) -> Used:
    """A function: what nginx gets of an include file with this text, beside `more` files of the commit."""

    def make(text: str, **more: str) -> str:
        named = {name.replace("_", "."): content for name, content in more.items()}
        tree = {"Procfile": "web: x\n", "x.conf": text, **named}
        made = deployment(shop, tree, NGINX_SERVER_NAME="shop.example", NGINX_INCLUDE_FILE="x.conf")
        site = going_live.site(made, ())
        assert site is not None
        service.check(paths, {shop.name: (site, site_config.state(paths, shop.name, site))})
        return files.read(Path(site.include))

    return make


GOOD = r"""
# listen 80; server_name other.example;
add_header X-Note "listen 1; } server_name {" always;
location ~ "^/(?<lang>[a-z]{2})/" { set $own_lang $lang; return 200 'it\'s; # no comment'; }
types { text/x-listen listen; server_name x; }
if ($args ~ "a=(\d+)") { rewrite "^/([^{}]*)$" /page/$1? break; }
location = /auth { internal; proxy_pass http://127.0.0.1:9000/${is_args}; proxy_set_header X-A "{$uri}"; }
location /own/ { auth_request /auth; auth_request_set $user $upstream_http_x_user; alias DATA/files/; }
location /new/ { alias LIVE/public/; try_files $uri /index.html =404; limit_except GET { deny all; } }
location ~ ^/u/(.+)$ { alias DATA/u/$1; access_log LOGS/own.log; error_log LOGS/errors.log; }
location ~ \.php$ { fastcgi_pass unix:/run/php/fpm.sock; proxy_ssl_trusted_certificate /etc/ssl/certs/x.pem; }
location /lib/ { alias /usr/share/javascript/; access_log off; }
location /up { proxy_pass http://${piku_connect}piku_shop; proxy_read_timeout 5m; proxy_cache off; }
"""


def placed(text: str, shop: AppPaths) -> str:
    own = {"DATA": shop.data, "LIVE": shop.live_link, "LOGS": shop.logs, "ROOT": shop.root}
    for name, folder in own.items():
        text = text.replace(name, str(folder))
    return text


def test_what_concerns_the_app_alone_is_taken_as_it_is(used: Used, shop: AppPaths) -> None:
    text = placed(GOOD, shop)
    assert used(text) == text


REFUSED = [
    ("listen 80 default_server;", "listen"),
    ('"listen" 80;', "listen"),
    ("'listen'\t80;", "listen"),
    ("# x\nadd_header A b; listen 80;", "listen"),
    ("server_name other.example;", "server_name"),
    ('add_header A "#"; server_name _;', "server_name"),
    ("add_header A b#;\nserver_name _;", "server_name"),
    (r'add_header A "\""; server_name _;', "server_name"),
    (r'add_header A \"; server_name "_";', "server_name"),
    ("add_header A ${b; server_name _;", "server_name"),
    ("types { a b; } listen 81;", "listen"),
    ("location /x { types { a b; } root /etc; }", "root /etc"),
    ("server_names_hash_max_size 1;", "server_names_hash_max_size"),
    ("ssl_session_cache shared:SSL:10m;", "ssl_session_cache"),
    ("ssl_reject_handshake on;", "ssl_reject_handshake"),
    ("ssl_certificate DATA/a.pem;", "ssl_certificate"),
    ("location /x { content_by_lua_block { os.exit() } }", "content_by_lua_block"),
    ("access_log ROOT/logs/blog/nginx.log;", "access_log"),
    ("error_log ROOT/nginx/blog.conf;", "error_log"),
    ("access_log DATA/../blog/x.log;", "access_log"),
    ("location /x { alias ROOT/envs/blog/; }", "alias"),
    ("location /x { alias ROOT/data/shopping/; }", "alias"),
    ("location /x { alias DATA/$1/../../blog; }", "alias"),
    ("location /x { alias $arg_path; }", "alias"),
    ("location /x { root public; }", "root public"),
    ("location /x { root /; }", "root /"),
    ("location /x { try_files /../../ENV =404; }", "try_files"),
    ("rewrite ^ /../../envs/blog/ENV break;", "rewrite"),
    ("auth_basic_user_file ENV;", "auth_basic_user_file"),
    ("location /x { proxy_store DATA/x; }", "proxy_store"),
    ("client_body_temp_path ROOT/releases;", "client_body_temp_path"),
    ("location /x { dav_methods PUT; }", "dav_methods"),
    ("location /x { proxy_cache piku_blog_01234567; }", "proxy_cache"),
    ("location /x { limit_req zone=piku_blog; }", "limit_req"),
    ("location /x { proxy_pass http://unix:ROOT/nginx/blog.sock:/; }", "proxy_pass"),
    ("location /x { proxy_pass http://piku_blog/a; }", "proxy_pass"),
    ("location /x { uwsgi_pass fresh-PIKU_blog; }", "uwsgi_pass"),
    ("location /x { proxy_pass http://${piku_connect}piku-Blog-0123456789ab; }", "proxy_pass"),
    ("location ~ /(?<piku_host>x) { }", "a group named 'piku_host'"),
    ("location ~ /(?P<http_upgrade>x) { }", "a group named 'http_upgrade'"),
    ("if ($uri ~ \"(?'ARGS'x)\") { }", "a group named 'ARGS'"),
    ("auth_request_set $Cookie_session x;", "auth_request_set"),
    ("include ROOT/nginx/blog.conf;", "include"),
    ("include /etc/nginx/nginx.conf;", "include"),
    ("include none.conf;", "include none.conf"),
    ("include x.conf;", "the files include each other"),
    ("}\nserver {\n", 'unexpected "}" in x.conf:1'),
    ("location /x { add_header a b; ", 'unexpected end of x.conf, expecting "}"'),
    ("add_header a b", "unexpected end of x.conf"),
    ('add_header a "b;', "begins in x.conf:1 does not end"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_concerns_others_is_refused(used: Used, shop: AppPaths, text: str, words: str) -> None:
    with pytest.raises(PikuError) as error:
        used(placed(text, shop))
    assert words in error.value.message + error.value.hint and "x.conf" in error.value.message


def test_included_files_are_taken_with_it(used: Used, shop: AppPaths) -> None:
    """What they hold later changes nothing, and every line keeps its number."""
    more = shop.data / "conf.d"
    more.mkdir(parents=True)
    (more / "b.conf").write_text("# listen 1;\nadd_header B '2\n3';\n")
    (more / "a.conf").write_text("location /a {\n  include inner.types;\n}\n")
    (more / "inner.types").write_text("types { include pairs; }")
    (more / "pairs").write_text("text/x-listen listen;")
    text = f"add_header A 1;\ninclude {more}/*.conf; # x\ninclude {shop.live_link}/beside.conf;\nx"
    text = text.removesuffix("x") + "add_header C 4;\n"
    assert used(text, beside_conf="add_header D 5;\n").splitlines() == [
        "add_header A 1;",
        "location /a { types { text/x-listen listen ; } } add_header B '2",
        "3' ; # x",
        "add_header D 5 ;",
        "add_header C 4;",
    ]
    (more / "pairs").write_text("a b; } listen 80;")
    with pytest.raises(PikuError, match=r"in conf\.d/pairs:1"):
        used(text, beside_conf="")
    (more / "pairs").write_text("a b;")
    (more / "c.conf").symlink_to("/etc/hostname")
    with pytest.raises(PikuError, match="NGINX_INCLUDE_FILE may not have include") as error:
        used(text, beside_conf="")
    assert str(shop.data) in error.value.hint


WORDS = st.text("ab \t\n;{}\"'\\#$", max_size=14)


@given(WORDS)
def test_nginx_splits_a_text_as_we_do(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever comes before: the directive after it is one to nginx exactly if it is to us."""
    folder = tmp_path_factory.mktemp("n", numbered=True)
    whole = f"types {{ {text} }}\nno_such_directive_x on;\n"
    (folder / "x").write_text(f"events {{ }} http {{ include {folder}/y; }}")
    (folder / "y").write_text(whole)
    command = ["nginx", "-t", "-q", "-p", str(folder), "-e", "stderr", "-c", str(folder / "x")]
    said = subprocess.run(command, check=False, capture_output=True, text=True).stderr
    ours = []
    with contextlib.suppress(PikuError):
        for one in syntax.statements(whole, "y"):
            ours.append(one.words[0] if one.words else "")
    if 'unknown directive "no_such_directive_x"' in said:
        assert "no_such_directive_x" in ours, said
    elif found := re.search(r'unknown directive "(.*?)" in', said, re.DOTALL):
        assert found[1] in ours, said
