#!/usr/bin/env bash
# tools/extract_features.py on generated clips with small models of random weights: what is in the
# set, what happens to broken videos and to an extraction that is killed, parts and their merge.
. "$(dirname "$0")/helpers.bash"

libraries=$root/.deps/test-python
[[ -d $libraries ]] || { echo "$libraries is missing: run \`make test-deps\`" && exit 1; }
export PYTHONPATH=$libraries:$root/.deps/python PATH=$bin:$PATH
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}

extract() { timeout 300 "$root/tools/extract_features.py" "$@"; }
clips() { python3 "$root/tests/tools/clips.py" "$@"; }

mkdir "$work/videos" "$work/three"
clips make "$work/videos" "$work"

# lists SET TEXT: names and frame counts of a set that is as it was written.
lists() {
  exits 0 pth2h5 --verify "$1"
  exits 0 pth2h5 --list "$1"
  cmp said <(printf "$2")
}

# kill_at_first_video JOB: as soon as one of them is extracted.
kill_at_first_video() {
  local i
  for ((i = 0; i < 3000; ++i)); do
    [[ -e set.extracting/S0.npy ]] && break
    sleep 0.1
  done
  kill -9 "$1"
  [[ -e set.extracting/S0.npy ]]
}

test_killed_it_leaves_no_set_and_goes_on_broken_videos_are_named_and_added_when_mended() {
  cp -r "$work/videos" .
  # A converter that waits: however fast the clips are read, there is no set when the kill comes.
  mkdir waits
  cp "$root"/tools/{extract_features,extraction_folder,frame_encoder,output_place}.py waits
  printf '#!/bin/sh\nwhile kill -0 $PPID 2>&1; do sleep 0.1; done\n' >waits/pth2h5
  chmod +x waits/pth2h5
  waits/extract_features.py videos set --model "$work/clip" --batch 1 >log 2>&1 &
  kill_at_first_video $!
  [[ ! -e set ]]
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
  exits 0 extract videos set --model "$work/clip" --shards 2 --force
  cp -r set "$work/two"
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

# of_model NAME WIDTH: the set has this model's vectors, of this width.
of_model() {
  exits 0 extract "$work/videos" "$1-set" --model "$work/$1" --shards 2 --batch 5
  lists "$1-set" 'S0\t4\nS1\t4\nS2\t1\nz_long\t20\n'
  clips check "$work/$1" "$1-set" 1
  h5dump -H -d /frames "$1-set/shard-00000.h5" | grep -q "SIMPLE { ( [0-9]*, $2 )"
}
test_siglip_dinov2_and_a_clip_of_another_width_give_their_own_vectors() {
  of_model siglip 48
  of_model dinov2 32
  of_model narrow 24
}

test_a_model_of_another_family_is_refused_by_its_type() {
  mkdir other
  echo '{"model_type": "bert"}' >other/config.json
  exits 2 extract "$work/videos" set --model other
  says_once "its model_type is 'bert', expected one of clip, clip_vision_model, siglip, "
  exits 0 extract --help
  says "of CLIP the projected embedding" "of DINOv2 the class token"
}

test_parts_are_extracted_apart_and_merged_to_the_bytes_of_one_extraction() {
  local part
  for part in 1 3 2; do
    exits 0 extract "$work/videos" set --model "$work/clip" --part "$part/3"
    says "part $part/3 is done"
    [[ ! -e set ]]
  done
  exits 0 extract "$work/videos" set --model "$work/clip" --merge --shards 2
  [[ ! -e set.extracting ]]
  cmp set/shard-00000.h5 "$work/two/shard-00000.h5"
  cmp set/index.json "$work/two/index.json"
  exits 0 extract "$work/videos" set --model "$work/clip" --merge --shards 2
  says_once "nothing to do"
}

# counts_frames ARGUMENT...: the tool with an encoder that needs no model: what is told of a part and
# its merge does not depend on it.
mkdir "$work/counting"
cp "$root"/tools/{extract_features,extraction_folder,output_place}.py "$work/counting"
ln -s "$bin/pth2h5" "$work/counting/pth2h5"
cat >"$work/counting/frame_encoder.py" <<'END'
import os, time, numpy
def families_text(): return "none"
class FrameEncoder:
    def __init__(self, *settings): pass
    def features(self, pictures):
        time.sleep(float(os.environ.get("PAUSE", 0)))
        return numpy.full((len(list(pictures)), 8), 0.5, numpy.float16)
END
counts_frames() { timeout 300 "$work/counting/extract_features.py" "$@"; }

test_a_merge_refuses_what_is_missing_killed_twice_or_of_other_settings() {
  cp -r "$work/videos" .
  merge() { counts_frames videos set --merge "$@"; }
  part() { counts_frames videos set --part "$@"; }
  exits 2 merge
  says_once "no part has ended there; run each with --part K/N first"
  exits 0 part 1/2
  exits 2 merge
  says_once "of 2 parts 1 have not ended: 2; run --part K/2 for each of them"
  exits 2 merge --fps 3
  says_once "was begun with other settings"
  # A part that is killed once its videos are there: it had ended before.
  exits 0 part 2/2
  rm set.extracting/S1.npy
  exits 2 merge
  says_once "S1: there without its part, or not there; run all parts again"
  (
    exec 7<set.extracting/.lock
    flock -s 7
    exits 2 merge
    says_once "another extraction is at work there"
    exec 8>set.extracting/.lock-2-of-2
    flock 8
    exits 2 part 2/2
    says_once "another extraction is at work there"
  )
  exits 0 part 2/2
  cp videos/S0.mkv videos/A0.mkv
  exits 2 merge
  says_once "the parts lack the folder's videos (A0): videos were added or removed"
  exits 0 part 1/2
  exits 2 merge
  says_once "is in part 1/2 and in part 2/2: videos were added or removed between them"
  rm videos/A0.mkv
  exits 0 part 1/2
  exits 2 merge
  says_once "A0: there without its part"
  rm set.extracting/A0.npy
  rm videos/S2.mkv
  exits 2 merge
  says_once "the parts have others than the folder's videos (S2): videos were added or removed"
  cp "$work/videos/S2.mkv" videos
  exits 0 part 1/3
  exits 2 merge
  says_once "has parts of 2 and of 3: remove it, and run all parts with one N"
  rm set.extracting/.part-1-of-3.json
  sed -i 's/"fps": 1.0/"fps": 2.0/' set.extracting/.part-2-of-2.json
  exits 2 merge
  says_once "part 2/2 is of other settings"
  exits 2 part 3/2
  says "expected K/N with 1 <= K <= N, got '3/2'"
  exits 2 part 1/2 --merge
  [[ ! -e set ]]
}

test_a_part_with_a_broken_video_is_merged_without_it_and_adds_it_when_mended() {
  cp -r "$work/videos" .
  echo "no video" >videos/S1.mkv
  exits 0 counts_frames videos set --part 1/2
  exits 1 counts_frames videos set --part 2/2
  says "videos/S1.mkv cannot be read: " "part 2/2 is done: 1 video, "
  exits 1 counts_frames videos set --merge
  says_once "1 of 4 videos are not in the set: S1. "
  lists set 'S0\t4\nS2\t1\nz_long\t20\n'
  cp "$work/videos/S1.mkv" videos
  exits 0 counts_frames videos set --part 2/2
  exits 0 counts_frames videos set --merge
  lists set 'S0\t4\nS1\t4\nS2\t1\nz_long\t20\n'
}

test_a_part_that_is_killed_has_not_ended() {
  PAUSE=1 "$work/counting/extract_features.py" "$work/videos" set --part 1/1 >log 2>&1 &
  kill_at_first_video $!
  [[ ! -e set.extracting/z_long.npy ]]
  exits 2 counts_frames "$work/videos" set --merge
  says_once "no part has ended there"
  exits 0 counts_frames "$work/videos" set --part 1/1
  exits 0 counts_frames "$work/videos" set --merge
  lists set 'S0\t4\nS1\t4\nS2\t1\nz_long\t20\n'
}

test_the_job_of_an_array_extracts_its_share() {
  cp -r "$root/jobs" .
  ln -s "$work/counting" tools
  export VIDEOS=$work/videos FEATURES=set SLURM_ARRAY_TASK_MIN=1
  for SLURM_ARRAY_TASK_ID in 1 2; do
    export SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT=2
    exits 0 bash jobs/extract.slurm --fps 2
    says "part $SLURM_ARRAY_TASK_ID/2 is done"
  done
  exits 0 counts_frames "$work/videos" set --fps 2 --merge
  lists set 'S0\t7\nS1\t7\nS2\t2\nz_long\t40\n'
  unset VIDEOS
  exits 2 bash jobs/extract.slurm
  says "VIDEOS, the folder of videos, and FEATURES, the feature set to make, are not both set"
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
  exits 2 extract videos set --recursive --model "$root/tests" --part 1/2
  says "--model $root/tests"
  exits 2 env PYTHONPATH= python3 -S "$root/tools/extract_features.py" videos set --recursive
  says_once "pip install torch transformers pillow av"
  [[ ! -e set && ! -e set.extracting ]]
}

run_tests "extract features"
