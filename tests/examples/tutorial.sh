#!/usr/bin/env bash
# tutorial.sh FILE.md: does what a tutorial tells to, in the current directory.
#
# A block behind a line with a name in backquotes and a colon becomes that file, the
# blocks of `sh` are run in this order, and a block without a language is what the
# commands before it have printed. A port 8080 is replaced by one that is free.

set -euo pipefail

start=$PWD
export NO_PROXY=localhost

port=20000
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  port=$((port + 1))
done

output=$(mktemp)
# What is left over at the end, whichever end it is.
trap 'jobs -p | xargs -r kill 2>/dev/null || true; rm -f "$output"' EXIT
trap 'cat "$output" >&2' ERR

script=$(sed "s/8080/$port/g" "$1" | awk '
  /^`[^`]+`:$/ { file = substr($0, 2, length($0) - 3) }
  /^```/ {
    if (inside) {
      print ending
      inside = 0
      file = ""
    } else {
      inside = 1
      if (file != "") {
        print "mkdir -p \"$(dirname \"$start/" file "\")\""
        print "cat >\"$start/" file "\" <<\"END-OF-FILE\""
        ending = "END-OF-FILE"
      } else if ($0 == "```sh") {
        print "{"
        ending = "} >\"$output\""
      } else {
        print "diff - \"$output\" <<\"END-OF-OUTPUT\" >&2"
        ending = "END-OF-OUTPUT"
      }
    }
    next
  }
  inside { print }')

eval "$script"
