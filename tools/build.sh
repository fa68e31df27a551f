#!/usr/bin/env bash
# Compiles targets of the build folder; without a word, all of them. Says what, and for about how
# long, before it begins. Called by make, which has configured the folder.
#   BUILD=build   build folder        JOBS=2   parallel compile jobs
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
JOBS=${JOBS:-$(nproc)}
seconds_per_step=16 # of one core of a machine of 2020, in the mean

# Objects that are not there yet. (ninja -n would say no more than that it looks for new files first.)
steps=$(ninja -C "$BUILD" -t commands "$@" | grep -oP ' -o \K\S+\.(o|gch)(?= )' | sort -u |
  while read -r object; do [[ -e $BUILD/$object ]] || echo "$object"; done | wc -l)
if ((steps > 0)); then
  echo "build: compiling ${*:-everything}: $steps steps, $JOBS at a time," \
    "about $((steps * seconds_per_step / JOBS / 60 + 1)) min"
fi
quiet=()
[[ -t 1 ]] || quiet=(--quiet) # a terminal sees one live line
NINJA_STATUS='[%f/%t, %es] ' ninja -C "$BUILD" -j "$JOBS" "${quiet[@]}" "$@"
