# What tools/quickstart and tools/test share: talk, packages, build. Sourced by bash, from the root.

# All from Debian 12; docs/dependencies.md says what each is for. What a build and its fast tests need:
readonly build_packages=(
  g++ cmake ninja-build pkg-config ccache python3
  liburing-dev libxxhash-dev libssl-dev libcurl4-openssl-dev libboost1.81-dev libmimalloc-dev
  node-llhttp libcli11-dev libtomlplusplus-dev libfmt-dev nlohmann-json3-dev
  libgtest-dev libsimdjson-dev libpugixml-dev libbenchmark-dev python3-boto3 curl
)
# The clients that the whole suite runs against the server; promtool, which reads its metrics; strace, which
# watches what it opens.
readonly client_packages=(awscli python3-cryptography python3-celery python3-kombu python3-pycurl nodejs npm prometheus strace)

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

missing_packages() {
  local package
  for package in "$@"; do
    # Other builds of Node bring their npm, and are in the way of Debian's.
    if [ "$package" = npm ] && command -v npm >/dev/null; then continue; fi
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s\n' "$package"
  done
}

# ensure_packages PACKAGE...: installs what is missing. Anyone but root is told the line to run instead.
ensure_packages() {
  command -v dpkg-query >/dev/null || fail "this set-up is for Debian 12; docs/dependencies.md lists what to install elsewhere"
  local missing log
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" -eq 0 ]; then
    say "Packages: all $# are installed"
    return
  fi
  say "Packages: ${#missing[@]} of $# are missing: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    fail "not root; install them first:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  log=$(mktemp)
  if ! { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install them"
  fi
  rm -f "$log"
  note "installed"
}

# On a terminal ninja redraws one line; in a log one line per tenth of the work is enough. Whatever
# is not progress (a compiler's message) is passed on.
show_progress() {
  if [ -t 1 ]; then
    cat
    return
  fi
  awk '{
    if (match($0, /^\[ *[0-9]+%\]/)) {
      percent = substr($0, 2, RLENGTH - 3) + 0
      if (percent >= next_shown) { print "    " $0; fflush(); next_shown = percent + 10 }
    } else { print; fflush() }
  }'
}

# build TARGET...: configures build/ if need be, then builds the targets named.
build() {
  local fresh=() log
  # A tree that was copied or moved cannot use the cache of the old place.
  if [ -f build/CMakeCache.txt ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" build/CMakeCache.txt; then
    fresh=(--fresh)
  fi
  say "Building (optimised, in build/): $*"
  log=$(mktemp)
  if ! cmake --preset release "${fresh[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    fail "cmake could not configure"
  fi
  rm -f "$log"
  if [ -t 1 ]; then
    cmake --build build --target "$@"
  else
    NINJA_STATUS='[%p] ' cmake --build build --target "$@" | show_progress
  fi || fail "the build failed"
}
