#!/usr/bin/env bash
# tools/pth2h5 as a user meets it: exit codes, messages, what is left after kill -9, memory.
# Uses $BUILD/bin/pth2h5; makes its files with python3's standard library. Prints one line a check,
# "ok NAME" or "FAILED NAME: why", and exits 1 when one failed.
set -euo pipefail
cd "$(dirname "$0")/../.."

pth2h5=$(realpath "${BUILD:-build}/bin/pth2h5")
mini=$PWD/tests/golden/mini/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

ok() { echo "ok pth2h5: $1"; }
fail() {
  echo "FAILED pth2h5: $1: $2"
  failed=1
}

# run STATUS COMMAND...: runs it; its output goes to $work/out. False unless it exits with STATUS.
run() {
  local expected=$1 status=0
  shift
  "$@" >"$work/out" 2>&1 || status=$?
  ((status == expected)) && return 0
  why="expected exit code $expected, got $status: $(tail -c 300 "$work/out" | tr '\n' ' ')"
  return 1
}

# expect NAME STATUS TEXT COMMAND...: one check of exit code and message.
expect() {
  local name=$1 status=$2 text=$3
  shift 3
  if ! run "$status" "$@"; then
    fail "$name" "$why"
  elif ! grep -qF -- "$text" "$work/out"; then
    fail "$name" "expected \"$text\", got: $(tail -c 300 "$work/out" | tr '\n' ' ')"
  else
    ok "$name"
  fi
}

# nothing_but NAME FOLDER ENTRIES...: the folder holds these entries, hidden ones included.
nothing_but() {
  local name=$1 folder=$2 found
  shift 2
  found=$(ls -A "$folder" | sort | tr '\n' ' ')
  if [[ $found == "$(printf '%s\n' "$@" | sort | sed '/^$/d' | tr '\n' ' ')" ]]; then
    ok "$name"
  else
    fail "$name" "the folder holds: $found"
  fi
}

cat >"$work/make.py" <<'PYTHON'
"""make.py KIND FILE: a .pth, good or bad, opcode by opcode."""
import struct, sys, zipfile

BAD = "bad clip"
SIZES = {"Half": 2, "Float": 4, "Double": 8, "BFloat16": 2, "Long": 8}
def text(s):
    b = s.encode()
    return b"X" + struct.pack("<I", len(b)) + b
def integer(n):
    return b"\x8a\x08" + struct.pack("<q", n)
def tensor(key, shape, kind, numel=None, offset=0, strides=None):
    steps, step = [], 1
    for size in reversed(shape):
        steps.insert(0, step)
        step *= size
    ints = lambda values: b"(" + b"".join(map(integer, values)) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\n" +
            kind.encode() + b"Storage\n" + text(str(key)) + text("cpu") +
            integer(step if numel is None else numel) + b"tQ" + integer(offset) +
            ints(shape) + ints(strides or steps) +
            b"\x89ccollections\nOrderedDict\n)RtR")
def save(path, items, storages):
    with zipfile.ZipFile(path, "w") as out:
        dict_items = b"".join(text(n) + t for n, t in items)
        out.writestr("archive/data.pkl", b"\x80\x02}(" + dict_items + b"u.")
        for i, data in enumerate(storages):
            out.writestr(f"archive/data/{i}", data)
        out.writestr("archive/version", "3\n")
def videos(path, names, frames, kind="Half", fill=None):
    data = (fill or b"\1" * SIZES[kind] * 768) * frames
    items = [(n, tensor(i, [frames, 768], kind)) for i, n in enumerate(names)]
    save(path, items, [data] * len(names))

kind, path = sys.argv[1:]
if kind == "large": videos(path, [f"v{i:03}" for i in range(60)], 4096)  # 377 MB, the largest 6 MB
elif kind == "shared":  # all videos are windows on one storage
    save(path, [(f"v{i}", tensor(0, [5, 768], "Half", 50 * 768, i * 5 * 768)) for i in range(10)],
         [b"\1" * 50 * 768 * 2])
elif kind == "names":
    videos(path, ["a/b", "with blank", "\u5f71\u7247", "../../up", "tab\there"], 2)
