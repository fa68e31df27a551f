#!/usr/bin/env bash
# What people and machines do to a run besides killing it: two runs in one folder, other umasks,
# names with blanks and quotes, clocks that jump, file systems that promise little.
. "$(dirname "$0")/helpers.bash"

# start ARGUMENT...: a long run in the background, until it takes steps; its process id in `job`.
start() {
  rm -rf first # the text of an earlier one
  "$bin/bovila" "${deck[@]}" --set train.epochs=100000 "$@" >first 2>&1 </dev/null &
  job=$!
  trap 'kill -KILL $job 2>/dev/null || true' EXIT # when the test fails: the run would not end
  for ((i = 0; i < 600; ++i)); do
    grep -qs "epoch 1 step 3 " first && return # the checkpoint of step 1 is on the disk
    sleep 0.05
  done
  cat first
  return 1
}

test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on() {
  inputs star
  start --set checkpoint.keep=1000000 --set checkpoint.every_steps=1
  exits 2 ranks 2 "${deck[@]}"
  says_once "out is in use by another run: process $job on $(hostname). Wait for its end, stop it (bovila stop $PWD/out),"
  exits 2 bovila "${deck[@]}" --fresh
  [[ ! -e out/previous-1 ]]
  # Who only looks is let in.
  exits 0 bovila "${deck[@]}" --set train.epochs=100000 --check
  exits 0 bovila "${deck[@]}" --set train.epochs=100000 --eval --output scored \
    --resume out/checkpoints/step-00000001
  kill -0 "$job"
  kill -USR1 "$job"
  wait "$job" || [[ $? == 75 ]]
  [[ ! -e out/run.lock ]]
}

test_a_killed_run_leaves_no_lock_behind_that_counts_with_and_without_the_kernels_locks() {
  inputs star
  local with
  for with in "" "LD_PRELOAD=$bin/libfaults.so BOVILA_NO_FLOCK=37"; do
    rm -rf out
    start
    kill -KILL "$job"
    wait "$job" || true
    [[ -e out/run.lock ]]
    exits 0 env $with timeout 60 "$bin/bovila" "${deck[@]}" --fresh
    [[ ! -e out/run.lock ]]
  done
}

test_without_the_kernels_locks_a_living_run_is_known_by_its_process() {
  inputs star
  local preload="env LD_PRELOAD=$bin/libfaults.so BOVILA_NO_FLOCK=37"
  LD_PRELOAD=$bin/libfaults.so BOVILA_NO_FLOCK=37 start
  exits 2 $preload "$bin/bovila" "${deck[@]}"
  says_once "is in use by another run: process $job on"
  kill -KILL "$job"
}

test_the_umask_is_honoured_in_every_file_and_folder() {
  inputs star
  umask 027
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  exits 0 bovila "${deck[@]}" --eval
  "$bin/pth2h5" "$mini/data/star/clipvitl14.pth" features --shards 1 >/dev/null 2>&1
  [[ -z $(find out features -type f ! -perm 640) && -z $(find out features -type d ! -perm 750) ]]
  [[ $(find out -type f | wc -l) -ge 9 && $(find features -type f | wc -l) == 3 ]]
}

test_clocks_that_jump_by_years_change_no_byte_and_no_limit() {
  inputs star
  exits 0 bovila "${deck[@]}" --output calm
  exits 0 env LD_PRELOAD="$bin/libfaults.so" BOVILA_CLOCK_JUMPS=1 "$bin/bovila" "${deck[@]}" \
    --output jumpy --set run.time_limit_minutes=60 --set checkpoint.every_minutes=60
  local name
  for name in log.txt metrics.jsonl epoch1.json checkpoints/step-00000012/state.h5; do
    cmp "calm/$name" "jumpy/$name"
  done
  [[ $(ls calm/checkpoints) == "$(ls jumpy/checkpoints)" ]]
}

test_names_with_blanks_quotes_and_letters_of_other_scripts_work_everywhere() {
  inputs star
  local odd=$'a "b\' \xc3\xa9\xe4\xb8\xad' out=$'"out \'put'
  mkdir "$odd"
  cp -r "$mini/data/star" "$odd/data"
  cp -r "$mini/llama" "$odd/llama"
  # A video's name of as many bytes as before, so that the pickle around it stays right.
  python3 - "$odd" <<'END'
import sys, zipfile
folder, name = sys.argv[1], '\u00e9'  # two bytes
for split in ('train', 'val'):
    path = f'{folder}/data/STAR_{split}.json'
    text = open(path).read()
    assert '"S1"' in text
    open(path, 'w').write(text.replace('"S1"', f'"{name}"').replace('"S2"', '"\' "'))
whole = zipfile.ZipFile(f'{folder}/data/clipvitl14.pth')
with zipfile.ZipFile(f'{folder}/odd.pth', 'w') as odd:
    for entry in whole.namelist():
        data = whole.read(entry)
        if entry.endswith('data.pkl'):
            assert data.count(b'S1') == data.count(b'S2') == 1
            data = data.replace(b'S1', name.encode()).replace(b'S2', b"' ")
        odd.writestr(entry, data)
END
  "$bin/pth2h5" "$odd/odd.pth" "$odd" --shards 2 >said 2>&1 && return 1 # a folder of other files
  "$bin/pth2h5" "$odd/odd.pth" "$odd/features" --shards 2 >said 2>&1
  "$bin/pth2h5" --list "$odd/features" >said
  says $'\xc3\xa9' "' "
  cp "$root/input/star.toml" "$odd/a deck.toml"
  exits 0 ranks 2 "$odd/a deck.toml" "${sizes[@]}" --set "model.llama=$odd/llama/mini" \
    --set "data.folder=$odd/data" --set "data.features=$odd/features" --output "$out"
  says_once "train: 1 video has no features, zeros stand for it: S3"
  exits 0 ranks 2 "${deck[@]}" --output plain
  cmp plain/log.txt "$out/log.txt"
  cmp plain/checkpoints/step-00000006/state.h5 "$out/checkpoints/step-00000006/state.h5"
  exits 0 bovila "$odd/a deck.toml" "${sizes[@]}" --set "model.llama=$odd/llama/mini" --eval \
    --set "data.folder=$odd/data" --set "data.features=$odd/features" --output scored \
    --resume "$out"
}

test_a_file_system_that_is_memory_is_said() {
  inputs star
  local folder=/dev/shm/bovila-people-$$
  trap "rm -rf $folder" EXIT
  exits 0 bovila "${deck[@]}" --output "$folder" --set train.epochs=1
  says_once "$folder/checkpoints: its file system, tmpfs is memory: what it holds is gone after"
}

test_a_checkpoint_of_a_newer_program_is_refused_by_name() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  sed -i 's/"format_version": [0-9]*/"format_version": 99/' out/checkpoints/*/manifest.json
  sed -i 's/"version": "[0-9.]*"/"version": "9.1.0"/' out/checkpoints/*/build.json
  exits 2 ranks 2 "${deck[@]}"
  says "got 99: it was written by bovila 9.1.0; use that one to go on from it"
  [[ -z $(ls -d out/checkpoints/*.aside-* 2>/dev/null) ]]
}

run_tests people
