#!/usr/bin/env bash
# What one sees of a run: TensorBoard's events, read by TensorBoard's own reader.
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # from `make test-deps`

test_tensorboards_own_reader_reads_what_the_json_lines_say() {
  inputs star
  exits 0 ranks 2 "${deck[@]}"
  python3 - <<'END'
import json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
def lines(path): return [json.loads(line) for line in open(path)]
events = EventAccumulator("out", size_guidance={"scalars": 0})
events.Reload()
found = {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
steps, timing, epochs = lines("out/metrics.jsonl"), lines("out/timing.jsonl"), lines("out/log.txt")
expected = {}
for rows, names in ((steps, [n for n in steps[0] if n not in ("step", "epoch", "questions")]),
                    (timing, ["questions_per_s"])):
    for name in names:
        expected["train/" + name] = {row["step"]: row[name] for row in rows}
last = {row["epoch"]: row["step"] for row in steps}
for name in ("acc", "In", "Seq", "Pre", "Feas", "uncertainty"):
    expected["val/" + name] = {last[row["epoch"]]: row["val_" + name] for row in epochs}
assert found.keys() == expected.keys(), (sorted(found), sorted(expected))
assert {"train/loss_vqa", "train/loss_edl_mse", "train/loss_edl_reg", "train/loss_vaq",
        "train/loss_aqa", "train/uncertainty", "train/gradient_norm", "train/gate1",
        "train/gate2", "train/lr"} <= found.keys()
for tag, values in expected.items():
    assert found[tag].keys() == values.keys(), tag
    assert all(abs(found[tag][s] - v) <= 1e-6 * abs(v) for s, v in values.items()), tag
times = [e.wall_time for e in events.Scalars("train/loss")]
assert times == [row["time"] for row in timing]
assert all(row["questions_per_s"] > 0 for row in timing)
END
}

test_tensorboard_that_watches_a_run_sees_each_step_once_when_it_is_resumed() {
  inputs star
  python3 - "$bin/bovila" "${deck[@]}" <<'END'
import os, subprocess, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
def run(*more): subprocess.run([*sys.argv[1:], *more], check=True, timeout=120)
run("--set", "train.epochs=1", "--set", "checkpoint.every_steps=2")
events = EventAccumulator("out", size_guidance={"scalars": 0})
def steps(): return [event.step for event in events.Reload().Scalars("train/loss")]
assert steps() == [1, 2, 3, 4, 5, 6]
os.truncate("out/checkpoints/step-00000006/state.h5", 9)  # goes on from an earlier one
run("--set", "train.epochs=2")
assert steps() == list(range(1, 13)), steps()
assert [event.step for event in events.Scalars("val/acc")] == [6, 12]
END
}

test_without_tensorboard_there_are_no_events() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --set output.tensorboard=false
  [[ -s out/timing.jsonl && -z $(ls out | grep tfevents) ]]
}

run_tests look