elif kind == "one": videos(path, ["v"], 2)
elif kind == "longer": videos(path, ["v"], 3)
elif kind == "mixed":
    kinds = ("Half", "Float", "Double", "BFloat16")
    save(path, [(k, tensor(i, [2, 768], k)) for i, k in enumerate(kinds)],
         [bytes(SIZES[k] * 2 * 768) for k in kinds])
elif kind == "infinite": videos(path, [BAD], 2, "Float", struct.pack("<f", float("inf")) * 768)
elif kind == "nan": videos(path, [BAD], 2, "Half", b"\0\0" * 767 + b"\0\x7e")
elif kind == "overflow": videos(path, [BAD], 2, "Double", struct.pack("<d", 1e300) * 768)
elif kind == "integers": videos(path, [BAD], 2, "Long")
elif kind == "empty": videos(path, [BAD], 0)
elif kind == "nothing": save(path, [], [])
elif kind == "wide":
    save(path, [("a", tensor(0, [1, 768], "Half")), (BAD, tensor(1, [2, 512], "Half"))], [bytes(1536), bytes(2048)])
elif kind == "narrow": save(path, [("v", tensor(0, [2, 512], "Half"))], [bytes(2048)])
elif kind == "flat": save(path, [(BAD, tensor(0, [768], "Half"))], [bytes(1536)])
elif kind == "duplicate": save(path, [(BAD, tensor(0, [1, 768], "Half"))] * 2, [bytes(1536)])
elif kind == "evil":
    save(path, [(BAD, b"cos\nsystem\n(" + text(f"touch {path}.ran") + b"tR")], [])
