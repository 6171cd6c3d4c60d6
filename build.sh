#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Builds, runs and tests MemcgNative from any directory; needs the .NET SDK and nothing else.
set -euo pipefail

root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
wanted=10.0.100
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

usage='usage: ./build.sh [build | run [COMMAND] [OPTIONS] | test [PROJECT] [OPTIONS] | pack | guest [OPTIONS] [-- COMMAND] | windows [PROGRAM.exe] | arm64 [OPTIONS] | icount [OPTIONS] | explore | torture | help]'

help() {
  cat <<END
$usage

  ./build.sh                    build everything (Release) and leave the launcher ./memcgnative
  ./build.sh run                build and run the main job: memcgnative sweep
  ./build.sh run --format json  options go to the main job
  ./build.sh run topology       a command name goes to that command
  ./build.sh test               build and run every test; the last line is the total
  ./build.sh test Unit --help   one test project, with options of its own
  ./build.sh pack               a dotnet tool package and a single file for linux-x64, each tried in an empty folder
  ./build.sh guest -n 4 -c 2 -- sweep fault -C node:0 -m local,remote
                                run it in an emulated machine of 4 nodes and 8 CPUs; guest -h tells more
  ./build.sh windows            publish for Windows and run program and tests under Wine; windows -h tells more
  ./build.sh arm64              compile for arm64 (Linux, Windows) and run the unit tests in an emulated process; -b only compiles
  ./build.sh icount             instructions per operation, of the port and of the kernel; icount -h tells more
  ./build.sh explore, torture   the schedule explorer and the torture program, with options of their own
END
}

fail() { # status, message
  printf 'build.sh: %s\n' "$2" >&2
  exit "$1"
}

# The official install script puts the SDK into ~/.dotnet and does not touch PATH.
find_sdk() {
  command -v dotnet >/dev/null || PATH=$PATH:${DOTNET_ROOT:-${HOME:-}/.dotnet}
  local found
  if ! command -v dotnet >/dev/null; then
    found='no dotnet in PATH'
  elif (cd "$root" && dotnet --version) >/dev/null 2>&1; then # global.json decides what is new enough
    DOTNET_ROOT=$(dirname -- "$(readlink -f -- "$(command -v dotnet)")")
    export DOTNET_ROOT
    return
  else
    found=$(cd / && dotnet --list-sdks 2>/dev/null | sed 's/ .*//' | tail -n 1) || true
    found="found ${found:-a runtime without SDK}"
  fi
  fail 3 ".NET SDK $wanted or newer is needed ($found); install it: apt-get install dotnet-sdk-10.0 (Debian and Ubuntu, from packages.microsoft.com where the distribution has none), or curl -sSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 10.0"
}

# Runs a command in the repository; its output is shown only when it fails, and then this ends. The SDK leaves empty folders in TMPDIR at every
# call: it gets one of its own.
quietly() { # what to say when it fails, command
  local scratch status=0 said=$1
  shift
  scratch=$(mktemp -d)
  (cd "$root" && TMPDIR=$scratch "$@") >"$scratch/said" 2>&1 || status=$?
  if [ "$status" != 0 ]; then cat "$scratch/said" >&2; fi
  rm -rf "$scratch"
  if [ "$status" != 0 ]; then fail 1 "$said"; fi
}

build() { # solution or project, options
  find_sdk
  quietly "$1 does not build" dotnet build "$@" -c Release -v quiet -nodeReuse:false
  launcher
}

launcher() {
  cat >"$root/memcgnative.new" <<END
#!/bin/sh
# Written by build.sh.
export DOTNET_ROOT="\${DOTNET_ROOT:-$DOTNET_ROOT}"
exec "\$(dirname "\$(readlink -f "\$0")")/artifacts/bin/Bench/release/memcgnative" "\$@"
END
  chmod +x "$root/memcgnative.new"
  mv -f "$root/memcgnative.new" "$root/memcgnative"
}

