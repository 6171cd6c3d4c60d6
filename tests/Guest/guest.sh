#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Boots a kernel in an emulated machine of several memory nodes, runs a program in it and brings back its exit status and its files.
# Emulation only, never KVM: it needs no privilege, and where the hypervisor lends a KVM a stock kernel may not boot on it.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memcgnative/guest
kernel=6.12 nodes='' cpus='' mib=512 near=16 far=32 pairs='' seconds=300 tree='' job='' out='' cmdline='' dry=''
accel=tcg,thread=multi features=max clock=() cgroup=
# Seconds of CPU without a sign of life, seconds without either, that make a machine a dead one; the watcher's own tests shorten them.
spins=${MEMCGNATIVE_GUEST_SPINS:-25} sleeps=${MEMCGNATIVE_GUEST_SLEEPS:-120}
owner=${MEMCGNATIVE_GUEST_OWNER-} # a process without which nobody wants the guest any more

usage() {
  cat <<'END'
usage: ./build.sh guest [OPTIONS] [--] [COMMAND [ARGS]]

Boots a Debian kernel in an emulated machine (QEMU, no KVM) and runs memcgnative, or another COMMAND of TREE, in it.
The exit status is the command's; 3 means that the guest cannot be had here, 125 that it did not come to an end.

  -k 6.1|6.12|FILE  kernel: Debian's cloud kernels (downloaded by apt-get, kept in ~/.cache/memcgnative/guest) or a bzImage
  -1                cgroup v1 (kernel 6.1): /sys/fs/cgroup/memory and cpuset; without it v2 in /sys/fs/cgroup; $CGROUP names either
  -n NODES          memory nodes (4), or one CPUSxMIB for each: 2x512,2x0,-,1x256,0x512 (0x: no CPUs, x0: no memory, -: a hole)
  -c CPUS           CPUs of each node (2)
  -m MIB            memory of each node (512)
  -d NEAR,FAR       distances: within a pair of nodes 2k and 2k+1, and beyond (16,32)
  -d A-B=D,...      single distances
  -a TEXT           more kernel command line
  -t SECONDS        patience (300); a machine that lies still is started once more, the other way (-s)
  -o DIR            where the files that the program left in /out go
  -f TREE           program files, seen as /app (default: this build of memcgnative)
  -j JOB            a script for the guest's shell instead of a command; "run NAME COMMAND" leaves NAME.out, .err, .status in DIR;
                    proc, sys, tracefs (/sys/kernel/tracing) and cgroups are mounted
  -s                emulate all CPUs in one thread: slower, and nothing that depends on two of them at once
  -i                count instructions: one CPU, 1 ns of the guest's clock is one instruction
  -N                print the emulator's command line and stop
END
}

fail() { # status, message
  printf 'guest: %s\n' "$2" >&2
  exit "$1"
}

needs() {
  local tool
  for tool in qemu-system-x86_64 busybox cpio; do
    command -v "$tool" >/dev/null ||
      fail 3 "$tool is not here; as root: apt-get install --no-install-recommends qemu-system-x86 busybox-static cpio"
  done
}

# The newest kernel of a series that the package system knows, fetched and verified by it; a kernel once fetched is kept.
find_kernel() {
  local meta package image
  case $kernel in
    6.1) meta=linux-image-cloud-amd64 ;;
    6.12) meta=linux-image-6.12-cloud-amd64 ;;
    *)
      [ -f "$kernel" ] || fail 2 "-k $kernel: no such file, and no series; write 6.1, 6.12 or the path of a bzImage"
      return
      ;;
  esac
  mkdir -p "$cache"
  package=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/ *Depends: //p' | grep -m1 "^linux-image-${kernel//./\\.}\\." || true)
  image=$cache/${package:-none}.bzImage
  if [ -z "$package" ] || { [ ! -s "$image" ] && ! fetch "$package" "$image"; }; then
    # Offline, or the package moved on: an older one of the series will do.
    image=$(find "$cache" -maxdepth 1 -name "linux-image-$kernel.*.bzImage" -size +1M | sort -V | tail -n 1)
    [ -n "$image" ] || fail 3 "no Debian kernel $kernel: apt-get cannot fetch $meta (apt-get update first?), and $cache has none"
  fi
  kernel=$image
}