elif kind == "legacy":
    open(path, "wb").write(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9 j\xa8P\x19." + bytes(99))
else: sys.exit(f"make.py: {kind}?")
PYTHON
make() { python3 "$work/make.py" "$1" "$work/$1.pth"; }

# --- conversion of all five data sets, listing, verification ------------------------------------
for file in "$mini"/*/*.pth; do
  set_name=$(basename "$(dirname "$file")")
  expect "converts $set_name" 0 "videos in" "$pth2h5" "$file" "$work/sets/$set_name" --shards 2
  expect "verifies $set_name" 0 "every byte" "$pth2h5" --verify "$work/sets/$set_name"
  "$pth2h5" --list "$file" | sort >"$work/listed.pth"
  "$pth2h5" --list "$work/sets/$set_name" | sort >"$work/listed.set"
  if [[ -s $work/listed.set ]] && cmp -s "$work/listed.pth" "$work/listed.set"; then
    ok "lists $set_name"
  else
    fail "lists $set_name" "names or frame counts differ from the .pth"
  fi
done
nothing_but "leaves nothing beside a set" "$work/sets" dramaqa how2qa nextqa star tvqa vlep

make names
expect "takes any name" 0 "5 videos" "$pth2h5" "$work/names.pth" "$work/sets/names"
expect "lists a name with a slash" 0 "a/b	2" "$pth2h5" --list "$work/sets/names"
make one
expect "one video is not many" 0 "1 video in" "$pth2h5" "$work/one.pth" "$work/sets/one"
expect "nor when verified" 0 "1 video, every byte" "$pth2h5" --verify "$work/sets/one"
make mixed
expect "mixes floating point types" 0 "4 videos" "$pth2h5" "$work/mixed.pth" "$work/sets/mixed"
make shared
expect "takes views of one storage" 0 "10 videos" "$pth2h5" "$work/shared.pth" "$work/sets/shared"

# --- repeated, other, forced --------------------------------------------------------------------
star=$mini/star/clipvitl14.pth
cp "$star" "$work/moved.pth"
set=$work/sets/star
expect "does nothing twice" 0 "nothing to do" "$pth2h5" "$work/moved.pth" "$set" --shards 2
expect "refuses another source" 2 "use --force" "$pth2h5" "$work/names.pth" "$set" --shards 2
expect "refuses another number of shards" 2 "use --force" "$pth2h5" "$star" "$set" --shards 1
expect "replaces with --force" 0 "3 videos" "$pth2h5" "$star" "$set" --shards 1 --force
expect "verifies the replacement" 0 "3 videos" "$pth2h5" --verify "$set"
mkdir "$work/home" && touch "$work/home/thesis.txt"
expect "never replaces another folder" 2 "thesis.txt" "$pth2h5" "$star" "$work/home" --force
nothing_but "keeps another folder" "$work/home" thesis.txt
cp "$star" "$work/home/sole.pth"
expect "never replaces its source" 2 "is never replaced" \
  "$pth2h5" "$work/home/sole.pth" "$work/home/sole.pth" --force
expect "nor a folder that it is in" 2 "is never replaced" \
  "$pth2h5" "$work/home/sole.pth" "$work/home" --force
nothing_but "keeps its source" "$work/home" thesis.txt sole.pth
mkdir "$work/disk"
ln -s disk/set "$work/linked"
expect "follows a link and says so" 0 "linked (a link to $(realpath "$work")/disk/set)" \
  "$pth2h5" "$star" "$work/linked"
expect "replaces behind a link" 0 "3 videos" "$pth2h5" "$star" "$work/linked/" --shards 1 --force
nothing_but "keeps the link" "$work/disk" set

# --- several sources ----------------------------------------------------------------------------
make longer
make narrow
both=$work/both
expect "makes one set of several" 0 "4 videos in" \
  "$pth2h5" "$star" "$both" --with "$work/one.pth" --with "$set" --shards 2
expect "verifies it" 0 "4 videos, every byte" "$pth2h5" --verify "$both"
expect "does nothing twice for several" 0 "nothing to do" \
  "$pth2h5" "$star" "$both" --with "$work/one.pth" --with "$set" --shards 2
expect "tells it from one of fewer" 2 "use --force" "$pth2h5" "$star" "$both" --shards 2
expect "writes a set again in other shards" 0 "4 videos in" "$pth2h5" "$both" "$work/again" --shards 1
expect "knows it again" 0 "nothing to do" "$pth2h5" "$both" "$work/again" --shards 1
expect "refuses two videos of one name" 2 "video 'v' has other frames in" \
  "$pth2h5" "$work/one.pth" "$work/neither" --with "$work/longer.pth"
expect "refuses two widths" 2 "its frames have 512 numbers, those of" \
  "$pth2h5" "$star" "$work/neither" --with "$work/narrow.pth"
expect "never replaces one of several" 2 "is never replaced" \
  "$pth2h5" "$star" "$both" --with "$both" --force
[[ ! -e $work/neither ]] && ok "leaves nothing of what it refuses" ||
  fail "leaves nothing of what it refuses" "there is a set"

# --- usage --------------------------------------------------------------------------------------
expect "says how it is used" 0 "--verify" "$pth2h5" --help
expect "needs arguments" 2 "FILE and DIR" "$pth2h5"
expect "refuses an unknown option" 2 "--frobnicate" "$pth2h5" --frobnicate
expect "refuses zero shards" 2 "--shards" "$pth2h5" "$star" "$work/x" --shards 0
expect "says that a set is missing" 2 "no such folder" "$pth2h5" --verify "$work/nowhere"
expect "fails where nothing can be written" 1 "/proc" "$pth2h5" "$star" /proc/x/y

expect "takes features of another width" 0 "1 video in" "$pth2h5" "$work/narrow.pth" "$work/narrow"
expect "verifies them" 0 "1 video, every byte as it was written" "$pth2h5" --verify "$work/narrow"

# --- bad files: exit code 2, the entry named, no set left ---------------------------------------
mkdir "$work/bad"
bad() {
  [[ -e $work/$1.pth ]] || make "$1"
  expect "refuses a file: $1" 2 "$2" "$pth2h5" "$work/$1.pth" "$work/bad/set"
  nothing_but "leaves nothing after: $1" "$work/bad"
}
bad infinite "'bad clip' has a value that is not finite"
bad nan "'bad clip' has a value that is not finite"
bad overflow "'bad clip' has a value that is not finite"
bad integers "'bad clip' has elements of type int64"
bad empty "there are no videos in it that have frames: bad clip"
bad nothing "no videos"
bad wide "'bad clip' has shape [2, 512]"
bad flat "'bad clip' has shape [768]"
bad duplicate "\"bad clip\" is there twice"
bad evil "an object of os.system, which is not read; nothing was executed"
bad legacy "legacy format"
if [[ -e $work/evil.pth.ran ]]; then
  fail "runs nothing of a pickle" "it ran"
else
  ok "runs nothing of a pickle"
fi
head -c 60000 "$star" >"$work/truncated.pth"
bad truncated "cut short"
echo "not a pth at all" >"$work/foreign.pth"
bad foreign "another kind of file"
: >"$work/nil.pth"
bad nil "the file is empty"
expect "refuses an HDF5 file of something else" 2 "'checksums' has whole numbers of shape" \
  "$pth2h5" "$work/sets/tvqa/shard-00000.h5" "$work/bad/set"
flip() { # FILE OFFSET
  python3 -c 'import sys
file, place = open(sys.argv[1], "r+b"), int(sys.argv[2])
file.seek(place)
byte = file.read(1)[0] ^ 1
file.seek(place)
file.write(bytes([byte]))' "$@"
}
cp "$star" "$work/flipped.pth" && flip "$work/flipped.pth" 50000
bad flipped "entry clipvitl14/data/0: the file is damaged: CRC error"
cp "$work/shared.pth" "$work/flipped-shared.pth" && flip "$work/flipped-shared.pth" 50000
bad flipped-shared "CRC error"

# --- damaged sets -------------------------------------------------------------------------------
for file in shard-00000.h5 index.json manifest.json; do
  cp -r "$work/sets/tvqa" "$work/damaged"
  flip "$work/damaged/$file" "$(($(stat -c %s "$work/damaged/$file") / 2))"
  expect "finds a flipped byte in $file" 2 "convert the features again" \
    "$pth2h5" --verify "$work/damaged"
  rm -r "$work/damaged"
done

# --- killed, crowded, large ---------------------------------------------------------------------
make large
large=$work/large.pth
mkdir "$work/killed"
# kill_midway ARGUMENTS...: kill -9 as soon as a second shard is being written. Tried again where a
# busy machine let the conversion end before; `undo` makes that undone.
kill_midway() {
  local process try
  for try in 1 2 3 4 5; do
    "$pth2h5" "$large" "$work/killed/set" "$@" >"$work/out" 2>&1 &
    process=$!
    until compgen -G "$work/killed/.set.*.tmp/shard-00001.h5" >/dev/null; do
      kill -0 $process 2>/dev/null || break
      sleep 0.002
    done
    kill -9 $process 2>/dev/null || true
    wait $process 2>/dev/null || { compgen -G "$work/killed/.set.*.tmp" >/dev/null && return; }
    $undo
  done
  return 1
}
undo="rm -rf $work/killed/set"
if kill_midway; then
  if [[ -e $work/killed/set ]]; then
    fail "kill -9 leaves no set" "there is one"
  else
    ok "kill -9 leaves no set"
  fi
else
  fail "kill -9 leaves no set" "the conversion was over before it could be killed"
fi
measure='import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)'
read -r status megabytes < <(python3 -c "$measure" "$pth2h5" "$large" "$work/killed/set")
nothing_but "clears what a killed run left" "$work/killed" set
if ((status != 0)); then
  fail "memory is that of the largest video" "exit code $status"
elif ((megabytes > 100)); then
  fail "memory is that of the largest video" "$megabytes MB for videos of 6 MB"
else
  ok "memory is that of the largest video ($megabytes MB for 377 MB)"
fi
expect "verifies what follows a killed run" 0 "60 videos" "$pth2h5" --verify "$work/killed/set"
undo=
if kill_midway --force --shards 4; then
  expect "kill -9 keeps the set to be replaced" 0 "60 videos" "$pth2h5" --verify "$work/killed/set"
else
  fail "kill -9 keeps the set to be replaced" "the conversion was over before it could be killed"
fi
rm -r "$work/killed"

mkdir "$work/crowd"
declare -A status_of=()
for _ in 1 2 3; do
  "$pth2h5" "$mini/tvqa/clipvitl14.pth" "$work/crowd/set" >/dev/null 2>&1 &
  status_of[$!]=0
done
for process in "${!status_of[@]}"; do wait "$process" || status_of[$process]=$?; done
if [[ " ${status_of[*]} " == *" 0 "* ]]; then
  expect "several at once leave one whole set" 0 "3 videos" "$pth2h5" --verify "$work/crowd/set"
else
  fail "several at once leave one whole set" "exit codes ${status_of[*]}"
fi
nothing_but "several at once leave nothing else" "$work/crowd" set

exit $failed