run() {
  build bench/Bench.csproj
  case ${1:--} in
    -*) exec "$root/memcgnative" sweep "$@" ;;
    *) exec "$root/memcgnative" "$@" ;;
  esac
}

# One suite after the other: tests that pin threads must not share CPUs with another suite.
test_all() {
  if [ -n "${1:-}" ] && [ -f "$root/tests/$1/$1.csproj" ]; then
    local project=$1
    shift
    build "tests/$project/$project.csproj"
    [ "$project" != Windows ] || publish_for_wine
    in_scratch "$root/artifacts/bin/$project/release/MemcgNative.$project" "$@"
    exit
  fi
  build MemcgNative.sln
  publish_for_wine
  local log status=0
  log=$(mktemp)
  (cd "$root" && in_scratch dotnet test --solution MemcgNative.sln -c Release --no-build --max-parallel-test-modules 1 "$@") 2>&1 | tee "$log" | short || status=$?
  total "$status" <"$log" || status=1
  rm -f "$log"
  exit "$status"
}

# Test hosts leave sockets and folders in TMPDIR, and so does every .NET process that a test kills: they get one of their own.
in_scratch() ( # command
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/memcgnative-test.XXXXXX")
  chmod 711 "$scratch" # a test is somebody else below it
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  TMPDIR=$scratch "$@"
)

# Passes on what dotnet test prints, without a line for each skipped test and test assembly.
short() { # line by line: mawk would hold back what is in the pipe
  local line skipping=
  while IFS= read -r line; do
    case $line in
      'skipped '*) skipping=1 ;;
      '  '*) [ -n "$skipping" ] || printf '%s\n' "$line" ;;
      *)
        skipping=
        printf '%s\n' "$line"
        ;;
    esac
  done
}

# Tells the end of a test run: why tests were skipped, each failure once more, one line with the total; fails when a test failed,
# when nothing ran and when there is no summary.
total() { # status of dotnet test
  awk -v status="$1" '
    /^(failed|skipped|passed|Running tests from|Test run summary:|\/.*\.dll) / { inside = $1; lines = 0 }
    inside == "failed" && lines++ < 25 { failures = failures "\n" $0 }
    inside == "skipped" && /^  / { reasons[$0]++; inside = "" }
    /^Test run summary:/ { summary = 1 }
    summary && $1 == "succeeded:" { passed = $2 }
    summary && $1 == "failed:" { failed = $2 }
    summary && $1 == "skipped:" { skipped = $2 }
    END {
      for (reason in reasons) printf "skipped %d:%s\n", reasons[reason], reason
      if (failures) print failures "\n"
      bad = failed > 0 || passed + 0 == 0 || status != 0
      if (bad && failed + 0 == 0) print "build.sh: a suite broke off or ran no test (exit " status "); see above"
      printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
      exit bad
    }'
}

