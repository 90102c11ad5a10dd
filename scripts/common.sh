# What up, down and test share. Sourced, not run; $top is the clone.
# shellcheck shell=sh

top=$(cd "$(dirname "$0")/.." && pwd)

BUILD_PACKAGES='autoconf automake make gcc libc6-dev pkg-config libfcgi-dev libhiredis-dev
    libcurl4-openssl-dev libevent-dev libjansson-dev libinih-dev libssl-dev libcmark-gfm-dev
    libcmark-gfm-extensions-dev'
RUN_PACKAGES='nginx-light spawn-fcgi multiwatch redis-server curl ca-certificates'
PEER_PACKAGES='python3 python3-fastapi python3-uvicorn python3-uvloop python3-httptools python3-redis
    python3-hiredis python3-httpx python3-ujson'
TEST_PACKAGES="check systemd python3-pytest python3-cryptography $PEER_PACKAGES"

say()  { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }

# Installs the packages among "$@" that are missing. Services that a package would start are
# not wanted here: confab starts its own.
need_packages()
{
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "Installing:$missing"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "these packages are missing; install them as root:$missing"
        as_root=sudo
    fi
    policy=/usr/sbin/policy-rc.d
    made_policy=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod +x $policy
        made_policy=1
    fi
    # shellcheck disable=SC2086
    {
        $as_root apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing
    } >&2 || install_failed=1
    [ -z "$made_policy" ] || $as_root rm -f $policy
    [ -z "${install_failed:-}" ] || fail "apt-get could not install:$missing"
}

# build DIR CONFIGURE_ARGS...: builds out of tree in DIR; configures once for the same arguments.
build()
{
    build_dir=$1
    shift
    [ -x "$top/configure" ] && [ "$top/configure" -nt "$top/configure.ac" ] ||
        (cd "$top" && autoreconf -fi) >&2 || fail 'autoreconf failed'
    mkdir -p "$build_dir"
    if [ ! -f "$build_dir/Makefile" ] || [ "$(cat "$build_dir/configured-with" 2>/dev/null)" != "$*" ]; then
        (cd "$build_dir" && "$top/configure" -q "$@") >&2 || fail "configure failed, see $build_dir/config.log"
        printf '%s' "$*" >"$build_dir/configured-with"
    fi
    make -s -C "$build_dir" -j"$(nproc)" >&2 || fail "the build failed in $build_dir"
}

# Services by name, each with a file that holds its pid and when that process began, so that a
# pid which the kernel has given to somebody else is not taken for ours. One that is dead, even if
# nobody has collected it, never began.
began() { sed -n 's/^.*) \([^Z]\)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

service_pid()       # NAME: prints the pid when it runs
{
    [ -f "$state/run/$1" ] || return 1
    read -r pid when <"$state/run/$1" || return 1
    [ "$(began "$pid")" = "$when" ] && echo "$pid"
}

# One that was killed leaves children, which are still of its process group: asks them to end.
service_clear()     # NAME
{
    read -r pid when 2>/dev/null <"$state/run/$1" || return 0
    left="s/^\\([0-9]*\\) (\\(nginx\\|confab-[a-z]*\\)) [^Z] [0-9]* $pid .*/\\1/p"
    [ -n "$(began "$pid")" ] ||
        for orphan in $(sed -n "$left" /proc/[0-9]*/stat 2>/dev/null); do
            kill -TERM "$orphan" 2>/dev/null || :
        done
    rm -f "$state/run/$1"
}

service_start()     # NAME COMMAND...
{
    name=$1
    service_clear "$name"
    shift
    setsid "$@" </dev/null >>"$state/logs/$name.log" 2>&1 &
    echo "$! $(began $!)" >"$state/run/$name"
}

# Asks again each second: multiwatch replaces a child that dies in the very moment in which it hands
# the signal on, and would wait for the new one for ever.
service_stop()      # NAME SECONDS [SIGNAL]: asks, waits, then kills
{
    pid=$(service_pid "$1") || { service_clear "$1"; return 0; }
    kill "-${3:-TERM}" "$pid"
    tries=$(($2 * 10))
    while [ "$(service_pid "$1")" = "$pid" ]; do
        if [ $((tries -= 1)) -le 0 ]; then
            say "  $1 does not end, killed"
            kill -KILL "-$pid" 2>/dev/null || kill -KILL "$pid"
            break
        fi
        [ $((tries % 10)) -ne 0 ] || kill "-${3:-TERM}" "$pid" 2>/dev/null || :
        sleep 0.1
    done
    rm -f "$state/run/$1"
}
