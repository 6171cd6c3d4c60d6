#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs a program published for linux-arm64 on this x64 machine, by QEMU's emulation of a user process.
# It shows that the code is right for the other instruction set and for its system calls. It does not show arm64's memory order: the
# emulator runs loads and stores on this machine, in this machine's order, so a litmus test sees here what it sees on x64.
set -euo pipefail

libs=/usr/aarch64-linux-gnu
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memcgnative/arm64
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
if [ -z "$emulator" ] || [ ! -e "$libs/lib/libstdc++.so.6" ]; then
  echo 'arm64: no emulator here; as root: apt-get install --no-install-recommends qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross' >&2
  exit 3
fi

# The test platform hashes, .NET hashes by OpenSSL, and that has no -cross package: the package system fetches and verifies the other
# machine's, with lists of its own, and this system's are left as they are.
fetch() (
  set -e
  new=$cache.new.$$
  trap 'rm -rf "$new"' EXIT
  mkdir -p "$new/lists/partial" "$new/archives/partial"
  apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
    -o "Dir::State::Lists=$new/lists" -o "Dir::Cache=$new" -o Dir::State::status=/dev/null)
  cd "$new"
  "${apt[@]}" update && "${apt[@]}" download libssl3
  dpkg-deb -x libssl3_*.deb root
  rm -rf "$cache"
  mv root/usr/lib/aarch64-linux-gnu "$cache"
)

if [ ! -e "$cache/libssl.so.3" ] && ! fetch >/dev/null 2>&1; then
  echo 'arm64: no libssl3 for arm64: apt-get cannot fetch it' >&2
  exit 3
fi
# The emulator does not see code change that is written through a second mapping, which is how .NET writes it.
QEMU_LD_PREFIX=$libs exec "$emulator" -E "LD_LIBRARY_PATH=$cache" -E DOTNET_EnableWriteXorExecute=0 "$@"
