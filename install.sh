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
        # Changes to /etc/default/piku stay: often nobody can be asked.
        get() { apt-get install --yes -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$file"; }
        # A new machine may have no lists of packages, or old ones.
        get || { apt-get update --quiet && get; }
        # With its package, "piku update" can go back to this version.
        version=$(dpkg-query -W -f '${Version}' piku)
        cp "$file" "/var/cache/piku/piku_${version}_all.deb"
        exit
        ;;
esac

if dpkg-query -W -f '${db:Status-Status}' piku 2>/dev/null | grep -q '^installed'; then
    fail "Piku is installed already, from its package" "bring a newer one with: apt install ./piku_*.deb" \
        "or take it away first, its apps stay: apt remove piku"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The checkout knows what else it needs.
if ! command -v git >/dev/null; then
    step "Installing Debian packages: git ca-certificates"
    get() { apt-get install --yes --quiet -o DPkg::Lock::Timeout=300 git ca-certificates >"$work/log" 2>&1; }
    get || { apt-get update --quiet >"$work/log" 2>&1 && get; } ||
        { cat "$work/log" >&2 && fail "apt-get failed, its output is above"; }
fi

# A repository that belongs to somebody else is read all the same: root was told to. git hands no -c on to what it
# starts at the other end, a file of settings it does.
printf '[include]\n\tpath = %s/.gitconfig\n[safe]\n\tdirectory = *\n' "${HOME:-/root}" >"$work/gitconfig"
export GIT_CONFIG_GLOBAL="$work/gitconfig"

# Where later versions come from is changed last: what fails before that leaves it as it was.
fetch_clone() { # FROM [LATER]
    if [ -e "$target/.git" ]; then
        step "$target is there already: bringing it up to date"
        git -C "$target" fetch --quiet --tags "$1" '+refs/heads/*:refs/remotes/origin/*' ||
            fail "nothing can be fetched from $1"
        [ -n "$reference" ] || git -C "$target" symbolic-ref --quiet HEAD >/dev/null ||
            fail "$target is at a tag, which has no newer version" "name a newer one: $0 $1 TAG"
        wanted=${reference:-@\{upstream\}}
        if [ -n "$reference" ] && git -C "$target" rev-parse --quiet --verify "origin/$reference" >/dev/null; then
            wanted=origin/$reference
        fi
        git -C "$target" merge --quiet --ff-only "$wanted" ||
            fail "$target does not lead to that version" "see: git -C $target status"
    else
        step "Cloning $1 into $target"
        # No file is to be shared with a checkout here: they get another owner.
        git clone --quiet --no-hardlinks ${reference:+--branch "$reference"} "$1" "$target" || fail "$1 cannot be cloned"
    fi
    git -C "$target" remote set-url origin "${2:-$1}"
}

if [ -d "$source" ]; then
    source=$(readlink -f "$source")
    [ -f "$source/src/piku/__main__.py" ] || fail "$source is no checkout of Piku"
    if [ "$source" = "$target" ]; then
        step "Using $target as it is"
    elif [ -e "$source/.git" ]; then
        # Later versions come from where that checkout has its own.
        fetch_clone "$source" "$(git -C "$source" remote get-url origin 2>/dev/null)"
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

before=
if getent passwd piku >/dev/null; then before=yes; fi
sh "$target/contrib/checkout.sh" "$piku" Recommends || fail "not all that Piku needs could be installed, see above"
python3 -m compileall -q "$target/src/piku"
step "Setting Piku up"
sh "$target/contrib/server.sh" prepare "$piku" yes "$before"
if command -v systemctl >/dev/null; then
    systemctl enable --quiet piku-emperor piku-nginx
fi
if [ -d /run/systemd/system ]; then
    systemctl start piku-emperor piku-nginx || true
fi
sh "$target/contrib/server.sh" summary "$piku" "$before"