fetch() ( # package, image
  cd "$work"
  apt-get download "$1" >/dev/null 2>&1 || exit 1
  dpkg-deb --fsys-tarfile "$1"_*.deb | tar x -O --wildcards './boot/vmlinuz-*' >"$2.$$" && mv -f "$2.$$" "$2"
)

# Node by node "CPUS MIB", or "-" for a number that no node has.
read_nodes() {
  layout=()
  local item items
  if [[ $nodes =~ ^[0-9]+$ ]]; then
    for ((n = 0; n < nodes; n++)); do layout+=("$cpus $mib"); done
  else
    IFS=, read -ra items <<<"$nodes"
    for item in "${items[@]}"; do
      if [ "$item" = - ]; then layout+=(-); elif [[ $item =~ ^([0-9]+)x([0-9]+)$ ]]; then layout+=("${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"); else
        fail 2 "-n: '$item' is not CPUSxMIB or -; write for example 2x512,2x0,-,1x256,0x512"
      fi
    done
  fi
  if [ "${#layout[@]}" -lt 1 ] || [ "${#layout[@]}" -gt 64 ]; then fail 2 "-n $nodes: 1 to 64 nodes"; fi
}

# A hole is a node whose only CPU never comes up: firmware names it, Linux keeps the number and brings no node up. Linux 6.1 is told to leave
# that CPU alone; later ones cannot be, so it is not plugged in and those behind it are by hand, which 6.1 takes badly: it lies still in
# stop_machine. Linux numbers nodes in the order in which firmware names them, CPUs first: hence the order asked for.
machine() {
  local total=0 next=0 n c m node by_hand='' left='' memory_only='' boot=0 later=()
  args=()
  for n in "${!layout[@]}"; do
    if [ "${layout[n]}" = - ]; then c=1 m=0; else read -r c m <<<"${layout[n]}"; fi
    node=node,nodeid=$n
    if [ "$c" = 0 ]; then memory_only=1; elif [ -n "$memory_only" ]; then fail 2 "-n $nodes: nodes without CPUs come last"; else node+=,cpus=$next-$((next + c - 1)); fi
    if [ "${layout[n]}" = - ]; then
      if [ "$kernel" != 6.1 ] || [ "$next" = 0 ]; then by_hand=1; elif [ -n "$left" ]; then fail 2 "-n $nodes: Linux 6.1 takes one hole"; else left=" disable_cpu_apicid=$next"; fi
    fi
    if [ -z "$by_hand" ]; then boot=$((next + c)); elif [ "${layout[n]}" != - ]; then
      for ((i = next; i < next + c; i++)); do later+=(-device "max-x86_64-cpu,socket-id=$i,core-id=0,thread-id=0"); done
    fi
    next=$((next + c)) total=$((total + m))
    if [ "$m" != 0 ]; then
      args+=(-object "memory-backend-ram,id=m$n,size=${m}M")
      node+=,memdev=m$n
    fi
    args+=(-numa "$node")
  done
  if [ "$boot" = 0 ] || [ "$total" -lt 256 ]; then fail 2 "-n $nodes: the first node needs a CPU, and all together 256 MiB"; fi
  local sockets=$next cores=1
  if [[ $nodes =~ ^[0-9]+$ ]]; then sockets=$nodes cores=$cpus; fi
  cmdline+=$left
  args=(-m "$total" -smp "$boot,maxcpus=$next,sockets=$sockets,cores=$cores,threads=1" "${args[@]}" "${later[@]}")
  distances
}

