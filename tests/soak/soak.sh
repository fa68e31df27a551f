#!/usr/bin/env bash
# What takes too long for make test: many runs disturbed at random, long runs, large inputs, many
# ranks. Settings:
#   TRIES   disturbed runs (default: 100)
. "$(dirname "$0")/../cli/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # TensorBoard, from `make test-deps`

mini_run() {
  inputs star
  deck+=(--set checkpoint.every_steps=1 --set train.batch_size=2 --set loss.aqa=0
    --set run.threads_per_rank=1)
}

test_runs_disturbed_at_random_leave_what_an_undisturbed_run_leaves() {
  mini_run
  python3 "$root/tests/soak/soak.py" random "${TRIES:-100}" "$bin/libfaults.so" "$bin/bovila" \
    "${deck[@]}" | tee /dev/fd/3
}

test_each_call_of_three_saves_fails_or_is_the_last_one() {
  mini_run
  POINTS=130 python3 "$root/tests/soak/soak.py" points "$bin/libfaults.so" "$bin/bovila" \
    "${deck[@]}" --set train.epochs=9 | tee /dev/fd/3
}

test_2000_steps_of_the_demo_take_no_more_memory_and_files_than_the_first_500() {
  "$bin/pth2h5" "$root/input/demo/data/star/clipvitl14.pth" features >/dev/null 2>&1
  cd "$root"
  python3 - "$OLDPWD" "$bin/bovila" <<'END' | tee /dev/fd/3
import os, subprocess, sys, time
out, program = sys.argv[1:]
run = subprocess.Popen([program, "input/demo.toml", "--set", "train.epochs=10", "--set",
                        f"data.features={out}/features", "--set", "train.batch_size=8", "--set",
                        "checkpoint.every_steps=20", "--output", out + "/out"],
                       stderr=subprocess.DEVNULL)
samples = []  # step, resident kB, open files
while run.poll() is None:
    time.sleep(0.5)
    try:
        status = dict(line.split(":", 1) for line in open(f"/proc/{run.pid}/status"))
        files = len(os.listdir(f"/proc/{run.pid}/fd"))
        rows = sum(1 for _ in open(out + "/out/metrics.jsonl"))
        samples.append((rows, int(status["VmRSS"].split()[0]), files))
    except (OSError, KeyError, ValueError):
        pass
assert run.returncode == 0, run.returncode
# The most memory, and the fewest files: a checkpoint that is being written has some open besides.
def part(first, last):
    of_part = [sample for sample in samples if first <= sample[0] <= last]
    return max(sample[1] for sample in of_part), min(sample[2] for sample in of_part)
early, late = part(100, 500), part(1500, 2000)
print(f"steps 100 to 500: {early[0] / 1e3:.0f} MB, {early[1]} files; "
      f"1500 to 2000: {late[0] / 1e3:.0f} MB, {late[1]} files")
assert late[0] < 1.03 * early[0] and late[1] <= early[1]
END
  [[ $(wc -l <"$OLDPWD/out/metrics.jsonl") == 2000 ]]
}

# many.pth: 20,000 videos of one or two frames; video v0 is S0 of the questions.
test_20000_videos_in_64_shards_are_converted_verified_and_trained_on() {
  inputs star
  python3 - <<'END'
import struct, zipfile
names = [f"S{i}" for i in range(20000)]
def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()
pickle = b"\x80\x02}("
with zipfile.ZipFile("many.pth", "w") as out:
    for i, name in enumerate(names):
        frames = 1 + i % 2
        pickle += (text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
                   b"ctorch\nHalfStorage\n" + text(str(i)) + text("cpu") +
                   b"J" + struct.pack("<i", 768 * frames) + b"tQK\0K" + bytes([frames]) +
                   b"M\x00\x03\x86M\x00\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR")
        out.writestr(f"many/data/{i}", struct.pack("<e", 1 + i / 20000) * 768 * frames)
    out.writestr("many/data.pkl", pickle + b"u.")
END
  "$bin/pth2h5" many.pth many --shards 64 >/dev/null 2>&1
  [[ $(ls many/shard-*.h5 | wc -l) == 64 ]]
  "$bin/pth2h5" --verify many >/dev/null 2>&1
  [[ $("$bin/pth2h5" --list many | wc -l) -ge 20000 ]]
  exits 0 ranks 4 "${deck[@]}" --set "data.features=$PWD/many"
}

test_16_ranks_on_one_machine_start_train_and_end() {
  inputs star
  deck+=(--set run.threads_per_rank=1) # as 16 ranks have it
  exits 0 timeout 600 "$MPIRUN" -np 16 "$bin/bovila" "${deck[@]}" --set train.batch_size=1
  says_once "16 ranks of 1 thread on the CPU"
  holds "[r['questions'] for r in lines('out/metrics.jsonl')] == [16, 8, 16, 8]"
  exits 0 bovila "${deck[@]}" --set train.batch_size=1 --eval --output again --resume out
  cmp out/epoch1.json again/eval.json
}

exec 3>&1
run_tests soak
