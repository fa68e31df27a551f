#!/usr/bin/env bash
# tools/extract_features.py on generated clips with a small CLIP of random weights: what is in the
# set, what happens to broken videos and to an extraction that is killed.
. "$(dirname "$0")/helpers.bash"

libraries=$root/.deps/test-python
[[ -d $libraries ]] || { echo "$libraries is missing: run \`make test-deps\`" && exit 1; }
export PYTHONPATH=$libraries:$root/.deps/python PATH=$bin:$PATH
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}

extract() { timeout 300 "$root/tools/extract_features.py" "$@"; }
clips() { python3 "$root/tests/tools/clips.py" "$@"; }

mkdir "$work/videos" "$work/three"
clips make "$work/videos" "$work/clip"

# lists SET TEXT: names and frame counts of a set that is as it was written.
lists() {
  exits 0 pth2h5 --verify "$1"
  exits 0 pth2h5 --list "$1"
  cmp said <(printf "$2")
}

test_killed_it_leaves_no_set_and_goes_on_broken_videos_are_named_and_added_when_mended() {
  cp -r "$work/videos" .
  # A converter that waits: however fast the clips are read, there is no set when the kill comes.
  mkdir waits
  cp "$root"/tools/{extract_features,output_place}.py waits
  printf '#!/bin/sh\nwhile kill -0 $PPID 2>&1; do sleep 0.1; done\n' >waits/pth2h5
  chmod +x waits/pth2h5
  waits/extract_features.py videos set --model "$work/clip" --batch 1 >log 2>&1 &
  local job=$! i
  for ((i = 0; i < 3000; ++i)); do
    [[ -e set.extracting/S0.npy ]] && break
    sleep 0.1
  done
  kill -9 "$job"
  [[ -e set.extracting/S0.npy && ! -e set ]]
  mv videos/S1.mkv whole
  echo "no video" >videos/S1.mkv
  rm -f set.extracting/S1.npy # which was or was not done when the kill came
  exits 1 extract videos set --model "$work/clip" --batch 7 --shards 2
  says "videos are done already" "videos/S1.mkv cannot be read: "
  says_once "1 of 4 videos are not in the set: S1. "
  lists set 'S0\t4\nS2\t1\nz_long\t20\n'
  mv whole videos/S1.mkv
  exits 0 extract videos set --model "$work/clip" --shards 2
  says_once "3 of 4 videos are done already"
  lists set 'S0\t4\nS1\t4\nS2\t1\nz_long\t20\n'
  [[ ! -e set.extracting ]]
  exits 0 extract videos set --model "$work/clip" --shards 1 --force
  lists set 'S0\t4\nS1\t4\nS2\t1\nz_long\t20\n'
  cp -r set "$work/set"
}

test_three_frames_a_second_as_tvqa_counts() {
  mkdir -p some/inner
  cp "$work/videos/S0.mkv" some
  cp "$work/videos/S1.mkv" some/inner
  exits 0 extract some set --model "$work/clip" --fps 3 --recursive
  lists set 'S0\t10\nS1\t10\n'
  cp -r set "$work/three"
}

test_the_sets_hold_clips_features_of_those_frames() {
  clips check "$work/clip" "$work/set" 1 "$work/three/set" 3
}

test_pictures_are_turned_and_stretched_as_a_player_shows_them() {
  mkdir flagged plain
  clips flag flagged plain
  python3 - flagged/right.mov <<'END' # as FFmpeg names it: shown turned clockwise
import av, sys
with av.open(sys.argv[1]) as container: assert next(container.decode(video=0)).rotation == -90
END
  exits 0 extract flagged set --model "$work/clip" --fps 2 --shards 1
  exits 0 extract plain expected --model "$work/clip" --fps 2 --shards 1
  h5dump -d /frames -b FILE -o set.bin set/shard-00000.h5 >/dev/null
  h5dump -d /frames -b FILE -o expected.bin expected/shard-00000.h5 >/dev/null
  [[ $(stat -c %s set.bin) == $((9 * 4 * 768 * 2)) ]]
  cmp set.bin expected.bin
}

