"""nginx configuration: data to text, through one renderer that quotes.

Pure: nothing here reads the world. Directives are those of the nginx documentation's core, proxy,
uwsgi and ssl modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from piku.errors import PikuError


class Raw(str):
    """Text of ours that may hold nginx variables; what a user gave is never Raw."""


@dataclass(frozen=True)
class Directive:
    """One directive: name and arguments, and for a block what is inside."""

    name: str
    args: tuple[str, ...] = ()
    body: tuple[Directive, ...] | None = None


def d(name: str, *args: str | int) -> Directive:
    return Directive(name, tuple(arg if isinstance(arg, str) else str(arg) for arg in args))


def block(name: str, args: Sequence[str], body: Iterable[Directive]) -> Directive:
    return Directive(name, tuple(args), tuple(body))


def render(directives: Iterable[Directive], indent: str = "") -> str:
    """Directives as nginx reads them."""
    lines = []
    for item in directives:
        head = indent + " ".join((item.name, *map(_quoted, item.args)))
        if item.body is None:
            lines.append(f"{head};\n")
        else:
            lines.append(f"{head} {{\n{render(item.body, indent + '    ')}{indent}}}\n")
    return "".join(lines)


def _quoted(text: str) -> str:
    if isinstance(text, Raw):
        return text
    # nginx has no way to write a literal '$', and a line break would be one in the config.
    bad = re.search(r"[$\x00-\x1f\x7f]", text)
    if bad:
        raise PikuError(f"{text[:80]!r} cannot be given to nginx: it contains {bad[0]!r}")
    if text and re.fullmatch(r"[\w./:=@%+,*~^-]+", text) and text not in ("~", "=", "^~"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Where nginx listens. `harmless` maps each address to a unix socket in that folder instead, so
    that a candidate can be checked by an nginx that may not, or cannot, bind the real ones."""

    http_port: int = 80
    https_port: int = 443
    host: str = ""
    ipv6: bool = False
    harmless: str = ""

    def url(self, name: str, *, secure: bool) -> str:
        """The address under which a person reaches a host."""
        port, standard = (self.https_port, 443) if secure else (self.http_port, 80)
        return f"{'https' if secure else 'http'}://{name}{'' if port == standard else f':{port}'}/"

    def listens(self, site: Site | None, port: int) -> list[str]:
        """The listen addresses of a site (of none: of the platform itself) for one port."""
        addresses = [(site.ipv4 if site else "") or self.host or "0.0.0.0"]  # noqa: S104 (a web server)
        if self.ipv6 and not (site and site.no_ipv6):
            if site and site.ipv6:
                addresses.append(f"[{site.ipv6}]")
            elif not self.host:
                addresses.append("[::]")
        found = [f"{address}:{port}" for address in addresses]
        if self.harmless:
            return [f"unix:{self.harmless}/{re.sub(r'[^0-9a-f]', '_', address)}" for address in found]
        return found


@dataclass(frozen=True, kw_only=True)
class Site:
    """What nginx must know of one live app; stored with its activation."""

    app: str
    names: tuple[str, ...]
    certificate: str
    backend: str = ""  # "uwsgi", "http", or nothing to pass requests to
    modifier: int = 0  # which of uWSGI's plugins answers
    upstreams: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()  # where the next release is going to be, after this configuration
    static_root: str = ""
    hidden: tuple[str, ...] = ()
    https_only: bool = False
    ipv4: str = ""
    ipv6: str = ""
    no_ipv6: bool = False
    allow_git: bool = False
    include: str = ""


def app_config(site: Site, platform: Platform) -> str:
    """The server blocks of one app."""
    out: list[Directive] = []
    if site.backend:
        out.append(_upstream(site))
    plain = [d("listen", listen) for listen in platform.listens(site, platform.http_port)]
    secure = [d("listen", listen, "ssl", "http2") for listen in platform.listens(site, platform.https_port)]
    names = d("server_name", *site.names)
    if site.https_only:
        port = "" if platform.https_port == 443 else f":{platform.https_port}"
        target = Raw(f"https://$host{port}$request_uri")
        out.append(block("server", (), [*plain, names, d("return", 301, target)]))
        out.append(block("server", (), [*secure, names, *_content(site)]))
    else:
        out.append(block("server", (), [*plain, *secure, names, *_content(site)]))
    return render(out)


def _upstream(site: Site) -> Directive:
    # With others beside it, nginx would let a server rest for 10 s after one failure; if all of them
    # failed once, as while they start, nobody would answer for that long.
    trusted = ("max_fails=0",) if len(site.upstreams) + len(site.spares) > 1 else ()
    body = [d("server", address, *trusted) for address in site.upstreams]
    body += [d("server", address, "max_fails=0", "backup") for address in site.spares]
    if site.backend == "http":
        body.append(d("keepalive", 32))
    return block("upstream", (f"piku_{site.app}",), body)


def _content(site: Site) -> list[Directive]:
    out = [
        d("ssl_certificate", f"{site.certificate}.crt"),
        d("ssl_certificate_key", f"{site.certificate}.key"),
    ]
    if not site.allow_git:
        out.append(block("location", ("~", Raw(r"/\.git")), [d("return", 404)]))
    out += [block("location", ("=", path), [d("return", 404)]) for path in site.hidden]
    if site.static_root:
        out += _static(site)
    elif site.backend:
        out.append(block("location", ("/",), _pass(site)))
    else:
        out.append(block("location", ("/",), [d("return", 503)]))
    if site.include:
        out.append(d("include", site.include))
    return out


