#pragma once

#include <string_view>

namespace evented::dev::detail {

/// The shell program that stops a server once nobody owns it any more.
///
/// Problem: an owner that dies by SIGKILL runs no destructor. Solution: every
/// owner holds a shared lock on the file `owners`, which the kernel releases
/// whatever the owner dies of; this program waits for the exclusive lock.
///
/// It has a session of its own and holds no descriptor of the owner. Its
/// arguments are the directory and `temporary` or `kept`. Of several in one
/// directory one stays: it holds the lock on `keeper`, and gives that back
/// before the one on `owners`, so that the next owner's keeper finds it free.
inline constexpr std::string_view keeper_script = R"sh(
{
  dir=$1
  exec 3<"$dir/owners" 4<"$dir/starting" 5<"$dir/keeper"
  flock -n 5 || exit 0
  # A start that outlives its owner holds the second lock until it is through.
  flock 3 && flock 4 || exit 1
  # Another directory may have taken the place of the one that was watched.
  [ /proc/self/fd/3 -ef "$dir/owners" ] || exit 0

  pid=$(head -n 1 "$dir/data/postmaster.pid")
  running() {
    tr '\0' '\n' <"/proc/$pid/cmdline" | grep -Fqx -e "$dir/data"
  }
  stop() {
    kill -s "$1" "$pid"
    rounds=0
    while running && [ $rounds -lt "$2" ]; do
      sleep 0.1
      rounds=$((rounds + 1))
    done
    ! running
  }
  if [ -n "$pid" ] && running; then
    if [ "$2" = temporary ]; then
      stop QUIT 150 || stop KILL 50
    else
      stop INT 300 || stop QUIT 150
    fi
  fi

  if [ -L "$dir/socket" ]; then
    socket=$(readlink "$dir/socket")
    rm -f "$socket"/.s.PGSQL.* "$dir/socket"
    rmdir "$socket"
  fi
  if [ "$2" = temporary ]; then
    rm -rf "$dir"
  fi
  exec 5<&-
} &
)sh";

} // namespace evented::dev::detail