# A dotnet tool and one file that needs no .NET. Each measures and reports in an empty folder before it counts as made.
pack() {
  find_sdk
  local out=$root/artifacts/pack version empty
  rm -rf "$out"
  quietly "bench/Bench.csproj cannot be packed" dotnet pack bench/Bench.csproj -c Release -v quiet -nodeReuse:false -p:AsTool=true -o "$out"
  publish bench/Bench.csproj linux-x64 -p:PublishSingleFile=true -p:DebugType=none -o "$out/linux-x64"
  version=$(basename "$out"/memcgnative.*.nupkg .nupkg)
  version=${version#memcgnative.}
  empty=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder's name of now
  trap "rm -rf '$empty'" EXIT
  mkdir "$empty/file" "$empty/tool"
  cp "$out/linux-x64/memcgnative" "$empty/file"
  quietly "the tool cannot be installed" dotnet tool install memcgnative --version "$version" --tool-path "$empty/tool" --add-source "$out" --ignore-failed-sources
  quietly "the single file does not work alone" alone "$empty/file" env -u DOTNET_ROOT
  quietly "the tool does not work alone" alone "$empty/tool" env "DOTNET_ROOT=$DOTNET_ROOT"
  cat <<END
packed, and tried in an empty folder:
  $out/linux-x64/memcgnative    one file, needs no .NET
  $out/memcgnative.$version.nupkg    dotnet tool install memcgnative --version $version --tool-path DIR --add-source $out
END
}

alone() { # folder with the program, prefix of its command
  cd "$1"
  shift
  "$@" ./memcgnative run alloc-free -q -t 1 -d 10ms -r 2 -o run && "$@" ./memcgnative report run.json && grep -qs "</html>" run.html
}

part() { # project, arguments
  local project=$1
  shift
  [ -f "$root/tests/$project/Program.cs" ] || fail 2 "$usage"
  build "tests/$project/$project.csproj"
  exec "$root/artifacts/bin/$project/release/MemcgNative.$project" "$@"
}

guest() {
  if [ "${1-}" = -h ]; then exec "$root/tests/Guest/guest.sh" -h; fi
  build bench/Bench.csproj
  exec "$root/tests/Guest/guest.sh" -f "$root/artifacts/bin/Bench/release" "$@"
}

publish() { # project, runtime identifier, options
  local project=$1 rid=$2
  shift 2
  quietly "$project cannot be published for $rid" dotnet publish "$project" -c Release -r "$rid" --self-contained -v quiet -nodeReuse:false "$@"
}

# The Windows suite skips where there is no Wine.
publish_for_wine() {
  ! "$root/tests/Windows/wine.sh" -q 2>/dev/null || publish tests/Windows/Windows.csproj win-x64
}

windows() {
  case ${1-} in
    '') test_all Windows ;;
    -[srqh]) exec "$root/tests/Windows/wine.sh" "$1" ;;
  esac
  find_sdk
  publish tests/Windows/Windows.csproj win-x64
  exec "$root/tests/Windows/wine.sh" -f "$root/artifacts/publish/Windows/release_win-x64" "$@"
}

# Compiling needs no runtime for arm64; running does, and not every gallery has one.
arm64() {
  if [ "${1-}" = -b ]; then
    build bench/Bench.csproj -r linux-arm64 --self-contained false -p:UseAppHost=false
    build bench/Bench.csproj -r win-arm64 --self-contained false -p:UseAppHost=false
    return
  fi
  find_sdk
  publish tests/Unit/Unit.csproj linux-arm64
  # Of the rooms that do not ask this kernel about pages, which the emulator does not pass on, and start no program, which it does not emulate.
  if [ $# = 0 ]; then
    set -- --parallel none
    for tests in "$root"/tests/Unit/{Layout,Sync,Topology,Allocator,Accounting}/*Tests.cs; do set -- "$@" --filter-class "*.$(basename "$tests" .cs)"; done
  fi
  in_scratch "$root/tests/Unit/arm64.sh" "$root/artifacts/publish/Unit/release_linux-arm64/MemcgNative.Unit" "$@"
}

icount() {
  if [ "${1-}" = -h ]; then exec "$root/tests/Guest/icount.sh" -h; fi
  build tests/Guest/Inside/Inside.csproj
  exec "$root/tests/Guest/icount.sh" -f "$root/artifacts/bin/Inside/release" "$@"
}

command=${1:-build}
[ $# = 0 ] || shift
case $command in
  build) build MemcgNative.sln && echo "built; try: ./memcgnative --help" ;;
  run) run "$@" ;;
  test)
    [ "${1-}" = Guest ] && export MEMCGNATIVE_GUEST=1
    test_all "$@"
    ;;
  pack) pack ;;
  guest) guest "$@" ;;
  windows) windows "$@" ;;
  arm64) arm64 "$@" ;;
  icount) icount "$@" ;;
  explore) part Interleavings explore "$@" ;;
  torture) part Torture torture "$@" ;;
  help | -h | --help) help ;;
  *) fail 2 "$usage" ;;
esac
