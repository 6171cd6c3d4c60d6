#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs a Windows program under Wine 10: this system's, or that of a Debian trixie which debootstrap puts below ~/.cache/memcgnative.
# That root is never written to after its set-up: each run sees it through an overlay in memory, in namespaces of its own, which end with
# the run and take mounts, processes and registry with them.
set -euo pipefail

wanted=10
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memcgnative
root=$cache/wine seconds=120 tree=''

usage() {
  cat <<'END'
usage: ./build.sh windows [-t SECONDS] [--] PROGRAM.exe [ARGS]
       ./build.sh windows [-s | -r | -q]

Publishes for win-x64 and runs memcgnative.exe, or another PROGRAM.exe that was published, under Wine; without arguments, the whole
Windows suite. The exit status is the program's; 3 means that Wine cannot be had here, 125 that the program did not come to an end.

  -t SECONDS  patience (120)
  -f TREE     other program files; they are C:\app there
  -s          set Wine up: once, some minutes, 2 GB in ~/.cache/memcgnative/wine; as root, with debootstrap
  -r          remove that again
  -q          only say whether it can be had
END
}

fail() { # status, message
  printf 'windows: %s\n' "$2" >&2
  exit "$1"
}

major() { # wine binary
  local version
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#wine-}
  echo "${version%%.*}"
}

# Empty: none new enough.
system_wine() {
  local wine
  for wine in "$(command -v wine64 || true)" "$(command -v wine || true)" /usr/lib/wine/wine64; do
    if [ -x "$wine" ] && [ "$(major "$wine" || echo 0)" -ge "$wanted" ]; then
      echo "$wine"
      return
    fi
  done
}

set_up() {
  if [ -n "$(system_wine)" ] || [ -e "$root/prefix/system.reg" ]; then return; fi
  [ "$(id -u)" = 0 ] || fail 3 'set-up needs root: debootstrap and chroot'
  command -v debootstrap >/dev/null || fail 3 'debootstrap is not here; as root: apt-get install --no-install-recommends debootstrap'
  local mirror
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | grep -v -e security | sed -n 1p || true)
  echo "windows: setting Wine up in $root from ${mirror:=http://deb.debian.org/debian}, once; some minutes"
  mkdir -p "$cache"
  new=$root.new.$$
  trap 'rm -rf "$new" "$new.log"' EXIT
  install_wine "$mirror" >"$new.log" 2>&1 || {
    tail -n 20 "$new.log" >&2
    fail 3 'Wine could not be set up; what was said is above'
  }
  rm -rf "$root"
  mv "$new" "$root"
}

# shellcheck disable=SC2016
install_wine() { # mirror
  debootstrap --variant=minbase --include=ca-certificates trixie "$new" "$1" &&
    cp -a /etc/apt/apt.conf.d/. "$new/etc/apt/apt.conf.d/" &&
    in_namespaces "$new" 'DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends wine wine64 && apt-get clean' &&
    in_namespaces "$new" 'wine wineboot -i && wineserver -w && test -e $WINEPREFIX/system.reg'
}

# A shell command in a root, as process 1 of its own processes and mounts.
# shellcheck disable=SC2016
in_namespaces() { # root, command
  unshare --mount --pid --fork --kill-child --propagation private sh -c '
    mount -t proc proc "$1/proc" && mount --rbind /sys "$1/sys" && mount --rbind /dev "$1/dev"
    cp -L /etc/resolv.conf "$1/etc/" 2>/dev/null
    exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
      WINEPREFIX=/prefix WINEDEBUG=-all WINEARCH=win64 DISPLAY= /bin/sh -c "$2"' sh "$1" "$2"
}

run_here() { # wine, program, arguments
  local prefix status=0
  prefix=$(mktemp -d)
  WINEPREFIX=$prefix WINEDEBUG=-all WINEARCH=win64 DISPLAY='' timeout -k 5 "$seconds" "$1" "$tree/$2" "${@:3}" || status=$?
  WINEPREFIX=$prefix timeout 10 "$(dirname "$1")/wineserver" -k >/dev/null 2>&1 || true
  rm -rf "$prefix"
  return "$status"
}

run_in_root() { # program, arguments
  local work status=0
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rmdir '$work' 2>/dev/null || true" EXIT # what is mounted there is so in the namespace only
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child --propagation private sh -c '
    root=$1 work=$2 tree=$3 seconds=$4 program=$5
    shift 5
    mount -t tmpfs tmpfs "$work" && mkdir "$work/new" "$work/own" "$work/root" &&
      mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/new,workdir=$work/own" "$work/root" && cd "$work/root" &&
      mount -t proc proc proc && mount --rbind /sys sys && mount --rbind /dev dev &&
      mkdir prefix/drive_c/app && mount --bind "$tree" prefix/drive_c/app || exit 3
    exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 XDG_RUNTIME_DIR=/tmp \
      WINEPREFIX=/prefix WINEDEBUG=-all WINEARCH=win64 DISPLAY= timeout -k 5 "$seconds" wine "C:\\app\\$program" "$@"
    ' sh "$root" "$work" "$tree" "$seconds" "$@" || status=$?
  return "$status"
}

# Whether it can run, in one line when not.
ready() {
  if [ -n "$(system_wine)" ]; then return; fi
  [ -e "$root/prefix/system.reg" ] || fail 3 "no Wine $wanted here; as root: apt-get install --no-install-recommends debootstrap && ./build.sh windows -s"
  [ "$(id -u)" = 0 ] || fail 3 "Wine in $root needs root: chroot"
}

while getopts t:f:srqh option; do
  case $option in
    t) seconds=$OPTARG ;;
    f) tree=$(readlink -f -- "$OPTARG") ;;
    s)
      set_up
      exit 0
      ;;
    r)
      rm -rf "$root"
      exit 0
      ;;
    q)
      ready
      exit 0
      ;;
    h)
      usage
      exit 0
      ;;
    *) fail 2 'see ./build.sh windows -h' ;;
  esac
done
shift $((OPTIND - 1))
[ $# != 0 ] || fail 2 'no PROGRAM.exe; see ./build.sh windows -h'
ready
[ -f "$tree/$1" ] || fail 2 "$1: no such file in ${tree:-TREE}"
status=0
wine=$(system_wine)
if [ -n "$wine" ]; then run_here "$wine" "$@" || status=$?; else run_in_root "$@" || status=$?; fi
case $status in 124 | 137) fail 125 "$1: not finished after $seconds s" ;; esac
exit "$status"
