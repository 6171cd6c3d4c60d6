#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Instruction counts, from the clock of an emulator that counts instructions: of the port's operations, and of the kernel's in the same unit.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
golden=$here/icount.golden kernels=(6.1 6.12) what=both write='' tree=''

usage() {
  cat <<'END'
usage: ./build.sh icount [-k 6.1|6.12] [-p] [-g]

Instructions per operation, on one emulated CPU: every era and every answer of the port; and of a kernel with memory cgroups off, in the root
group, in a child and three levels deep. The same unit for both, and no cache, lock contention or distance in it. Some minutes.

  -k KERNEL  one kernel only (both)
  -p         the port only
  -g         the port only, and its counts become the golden file, tests/Guest/icount.golden
END
}

while getopts k:pgf:h option; do
  case $option in
    k) kernels=("$OPTARG") ;;
    p) what=port ;;
    g) what=port write=1 ;;
    f) tree=$OPTARG ;;
    h)
      usage
      exit 0
      ;;
    *)
      echo 'icount: see ./build.sh icount -h' >&2
      exit 2
      ;;
  esac
done

work=$(mktemp -d "${TMPDIR:-/tmp}/memcgnative-icount.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

boot() { # name, kernel, kernel command line, command
  printf "inside /out <<'JOBS'\n%s %s\nJOBS\n" "$1" "$4" >"$work/$1.job"
  # One instruction set on every machine that has the emulator.
  "$here/guest.sh" -i -k "$2" -a "DOTNET_EnableAVX=0 norandmaps $3" -t 1800 -f "$tree" -j "$work/$1.job" -o "$work/$1" || return
  if [ "$(cat "$work/$1/$1.status")" != 0 ]; then
    cat "$work/$1/$1.err" >&2
    return 1
  fi
}

boot port 6.12 '' port-costs
if [ -n "$write" ]; then
  cp "$work/port/port.out" "$golden"
  echo "wrote $(wc -l <"$golden") counts to tests/Guest/icount.golden"
  exit
fi
printf 'the port: instructions of one operation\n'
cat "$work/port/port.out"
[ "$what" = both ] || exit 0
for kernel in "${kernels[@]}"; do
  boot "off-$kernel" "$kernel" cgroup_disable=memory 'kernel-costs off'
  boot "on-$kernel" "$kernel" '' 'kernel-costs root child depth-3'
  printf '\nLinux %s: instructions of one page or object\n' "$kernel"
  cat "$work/off-$kernel/off-$kernel.out" "$work/on-$kernel/on-$kernel.out" | awk '
    BEGIN { printf "%-16s %8s %8s %8s %8s\n", "memory cgroups:", "off", "root", "child", "depth-3" }
    !($1 in seen) { seen[$1] = 1; order[++n] = $1 }
    { cost[$1, $2] = $3 }
    END { for (i = 1; i <= n; i++) printf "%-16s %8d %8d %8d %8d\n", order[i], cost[order[i], "off"], cost[order[i], "root"], cost[order[i], "child"], cost[order[i], "depth-3"] }'
done
