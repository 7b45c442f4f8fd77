# shellcheck shell=bash
# What the scripts in this folder share. To be sourced from bash, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# ccache wants a home; a service that runs this may have none.
[ -n "${HOME:-}" ] || export HOME=~

readonly setup_log="$PWD/build/setup.log"

say() {
  printf -- '-- %s\n' "$*"
}

die() {
  printf -- '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# usage: prints the comment at the top of the script that was called.
usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "tools/${0##*/}"
}

# as_root COMMAND..
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# run_apt ARGUMENTS..: runs apt-get into the log, and tells how far it is.
run_apt() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" \
    </dev/null 2>&1 | tee -a "$setup_log" | show_progress
}

show_progress() {
  local line done=0
  while IFS= read -r line; do
    case "$line" in
      *' newly installed, '* | 'Need to get '* | 'Fetched '*)
        printf '   %s\n' "$line"
        ;;
      'Setting up '*)
        done=$((done + 1))
        [ $((done % 25)) != 0 ] || printf '   %s packages set up\n' "$done"
        ;;
    esac
  done
}

# missing_packages PURPOSE..
missing_packages() {
  local purposes=" $* " purpose package rest
  while read -r purpose package rest; do
    case "$purposes" in *" $purpose "*) ;; *) continue ;; esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" \
      = installed ] || printf '%s ' "$package"
  done <tools/packages
}

# need_packages PURPOSE..: installs what is missing of tools/packages.
need_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "this is not Debian: what tools/packages lists is taken to be there"
    return
  fi
  local missing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "as root or with sudo this would install: $missing"
  fi

  # Installing PostgreSQL makes and starts a cluster of the distribution's. That
  # is not asked for here, so it is turned off, for as long as this takes.
  local drop_in=/etc/postgresql-common/createcluster.d/evented.conf
  case " $missing" in
    *" postgresql "*)
      as_root mkdir -p "${drop_in%/*}"
      echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
      trap "as_root rm -f $drop_in" EXIT
      ;;
  esac

  mkdir -p "${setup_log%/*}"
  say "installing $missing(log: ${setup_log#"$PWD"/})"
  # A source of the machine's that does not answer need not matter.
  run_apt update >/dev/null || say "apt-get update failed; trying all the same"
  # shellcheck disable=SC2086 # one argument per package
  if ! run_apt install --no-install-recommends $missing; then
    tail -n 40 "$setup_log" >&2
    die "apt-get install failed; the whole log is in $setup_log"
  fi
  if [ -e "$drop_in" ]; then
    as_root rm -f "$drop_in"
  fi
  trap - EXIT
}

# parallel_jobs: how many compilers fit into this machine: CAF's headers take up to 1 GB.
parallel_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  [ "${memory:-1}" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

# build PRESET [TARGET..]: configures where needed, and builds.
build() {
  local preset=$1 dir=build/$1
  shift
  if [ ! -e "$dir/build.ninja" ] || [ CMakePresets.json -nt "$dir/build.ninja" ]; then
    say "configuring $dir"
    cmake --preset "$preset"
    # Unchanged contents keep their time, and would be taken for old again.
    touch "$dir/build.ninja"
  fi
  say "building $dir"
  cmake --build "$dir" \
    --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(parallel_jobs)}" ${1:+--target "$@"}
}