# extract_on LIMIT ARGUMENT...: on a device whose memory holds so many pictures.
extract_on() {
  timeout 300 python3 - "$root/tools" "$@" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
import torch, transformers
limit, sys.argv[1:] = int(sys.argv[2]), sys.argv[3:]
model = transformers.CLIPVisionModelWithProjection
real = model.forward
def forward(self, pixel_values, **others):
    if len(pixel_values) > limit:
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
    return real(self, pixel_values, **others)
model.forward = forward
import extract_features
extract_features.main()
END
}

test_where_memory_is_short_smaller_batches_do_and_are_named() {
  exits 0 extract_on 5 "$work/videos" set --model "$work/clip" --shards 2
  says_once "going on with --batch 32"
  says_once "going on with --batch 4"
  (! grep "Traceback\|--batch 2$" said)
  clips check "$work/clip" set 1
  exits 2 extract_on 0 "$work/videos" other --model "$work/clip" --batch 1
  says_once "cpu has no memory for a single picture: end what else runs there, or take another --device"
  (! grep Traceback said)
}

test_without_locks_it_works_and_says_what_to_take_care_of_and_on_nfs_nothing_stays() {
  exits 0 env LD_PRELOAD="$bin/libfaults.so" BOVILA_NO_FLOCK=38 BOVILA_NFS=1 \
    "$root/tools/extract_features.py" "$work/videos" set --model "$work/clip" --shards 2
  says_once "set.extracting: its file system has no locks (Function not implemented)" # Lustre's ENOSYS
  [[ ! -e set.extracting ]]
  clips check "$work/clip" set 1
  # Where there are locks, they hold.
  mkdir set.extracting
  exec 7>set.extracting/.lock
  flock 7
  exits 2 extract "$work/videos" set --model "$work/clip"
  says_once "set.extracting: another extraction is at work there"
  exec 7>&-
}

test_bovila_reads_a_set_that_was_extracted() {
  inputs star
  exits 0 bovila "${deck[@]}" --set "data.features=$work/set" --check
  says "the deck, its data and the weights' files fit together"
  exits 0 bovila "${deck[@]}" --set "data.features=$work/set" --eval
}

test_a_set_that_is_there_is_left_alone() {
  cp -r "$work/set" "$work/videos" .
  exits 0 extract videos set --model "$work/clip"
  says_once "set holds these 4 videos already: nothing to do"
  cp videos/S0.mkv videos/S9.mkv
  exits 2 extract videos set --model "$work/clip"
  says_once "lacks 1 of the videos, 'S9' the first; --force extracts all again and replaces it"
  mkdir set.extracting
  rm videos/S0.mkv videos/S9.mkv
  exits 2 extract videos set --model "$work/clip"
  says_once "holds other videos, 'S0' the first; --force"
  lists set 'S0\t4\nS1\t4\nS2\t1\nz_long\t20\n'
}

test_what_cannot_be_extracted_is_refused_with_exit_code_2() {
  mkdir -p videos/a videos/b other
  exits 2 extract nowhere set
  says_once "nowhere: expected a folder of videos"
  exits 2 extract "" set
  says "expected a value, got an empty one"
  exits 2 extract videos ""
  exits 2 extract videos set
  says_once "there are no videos in it"
  touch videos/a/one.mp4 videos/b/one.avi videos/b/._one.mov other/file
  exits 2 extract videos set --recursive
  says_once "have the same name 'one'"
  rm videos/b/one.avi
  exits 2 extract videos other --recursive
  says_once "other: expected a feature set or nothing, something else is there"
  exits 2 extract videos other --recursive --force
  says_once "other: expected a feature set or nothing, something else is there"
  mkdir -p set.extracting
  cp videos/a/one.mp4 set.extracting/
  exits 2 extract set.extracting set --model "$work/clip"
  says_once "set.extracting is needed for videos that are done, and holds other files"
  [[ $(ls set.extracting) == one.mp4 ]]
  rm -r set.extracting
  exits 2 extract videos videos --recursive --force
  says_once "videos is read from there, which is never replaced"
  exits 2 extract videos set --recursive --fps 0
  says "--fps: expected at least 0.001, got 0.0"
  exits 2 extract videos set --recursive --model "$root/tests"
  says "--model $root/tests"
  exits 2 env PYTHONPATH= python3 -S "$root/tools/extract_features.py" videos set --recursive
  says_once "pip install torch transformers pillow av"
  [[ ! -e set && ! -e set.extracting ]]
}

run_tests "extract features"
