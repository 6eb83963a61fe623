#!/bin/sh
# Makes this machine a Piku server, for the package and for install.sh alike; safe to run again. As root:
#   server.sh prepare PIKU KEYS [BEFORE]   user, folders, keys (yes or no); BEFORE: the version there was
#   server.sh summary PIKU [BEFORE]        what somebody should know now
set -eu
# Where no repository is that tells piku to ask another server.
cd /

home=/var/lib/piku

say() { printf '%s\n' "$*"; }
warn() { printf ' !     %s\n' "$*"; }

# A user that nobody logs in as with a password. One without a valid password is fine for sshd, a locked one is not.
make_account() {
    if ! getent passwd piku >/dev/null; then
        adduser --quiet --system --group --home "$home" --shell /bin/bash --gecos 'Piku' piku
    elif [ "$(getent passwd piku | cut -d: -f6)" != "$home" ]; then
        warn "there is a user called piku already, whose home is $(getent passwd piku | cut -d: -f6)"
        warn "Piku wants that name for a user of its own, in $home. End the other one's processes, rename it"
        warn "(usermod -l NEWNAME piku; groupmod -n NEWNAME piku), then install again"
        exit 1
    fi
    case $(getent shadow piku | cut -d: -f2) in
        '' | '!'*) usermod -p '*' piku ;;
    esac
    install -d -m 755 -o piku -g piku "$home"
}

# Lets the keys of root, and of who called sudo, in. Keys with conditions are left out: they would lose them.
add_keys() {
    for user in root ${SUDO_USER:+"$SUDO_USER"}; do
        file=$(getent passwd "$user" | cut -d: -f6)/.ssh/authorized_keys
        [ -f "$file" ] || continue
        grep -nE '^(ssh|ecdsa|sk)-' "$file" | while IFS= read -r line; do
            add_key "$user" "${line#*:}" "$file, line ${line%%:*}"
        done
    done
}

add_key() { # NAME KEY PLACE
    said=$(printf '%s\n' "$2" | "$piku" setup:ssh - --name "$1" 2>&1) && return 0
    case $said in
        *'can already log in'*) return 0 ;;
    esac
    warn "the key in $3 may not push:"
    printf '%s\n' "$said"
}

# Whether nobody has changed the configuration that came with the distribution's nginx.
nginx_untouched() {
    for sites in /etc/nginx/sites-enabled /etc/nginx/conf.d; do
        for file in "$sites"/*; do
            case $file in
                */\* | /etc/nginx/sites-enabled/default) ;;
                *) return 1 ;;
            esac
        done
    done
    dpkg-query -W -f '${Conffiles}\n' nginx nginx-common nginx-core nginx-light 2>/dev/null |
        while read -r file sum rest; do
            case "$file:$rest" in
                /etc/nginx/*:obsolete) ;;
                /etc/nginx/*) [ ! -e "$file" ] || echo "$sum  $file" ;;
            esac
        done | md5sum --check --status - 2>/dev/null
}

# The distribution starts a server of its own, which shows a page that says so, on the port that Piku needs.
quiet_nginx() {
    systemctl is-enabled --quiet nginx.service 2>/dev/null || systemctl is-active --quiet nginx.service || return 0
    nginx_untouched || return 0
    say "Stopping the distribution's own nginx.service, which nobody has configured: Piku runs its own."
    now=--now
    if [ ! -d /run/systemd/system ]; then
        # An image is made: nothing runs now. At the first boot systemd may decide anew what starts, by such files.
        now=
        install -d /etc/systemd/system-preset
        echo 'disable nginx.service' >/etc/systemd/system-preset/50-piku.preset
    fi
    systemctl disable --quiet $now nginx.service 2>/dev/null || true
}

port() { # NAME DEFAULT
    value=$(sed -n "s/^$1=//p" /etc/default/piku 2>/dev/null | tail -n 1)
    echo "${value:-$2}"
}

# Who else listens there: "program (port 80)".
taken() {
    for number in "$(port PIKU_HTTP_PORT 80)" "$(port PIKU_HTTPS_PORT 443)"; do
        ss -Hltnp "sport = :$number" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p' |
            sort -u | while read -r name pid; do
            grep -q piku-nginx "/proc/$pid/cgroup" 2>/dev/null || echo "$name (port $number)"
        done
    done | sort -u
}

prepare() {
    make_account
    # Whether a new server has walls between apps is said on the other channel.
    "$piku" setup >/dev/null
    # Keys that the package let in call its program, which is gone.
    if [ ! -e /usr/bin/piku ] && [ -f "$home/.ssh/authorized_keys" ]; then
        runuser -u piku -- sed -i "s|/usr/bin/piku |$piku |" "$home/.ssh/authorized_keys"
    fi
    # Not again: one that was removed stays away.
    if [ "$keys" = yes ] && [ ! -s "$home/.ssh/authorized_keys" ]; then
        add_keys
    fi
    if [ -z "$before" ] && command -v systemctl >/dev/null; then
        quiet_nginx
    fi
    # A new version may have written nginx's configuration anew.
    if [ -n "$before" ] && [ -d /run/systemd/system ]; then
        systemctl try-reload-or-restart piku-nginx || true
    fi
}

summary() {
    if [ "$piku" = /usr/bin/piku ] && [ -e /etc/systemd/system/piku-emperor.service ]; then
        warn "The Piku in /opt/piku, which install.sh has put there, comes first. To use this one instead:"
        warn "  ln -sf /usr/bin/piku /usr/local/bin/piku; rm /etc/systemd/system/piku-nginx.service \\"
        warn "  /etc/systemd/system/piku-emperor.service; systemctl daemon-reload"
    fi
    if [ ! -d /run/systemd/system ]; then
        warn "systemd does not run here: Piku starts when this machine boots with it. Without it, start Piku as"
        warn "the user piku with: piku up"
        return
    fi
    others=$(taken)
    if [ -n "$others" ]; then
        warn "Piku's web server cannot start: $(echo "$others" | paste -sd, | sed 's/,/, /g') is in its way. Either"
        warn "  stop that one, as in: systemctl disable --now nginx (or apache2, caddy); Piku's starts by itself then"
        warn "  or have Piku listen elsewhere: set PIKU_HTTP_PORT and PIKU_HTTPS_PORT in /etc/default/piku, run"
        warn "  systemctl restart piku-nginx, and have the other one pass requests on (README, docs/install.md)"
    fi
    [ -z "$before" ] || return 0
    if [ -z "$("$piku" keys)" ]; then
        say "Piku is installed. Now let a first key in. On your laptop, show its public one (ssh-keygen makes one):"
        say "    cat ~/.ssh/id_ed25519.pub"
        say "and here, as root, give the line that it shows:"
        say "    echo 'ssh-ed25519 AAAA…' | piku setup:ssh - --name laptop"
    else
        say "Piku is installed. These keys may push (piku keys:remove takes one away):"
        "$piku" keys | sed 's/^/    /'
    fi
    address=$(hostname -I 2>/dev/null | cut -d' ' -f1)
    say "Then push an app: git push piku@${address:-$(hostname)}:APP main"
}

command=$1 piku=$2
case $command in
    prepare) keys=$3 before=${4-} && prepare ;;
    summary) before=${3-} && summary ;;
    *) echo "server.sh: no such command: $command" >&2 && exit 2 ;;
esac
