#!/bin/sh
# Brings to this machine what a server needs whose Piku is the checkout (or copy) that this script is in: packages,
# the command, services. For install.sh and "piku update" alike; safe to run again. As root:
#   checkout.sh PIKU [Recommends]   PIKU: where the command is to be, such as /usr/local/bin/piku; with what is
#                                   recommended besides, which people may have removed for their reasons
set -eu

folder=$(dirname "$(dirname "$(readlink -f "$0")")")
piku=$1 recommended=${2-}
cd /
export DEBIAN_FRONTEND="${DEBIAN_FRONTEND:-noninteractive}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The packages that a field of debian/control names.
named() { # FIELD
    awk -v field="$1:" '/^[^ ]/ { on = $1 == field; sub(/^[^:]*:/, "") } on' "$folder/debian/control" |
        sed 's/\${[^}]*}//g; s/([^)]*)//g; s/|[^,]*//g' | tr ',\n' '  '
}

# Which of them are not here.
missing() {
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -q '^installed' || echo "$package"
    done
}

# Packages that are here are left at the version that they have.
bring() {
    # shellcheck disable=SC2046  # names have no spaces
    set -- $(missing "$@")
    [ $# -gt 0 ] || return 0
    echo "-----> Installing Debian packages: $*"
    # Lists that are old, or missing, are the most common reason why it fails.
    get "$@" || { apt-get update --quiet >"$log" 2>&1 && get "$@"; }
}
get() { apt-get install --yes --quiet -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; }

# The services of the package, with the paths of this one. One that is new here is to start at every boot.
write_units() {
    new=
    for unit in piku-emperor piku-nginx; do
        place=/etc/systemd/system/$unit.service
        [ -e "$place" ] || new="$new $unit"
        sed "s|/usr/bin/piku |$piku |; s|file:/usr/share/doc/piku/README.md man:piku(1)|file:$folder/README.md|" \
            "$folder/contrib/systemd/$unit.service" >"$place.new"
        mv "$place.new" "$place"
    done
    command -v systemctl >/dev/null || return 0
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    # shellcheck disable=SC2086  # names have no spaces
    [ -z "$new" ] || systemctl enable --quiet $new
}

# shellcheck disable=SC2046  # names have no spaces
bring $(named Depends) || { cat "$log" >&2 && exit 1; }
if [ -n "$recommended" ]; then
    # shellcheck disable=SC2046
    bring $(named Recommends) || echo " !     Piku works without them; Let's Encrypt needs lego or acme.sh" >&2
fi
[ "$(readlink -f "$piku")" = "$folder/bin/piku" ] || ln -sf "$folder/bin/piku" "$piku"
[ -e /etc/default/piku ] || cp "$folder/debian/piku.default" /etc/default/piku
write_units
