"""What an app's own file for nginx may say: directives that concern its requests alone."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from piku import files
from piku.errors import PikuError
from piku.extras.includes import syntax
from piku.nginx import proxy
from piku.nginx.site import Site
from piku.paths import AppPaths

# Directives of nginx's own modules that change nothing but how the app's requests are answered, and
# read and write no file that they name.
_ALLOWED = re.compile(
    r"""
    (?!client_body_temp_path|client_header_buffer_size)(
    (autoindex|gzip|http2|image_filter|mp4|open_file_cache|secure_link|ssi|sub_filter|userid)\w*
  | (auth|client_body|client_header|directio|keepalive|limit_rate|lingering|log|real_ip)_\w+
  | (ancient_browser|gunzip|mirror|modern_browser|msie|output|referer_hash|resolver|rewrite|send
      |sendfile|tcp|types)\w*
  | (absolute|port_in|server_name_in)_redirect | add_(after_body|before_body|header|trailer)
  | addition_types | aio | aio_write | allow | break | (override_|source_)?charset(_types)?
  | chunked_transfer_encoding | client_max_body_size | default_type | deny | directio
  | disable_symlinks | empty_gif | error_page | etag | expires | flv | if | if_modified_since
  | ignore_invalid_headers | index | internal | large_client_header_buffers | limit_except
  | limit_req | limit_req_(dry_run|log_level|status) | location | max_headers | max_ranges
  | merge_slashes | postpone_\w+ | random_index | read_ahead | recursive_error_pages
  | reset_timedout_connection | return | satisfy | server_tokens | set | set_real_ip_from | slice
  | ssl_(buffer_size|ciphers|early_data|ecdh_curve|prefer_server_ciphers|protocols|session_tickets
      |session_timeout|stapling|stapling_verify|verify_client|verify_depth)
  | stub_status | subrequest_output_buffer_size | try_files | underscores_in_headers
  | uninitialized_variable_warn | valid_referers )
    """,
    re.VERBOSE,
)
# All that begins so, but what follows: it writes files, or takes another address.
_PROTOCOLS = re.compile(r"(proxy|uwsgi|fastcgi|scgi|grpc|memcached)_(?!store|temp_path|bind)\w+")
# These name a file or a folder first. nginx opens it as piku, before it serves anybody.
_FILES = re.compile(
    r"root|alias|access_log|error_log|auth_basic_user_file"
    r"|\w*ssl_(\w+_certificate|certificate|certificate_key|crl|dhparam|password_file)"
)
_OWN_CERTIFICATE = ("ssl_certificate", "ssl_certificate_key")
_READABLE = ("/usr/share/", "/etc/ssl/certs/")
_NO_FILE = re.compile(r"off|stderr|/dev/null|syslog:.*|data:.*|")
# Addresses that nginx looks up without a client's having asked for them: ".." leads out of a root.
_INTERNAL = ("add_after_body", "add_before_body", "error_page", "index", "rewrite", "try_files")
# What all apps' servers read: groups of a regex, or a variable, of that name hide it from them.
_SHARED = re.compile(r"(?i)\$?(piku|http|sent|upstream|cookie|arg)_")
_UPSTREAM = re.compile(r"(?i)(fresh-)?piku(_.*|-.*-[0-9a-f]{12})")
_HINTS = {
    "listen": "piku says where: NGINX_IPV4_ADDRESS and NGINX_IPV6_ADDRESS choose the address",
    "server_name": "host names are given with NGINX_SERVER_NAME",
    "ssl_certificate": "certificates are given with: piku certs:add",
}
_SERVER = "directives for the whole server belong in nginx/NAME.conf in the piku folder"


@dataclass(frozen=True, kw_only=True)
class Own:
    """What an app has of its own."""

    app: AppPaths
    checkout: Path

    def folders(self) -> Iterator[Path]:
        app = self.app
        yield app.code(str(self.checkout.relative_to(app.releases))).resolve()
        yield from (folder.resolve() for folder in (app.data, app.cache, app.logs))

    def located(self, path: str) -> Path | None:
        """Where a path leads as far as it is known now, if that is in a folder of the app's."""
        fixed, variable, _ = path.partition("$")
        place = Path(fixed.rpartition("/")[0] if variable else fixed)
        if not place.is_absolute() or ".." in path.split("/"):
            return None
        for link in (self.app.live_link, self.app.previous_link):
            if place.is_relative_to(link):  # to a release that is to go, or has gone
                place = self.checkout / place.relative_to(link)
        found = Path(os.path.realpath(place))
        own = any(found.is_relative_to(folder) for folder in self.folders())
        return found if own else None


def checked(app: AppPaths, checkout: Path, file: Path, text: str) -> str:
    """The text of NGINX_INCLUDE_FILE with what it includes in its place; raises PikuError for what
    would concern more than the app."""
    return _checked(Own(app=app, checkout=checkout), (file,), text, "")


