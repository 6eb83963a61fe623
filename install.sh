#!/bin/sh
# Makes this machine a Piku server in one command, as root:
#
#   sudo ./install.sh                from the checkout or copy that this script is in
#   sudo ./install.sh URL [REF]      from a git repository; REF is a branch or tag
#   sudo ./install.sh FILE.deb       from the package
#
# The first two put a clone into /opt/piku, which "piku update" keeps up to date, and do what the package does
# otherwise. Safe to run again. Needs Debian 12 or later, Ubuntu 24.04 or later, or Raspberry Pi OS.
set -eu

target=/opt/piku
piku=/usr/local/bin/piku
# As in debian/control.
packages="adduser git nginx openssh-server openssl python3-click uwsgi-core uwsgi-plugin-python3 virtualenv"

fail() {
    echo " !     $1" >&2
    shift
    for line; do
        echo " !     $line" >&2
    done
    exit 1
}

step() { echo "-----> $*"; }

[ "$(id -u)" = 0 ] || fail "only root can install Piku" "use: sudo $0 $*"
command -v apt-get >/dev/null || fail "this is no Debian, Ubuntu or Raspberry Pi OS" \
    "docs/install.md says how Piku runs elsewhere"
export DEBIAN_FRONTEND="${DEBIAN_FRONTEND:-noninteractive}"

source=${1:-$(dirname "$(readlink -f "$0")")}
reference=${2-}

case $source in
    *.deb)
        file=$(readlink -f "$source")
        [ -f "$file" ] || fail "there is no file $source"
        exec apt-get install --yes "$file"
        ;;
esac

if dpkg-query -W -f '${db:Status-Status}' piku 2>/dev/null | grep -q '^installed'; then
    fail "Piku is installed already, from its package" "bring a newer one with: apt install ./piku_*.deb" \
        "or take it away first, its apps stay: apt remove piku"
fi

step "Installing Debian packages: $packages"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086  # a list of names without spaces
apt-get install --yes --quiet $packages >"$log" 2>&1 ||
    { apt-get update --quiet >"$log" 2>&1 && apt-get install --yes --quiet $packages >"$log" 2>&1; } ||
    { cat "$log" >&2 && fail "apt-get failed, its output is above"; }

# A repository that belongs to somebody else is read all the same: root was told to.
trust() { git -c "safe.directory=*" "$@"; }

fetch_clone() {
    if [ -e "$target/.git" ]; then
        step "$target is there already: bringing it up to date"
        git -C "$target" remote set-url origin "$1"
        git -C "$target" fetch --quiet --tags origin
        git -C "$target" merge --quiet --ff-only "${reference:-@{upstream\}}" ||
            fail "$target does not lead to that version" "see: git -C $target status"
    else
        step "Cloning $1 into $target"
        GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
            git clone --quiet ${reference:+--branch "$reference"} "$1" "$target"
    fi
}

if [ -d "$source" ]; then
    source=$(readlink -f "$source")
    [ -f "$source/src/piku/__main__.py" ] || fail "$source is no checkout of Piku"
    if [ "$source" = "$target" ]; then
        step "Using $target as it is"
    elif [ -e "$source/.git" ]; then
        fetch_clone "$source"
        # Later versions come from where that checkout has its own.
        if origin=$(trust -C "$source" remote get-url origin 2>/dev/null); then
            git -C "$target" remote set-url origin "$origin"
        fi
    else
        step "Copying $source to $target"
        rm -rf "$target.new"
        cp -r "$source" "$target.new"
        rm -rf "$target"
        mv "$target.new" "$target"
    fi
else
    fetch_clone "$source"
fi
chown -R root:root "$target"
chmod -R go-w,a+rX "$target"
python3 -m compileall -q "$target/src/piku"

ln -sf "$target/bin/piku" "$piku"
[ -e /etc/default/piku ] || cp "$target/debian/piku.default" /etc/default/piku
before=
if getent passwd piku >/dev/null; then before=yes; fi
for unit in piku-emperor piku-nginx; do
    sed "s|/usr/bin/piku |$piku |; s|file:/usr/share/doc/piku/README.md man:piku(1)|file:$target/README.md|" \
        "$target/contrib/systemd/$unit.service" >"/etc/systemd/system/$unit.service"
done
step "Setting Piku up"
sh "$target/contrib/server.sh" prepare "$piku" yes "$before"
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --quiet piku-emperor piku-nginx
    systemctl start piku-emperor piku-nginx || true
fi
sh "$target/contrib/server.sh" summary "$piku" "$before"
