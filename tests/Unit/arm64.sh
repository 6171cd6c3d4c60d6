#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs a program published for linux-arm64 on this x64 machine, by QEMU's emulation of a user process.
# It shows that the code is right for the other instruction set and for its system calls. It does not show arm64's memory order: the
# emulator runs loads and stores on this machine, in this machine's order, so a litmus test sees here what it sees on x64.
set -euo pipefail

libs=/usr/aarch64-linux-gnu
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
if [ -z "$emulator" ] || [ ! -e "$libs/lib/libstdc++.so.6" ]; then
  echo 'arm64: no emulator here; as root: apt-get install --no-install-recommends qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross' >&2
  exit 3
fi
QEMU_LD_PREFIX=$libs exec "$emulator" "$@"