def _static(site: Site) -> list[Directive]:
    """Files with the specification's options; what is no file goes to the app if there is one."""
    # A folder asked for without its slash is redirected, so that relative links in its page work;
    # in front of an app only files are looked for, so that its "/" is not a folder without index.
    tries = (Raw("$uri/index.html"), "@app") if site.backend else (Raw("$uri/"), Raw("=404"))
    files = [
        d("root", site.static_root),
        d("sendfile", "on"),
        d("sendfile_max_chunk", "1m"),
        d("tcp_nopush", "on"),
        d("directio", "8m"),
        d("aio", "threads"),
        d("index", "index.html"),
        d("absolute_redirect", "off"),
        d("try_files", Raw("$uri"), *tries),
    ]
    out = [block("location", ("/",), files)]
    if site.backend:
        out.append(block("location", ("@app",), _pass(site)))
    return out


def _pass(site: Site) -> list[Directive]:
    upstream = f"piku_{site.app}"
    if site.backend == "uwsgi":
        params = [d("uwsgi_param", name, Raw(value)) for name, value in _UWSGI_PARAMS]
        secure = d("uwsgi_param", "HTTPS", Raw("$https"), "if_not_empty")
        modifier = [d("uwsgi_modifier1", site.modifier)] if site.modifier else []
        return [d("uwsgi_pass", upstream), *modifier, *params, secure]
    headers = [d("proxy_set_header", name, Raw(value)) for name, value in _PROXY_HEADERS]
    return [d("proxy_pass", f"http://{upstream}"), d("proxy_http_version", "1.1"), *headers]


_UWSGI_PARAMS = (
    ("QUERY_STRING", "$query_string"),
    ("REQUEST_METHOD", "$request_method"),
    ("CONTENT_TYPE", "$content_type"),
    ("CONTENT_LENGTH", "$content_length"),
    ("REQUEST_URI", "$request_uri"),
    ("PATH_INFO", "$document_uri"),
    ("DOCUMENT_ROOT", "$document_root"),
    ("SERVER_PROTOCOL", "$server_protocol"),
    ("REQUEST_SCHEME", "$scheme"),
    ("UWSGI_SCHEME", "$scheme"),
    ("REMOTE_ADDR", "$remote_addr"),
    ("REMOTE_PORT", "$remote_port"),
    ("SERVER_ADDR", "$server_addr"),
    ("SERVER_PORT", "$server_port"),
    ("SERVER_NAME", "$server_name"),
    ("HTTP_X_FORWARDED_FOR", "$proxy_add_x_forwarded_for"),
    ("HTTP_X_FORWARDED_PROTO", "$scheme"),
)

_PROXY_HEADERS = (
    ("Host", "$http_host"),
    ("Upgrade", "$http_upgrade"),
    ("Connection", "$piku_connection"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-Host", "$http_host"),
    ("X-Forwarded-Port", "$server_port"),
    ("X-Request-Start", '"t=${msec}"'),
)


def common_config() -> str:
    """What every app's server blocks rely on."""
    # Nothing is sent upstream for an ordinary request, which keeps the connection to the app open.
    upgrade = block(
        "map", (Raw("$http_upgrade"), Raw("$piku_connection")), [d("default", "upgrade"), d('""', "")]
    )
    return render([upgrade])


def default_config(sites: Iterable[Site], platform: Platform) -> str:
    """Servers for hosts that no app has: one per address that is listened on (an app's own address
    would otherwise answer for every host that comes in there)."""
    everywhere = [None, *sites]
    plain = sorted({listen for site in everywhere for listen in platform.listens(site, platform.http_port)})
    secure = sorted({listen for site in everywhere for listen in platform.listens(site, platform.https_port)})
    return render(
        [
            block("server", (), [*(d("listen", x, "default_server") for x in plain), d("return", 444)]),
            block("server", (), [
                *(d("listen", x, "ssl", "http2", "default_server") for x in secure),
                d("ssl_reject_handshake", "on"),
                # A client may name an app's host when it connects, and ask for another one.
                d("return", 444),
            ]),
        ]
    )  # fmt: skip


def main_config(root: str, includes: Sequence[str], *, check_only: str = "") -> str:
    """The main configuration of piku's own nginx; `check_only` names a scratch folder instead."""
    state = check_only or f"{root}/nginx"
    temporary = [
        d(f"{kind}_temp_path", f"{state}/temporary-{kind}")
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    http = [
        *temporary,
        d("include", "/etc/nginx/mime.types"),
        d("default_type", "application/octet-stream"),
        d("charset", "utf-8"),
        d("access_log", "off"),
        d("server_tokens", "off"),
        d("server_names_hash_bucket_size", 256),
        d("server_names_hash_max_size", 2048),
        d("variables_hash_bucket_size", 128),
        d("client_max_body_size", "64m"),
        d("large_client_header_buffers", 8, "16k"),
        d("keepalive_timeout", "65s"),
        d("ssl_protocols", "TLSv1.2", "TLSv1.3"),
        d("ssl_session_cache", "shared:piku:1m"),
        d("ssl_session_timeout", "1d"),
        *(d("include", path) for path in includes),
    ]
    return render(
        [
            d("worker_processes", 1 if check_only else "auto"),
            d("worker_shutdown_timeout", "10m"),
            d("pid", f"{state}/nginx.pid"),
            d("error_log", "stderr" if check_only else f"{state}/error.log", "error"),
            block("events", (), [d("worker_connections", 1024)]),
            block("http", (), http),
        ]
    )
