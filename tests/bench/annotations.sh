#!/usr/bin/env bash
# Reading a data set of TVQA's real size: time and peak memory of `bovila --check`, without and with
# subtitles. Called by `make bench`. Writes about 100 MB under $TMPDIR and removes it.
set -euo pipefail
BUILD=${BUILD:-build}
cd "$(dirname "$0")/../.."
[[ $BUILD == /* ]] || BUILD=$PWD/$BUILD
if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 tests/bench/make_tvqa.py "$folder/tvqa"
"$BUILD/bin/pth2h5" tests/golden/mini/data/tvqa/clipvitl14.pth "$folder/features" 2>/dev/null

for subtitles in false true; do
  echo "== TVQA, 122,039 training questions, subtitles = $subtitles"
  python3 - "$BUILD/bin/bovila" input/tvqa.toml --check \
    --set model.llama=tests/golden/mini/llama/mini \
    --set model.max_seq_len=4096 --set data.folder="$folder/tvqa" --set data.features="$folder/features" \
    --set data.subtitles=$subtitles <<'PY'
import resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"the whole check: {time.monotonic() - start:.1f} s, peak memory {usage.ru_maxrss / 1024:.0f} MB")
sys.exit(done.returncode)
PY
done