distances() {
  local a b d
  for ((a = 0; a < ${#layout[@]}; a++)); do
    for ((b = a + 1; b < ${#layout[@]}; b++)); do
      d=$((a / 2 == b / 2 ? near : far))
      if [[ ,$pairs, =~ ,$a-$b=([0-9]+), ]]; then d=${BASH_REMATCH[1]}; fi
      args+=(-numa "dist,src=$a,dst=$b,val=$d")
    done
  done
}

# The shared runtime that a build, unlike a self-contained publish, lacks.
runtime() { # folder
  local installed=${DOTNET_ROOT:-$(dirname -- "$(readlink -f -- "$(command -v dotnet)")")} version
  version=$(find "$installed/shared/Microsoft.NETCore.App" -mindepth 1 -maxdepth 1 -name '10.*' | sort -V | tail -n 1)
  [ -n "$version" ] || fail 3 "no .NET 10 runtime in $installed; set DOTNET_ROOT"
  mkdir -p "$1/shared/Microsoft.NETCore.App"
  ln -s "$installed/host" "$1/host"
  ln -s "$version" "$1/shared/Microsoft.NETCore.App/"
}

# The libraries a .NET program loads and the program: one archive, not compressed, because the guest unpacks slowly.
pack() { # archive
  local root=$work/root lib from
  local libs=$root/lib/x86_64-linux-gnu
  mkdir -p "$root/bin" "$root/lib64" "$libs"
  cp "$(command -v busybox)" "$root/bin/busybox"
  for lib in libc.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libgcc_s.so.1 libstdc++.so.6 ld-linux-x86-64.so.2; do
    for from in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64 /usr/lib64; do
      if [ -e "$from/$lib" ]; then
        cp -L "$from/$lib" "$libs/"
        break
      fi
    done
  done
  mv "$libs/ld-linux-x86-64.so.2" "$root/lib64/"
  cp "$here/init" "$root/init"
  chmod +x "$root/init"
  cp "$work/job" "$root/job"
  ln -s "$tree" "$root/app"
  [ -e "$tree/libcoreclr.so" ] || runtime "$root/dotnet"
  (cd "$root" && find -L . | cpio -o -L -H newc --quiet) >"$1"
}

# An emulated machine may lie still: a CPU misses an instruction that another one patches (a static key), or an interrupt, or all of them
# wait for one another in stop_machine. The kernel then dies ("Oops: int3"), complains of soft lockups, or is silent. Told from a program that
# takes long by the line that init writes every 2 s (not by the kernel's complaints), and from a busy host by what the emulator did since the
# last one: it ran for long, or neither ran nor stood in line for a CPU.
readonly late=124 still=125 orphan=143
watch() {
  local begin=$SECONDS said=0 at=$SECONDS heard ran=0 stood=0 ran0=0 stood0=0
  while kill -0 "$emulator" 2>/dev/null; do
    sleep 1
    if [ -n "$owner" ] && [ ! -e "/proc/$owner" ]; then exit "$orphan"; fi
    if [ $((SECONDS - begin)) -ge "$seconds" ]; then
      end_emulator
      return "$late"
    fi
    if [ "${#clock[@]}" != 0 ]; then continue; fi # its seconds are not ours
    read -r ran stood < <(scheduled) || true
    heard=$(grep -c '^alive' "$work/console") || true
    if [ "$heard" != "$said" ]; then said=$heard at=$SECONDS ran0=$ran stood0=$stood; fi
    if [ $((ran - ran0)) -ge "$spins" ] || { [ $((SECONDS - at)) -ge "$sleeps" ] && [ $((ran - ran0 + stood - stood0)) -lt $((sleeps / 6)) ]; }; then
      end_emulator
      return "$still"
    fi
  done
}

# Seconds all threads of the emulator ran, and stood in line.
scheduled() {
  cat "/proc/$emulator/task/"*/schedstat 2>/dev/null | awk '{ ran += $1; stood += $2 } END { printf "%d %d\n", ran / 1e9, stood / 1e9 }'
}

end_emulator() {
  kill "$emulator" 2>/dev/null || true
  sleep 0.2
  kill -KILL "$emulator" 2>/dev/null || true
  wait "$emulator" 2>/dev/null || true
}

while getopts k:1n:c:m:d:a:t:o:f:j:siNh option; do
  case $option in
    1) cgroup='cgroup=1 ' ;;
    s) accel=tcg,thread=single ;;
    i)
      # Without the string instructions' fast paths a copy is counted as what it moves; without mitigations as what Linux wrote. The counter
      # runs at 1 GHz: where Linux finds out by itself, it is a few millionths off, another few in each boot.
      accel=tcg,thread=single features=max,-erms,-fsrm clock=(-icount 'shift=0,sleep=off')
      cmdline+=' mitigations=off tsc_early_khz=1000000 hpet=disable pmtmr=0'
      ;;
    k) kernel=$OPTARG ;;
    n) nodes=$OPTARG ;;
    c) cpus=$OPTARG ;;
    m) mib=$OPTARG ;;
    d) if [[ $OPTARG =~ ^([0-9]+),([0-9]+)$ ]]; then near=${BASH_REMATCH[1]} far=${BASH_REMATCH[2]}; else pairs+=,$OPTARG; fi ;;
    a) cmdline+=" $OPTARG" ;;
    t) seconds=$OPTARG ;;
    o) out=$OPTARG ;;
    f) tree=$(readlink -f -- "$OPTARG") ;;
    j) job=$OPTARG ;;
    N) dry=1 ;;
    h)
      usage
      exit 0
      ;;
    *) fail 2 'see ./build.sh guest -h' ;;
  esac