def _checked(own: Own, around: tuple[Path, ...], text: str, block: str) -> str:
    """`around` are the files that include each other, with this one as the last, and `block` is
    the one that it is in."""
    blocks, parts, done, file = [block], [], 0, around[-1]
    name = next((str(file.relative_to(f)) for f in own.folders() if file.is_relative_to(f)), "")
    for one in syntax.statements(text, name):
        directive = one.words[0] if one.words else ""
        if one.mark == "}":
            if len(blocks) == 1 or one.words:
                raise PikuError(f'nginx refuses the configuration: unexpected "}}" in {one.place}')
            blocks.pop()
        elif directive == "include" and one.mark == ";":
            inner = [
                _checked(own, (*around, nested), files.read(nested), blocks[-1])
                for nested in _included(own, around, one)
            ]
            parts += [text[done : one.start], " ".join(map(syntax.one_line, inner))]
            done = one.end
        elif blocks[-1] != "types":
            _judge(own, directive, one.words[1:], one.place)
        if one.mark == "{":
            blocks.append(directive)
    if len(blocks) > 1:
        raise PikuError(f'unexpected end of {name}, expecting "}}"')
    return "".join([*parts, text[done:]])


def _included(own: Own, around: Sequence[Path], one: syntax.Statement) -> Iterator[Path]:
    """The files that an include names, relative to the file that it is in."""
    wanted = one.words[1] if len(one.words) == 2 else ""
    if Path(wanted).is_relative_to(own.app.live_link):
        wanted = str(own.checkout / Path(wanted).relative_to(own.app.live_link))
    place = os.path.normpath(around[-1].parent / wanted)
    for path in sorted(glob.glob(place)) if glob.has_magic(place) else [place]:
        nested = own.located(path)
        if nested is None or not os.path.isfile(nested):
            hint = f"in {own.app.data} or the repository, as {own.app.live_link}/FILE"
            _refuse(f"include {wanted}", one.place, f"include files that exist {hint}")
        if nested in around:
            _refuse(f"include {wanted}", one.place, "the files include each other")
        yield nested


def _judge(own: Own, directive: str, args: Sequence[str], place: str) -> None:
    """Raise PikuError for a directive that concerns more than this app."""
    first = args[0] if args else ""
    if _FILES.fullmatch(directive) and directive not in _OWN_CERTIFICATE:
        shared = first.startswith(_READABLE) and ".." not in first
        if not (_NO_FILE.fullmatch(first) or shared or own.located(first)):
            hint = f"give an absolute path in {own.app.live_link}, {own.app.data} or {own.app.logs}"
            _refuse(f"{directive} {first}", place, hint)
    elif not (_ALLOWED.fullmatch(directive) or _PROTOCOLS.fullmatch(directive)):
        if directive in _HINTS:
            _refuse(directive, place, _HINTS[directive])
        what = f'unknown directive "{directive}" in {place}, or one that concerns more than an app'
        raise PikuError(f"NGINX_INCLUDE_FILE: {what}", hint=_SERVER)
    if directive.endswith("_pass"):
        _judge_target(own, directive, first, place)
    zone = next((each[5:] for each in args if each.startswith("zone=")), "")
    if directive == "limit_req" and zone != f"piku_{own.app.name}":
        _refuse(f"{directive} zone={zone}", place, "limit requests with NGINX_RATE_LIMIT")
    kept = rf"off|piku_{re.escape(own.app.name)}_[0-9a-f]{{8}}"
    if re.fullmatch(r"[a-z]+_cache", directive) and not re.fullmatch(kept, first):
        _refuse(f"{directive} {first}", place, "keep answers with NGINX_CACHE_PREFIXES")
    groups = [name for each in args for name in re.findall(r"\(\?P?[<'](\w+)", each)]
    if hidden := next((name for name in groups if "_" in name or name.lower() == "args"), ""):
        _refuse(f"a group named {hidden!r}", place, "name it with letters only, or use $1")
    if directive == "auth_request_set" and _SHARED.match(first):
        _refuse(f"{directive} {first}", place, "choose another name for the variable")
    looked_up = args[1:] if directive == "rewrite" else args if directive in _INTERNAL else ()
    if upward := next((each for each in looked_up if ".." in each.split("/")), ""):
        _refuse(f"{directive} {upward}", place, "write the address without '..'")


def _judge_target(own: Own, directive: str, target: str, place: str) -> None:
    """Raise PikuError for requests that are passed on to another app, around its own server."""
    address = re.sub(r"^\w+://", "", target)
    if address.startswith("unix:"):
        socket = address.removeprefix("unix:").partition(":")[0]
        inside = Path(os.path.realpath(socket)).is_relative_to(own.app.root.resolve())
        if inside and not own.located(socket):
            _refuse(f"{directive} {target}", place, f"give a socket in {own.app.data}")
        return
    name = re.sub(r"^\$\{?piku_connect\}?", "", address.partition("/")[0])
    mine = proxy.upstream_name(Site(app=own.app.name, names=()))
    if _UPSTREAM.fullmatch(name) and name.lower().removeprefix("fresh-") != mine.lower():
        _refuse(f"{directive} {target}", place, f"the app's own processes are {mine}")


def _refuse(what: str, place: str, hint: str) -> NoReturn:
    raise PikuError(f"NGINX_INCLUDE_FILE may not have {what} (in {place})", hint=hint)