done
shift $((OPTIND - 1))

if [ "${#clock[@]}" != 0 ]; then : "${nodes:=1}" "${cpus:=1}"; else : "${nodes:=4}" "${cpus:=2}"; fi
read_nodes
machine
args=(-M q35 -nodefaults -no-user-config -display none -no-reboot -cpu "$features" "${clock[@]}" "${args[@]}")
append="console=ttyS0 panic=-1 quiet tsc=reliable no_timer_check transparent_hugepage=madvise $cgroup$cmdline"
if [ -n "$dry" ]; then
  printf '%q ' qemu-system-x86_64 -accel "$accel" "${args[@]}" -append "$append"
  echo
  exit 0
fi
needs
[ -d "$tree" ] || fail 2 "-f ${tree:-TREE}: no such folder"

emulator=''
work=$(mktemp -d "${TMPDIR:-/tmp}/memcgnative-guest.XXXXXX")
trap '[ -z "$emulator" ] || end_emulator; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

find_kernel
if [ -n "$job" ]; then
  [ -f "$job" ] || fail 2 "-j $job: no such file"
  cp "$job" "$work/job"
else
  if [ $# = 0 ] || [ ! -e "$tree/$1" ]; then set -- memcgnative "$@"; fi
  { printf 'run live' && printf ' %q' "$@" && echo; } >"$work/job"
fi
pack "$work/initrd"

for attempt in 1 2; do
  status=0
  qemu-system-x86_64 -accel "$accel" "${args[@]}" -kernel "$kernel" -initrd "$work/initrd" -append "$append" \
    -serial stdio -serial "file:$work/out.tgz" </dev/null >"$work/console" 2>"$work/qemu" &
  emulator=$!
  watch && wait "$emulator" || status=$?
  emulator=''
  if [ "$attempt" = 2 ] || { ! grep -q 'Kernel panic - not syncing' "$work/console" && [ "$status" != "$still" ]; }; then break; fi
  echo 'guest: the machine locked up in the emulator; starting it once more' >&2
  # The other way: what one way of running the CPUs gets stuck in, the other passes.
  if [ "$accel" = tcg,thread=single ] && [ "${#clock[@]}" = 0 ]; then accel=tcg,thread=multi; else accel=tcg,thread=single; fi
done
mkdir "$work/out"
if [ "$status" != 0 ] || ! tar xzf "$work/out.tgz" -C "$work/out" 2>/dev/null; then
  tr -d '\r' <"$work/console" >&2
  cat "$work/qemu" >&2
  [ "$status" != "$late" ] || fail 125 "not finished after $seconds s"
  [ "$status" != "$still" ] || fail 125 'the machine locked up in the emulator, twice'
  fail 125 "the guest broke off (emulator: exit $status); what it said is above"
fi
if [ -z "$job" ]; then
  cat "$work/out/live.out"
  cat "$work/out/live.err" >&2
  status=$(cat "$work/out/live.status")
  rm -f "$work"/out/live.*
fi
if [ -n "$out" ]; then
  mkdir -p "$out"
  cp -R "$work/out/." "$out/"
  tr -d '\r' <"$work/console" >"$out/console"
fi
exit "$status"
