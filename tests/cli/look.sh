#!/usr/bin/env bash
# What one sees of a run: TensorBoard's events, read by TensorBoard's own reader; plots; the report,
# looked at and used in a browser.
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # TensorBoard, matplotlib, Pillow: from `make test-deps`

# demo_run: an epoch of the demo on the first tenth of its questions, once a script; leaves a copy of
# its output folder, `out`, and the array `deck`.
demo_run() {
  local demo=$work/demo
  deck=("$root/input/demo-published.toml" --set "model.llama=$root/input/demo/llama/demo" --output out
    --set "data.folder=$demo/data" --set "data.features=$demo/features" --set train.epochs=1
    --set train.warmup_epochs=0.5 --set eval.ask=true --set run.threads_per_rank=1)
  if [[ ! -d $demo/out ]]; then
    mkdir -p "$demo/data"
    "$bin/pth2h5" "$root/input/demo/data/star/clipvitl14.pth" "$demo/features" >/dev/null 2>&1
    python3 - "$root/input/demo/data/star" "$demo/data" <<'END'
import json, sys
for name in ("STAR_train.json", "STAR_val.json"):
    questions = json.load(open(f"{sys.argv[1]}/{name}"))
    json.dump(questions[:len(questions) // 10], open(f"{sys.argv[2]}/{name}", "w"))
END
    exits 0 ranks 2 "${deck[@]}"
    mv out "$demo/out"
  fi
  cp -r "$demo/out" out
}

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
assert all(len(events.Scalars(tag)) == len(found[tag]) for tag in found)
steps, timing, epochs = lines("out/metrics.jsonl"), lines("out/timing.jsonl"), lines("out/log.txt")
expected = {}
for rows, names in ((steps, [n for n in steps[0] if n not in ("step", "epoch", "questions")]),
                    (timing, [n for n, v in timing[0].items()
                              if n not in ("step", "time") and not isinstance(v, str)])):
    for name in names:
        expected["train/" + name] = {row["step"]: row[name] for row in rows}
last = {row["epoch"]: row["step"] for row in steps}
for name in ("acc", "In", "Seq", "Pre", "Feas", "mean_of_types", "uncertainty"):
    expected["val/" + name] = {last[row["epoch"]]: row["val_" + name] for row in epochs}
assert found.keys() == expected.keys(), (sorted(found), sorted(expected))
assert {"train/loss_vqa", "train/loss_edl_mse", "train/loss_edl_reg", "train/loss_vaq",
        "train/loss_aqa", "train/loss_qav", "train/uncertainty", "train/gradient_norm", "train/gate1",
        "train/gate2", "train/lr"} <= found.keys()
for tag, values in expected.items():
    assert found[tag].keys() == values.keys(), tag
    assert all(abs(found[tag][s] - v) <= 1e-6 * abs(v) for s, v in values.items()), tag
times = [e.wall_time for e in events.Scalars("train/loss")]
assert times == [row["time"] for row in timing]
assert all(row["questions_per_s"] > 0 for row in timing)
assert {"train/questions_per_s", "train/data_s", "train/compute_s", "train/others_s"} <= found.keys()
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

test_the_report_of_the_demo_is_a_page_whose_table_can_be_filtered_and_sorted() {
  demo_run
  exits 0 "$root/tools/report" out
  says_once "out/report.html"
  ! grep -q "note:" said
  # Nothing is fetched from anywhere: no address but the names of XML's own kinds.
  ! grep -oE '(src|href)="?(https?:)?//[^ "]*|@import|url\(' out/report.html
  ! grep -oE 'https?://[^ "]*' out/report.html | grep -v '^http://www.w3.org/2000/svg$'
  exits 0 python3 "$root/tests/tools/check_report.py" out screenshot.png
}

test_what_certainties_are_worth_is_what_scikit_learn_says() {
  demo_run
  exits 0 python3 "$root/tests/tools/check_calibration.py" out
  exits 0 bovila "${deck[@]/#out/fresh}" --eval --set loss.edl_mse=0 --set eval.ask=false
  holds "[*load('fresh/calibration.json')['certainties']] == ['probability', 'entropy']"
  # Fitted on one split, used on another.
  exits 0 bovila "${deck[@]/#out/fresh}" --eval --set eval.ask=false --resume out \
    --set eval.temperature=2
  holds "load('fresh/calibration.json')['temperature']['used'] == 2"
  holds "all(a['probability'] != b['probability'] and a['pre'] == b['pre']
             for a, b in zip(load('fresh/eval.json'), load('out/epoch0.json'), strict=True))"
  echo '{"certainties": {"u": {}}}' >out/calibration.json
  exits 0 "$root/tools/report" out
  says "note: calibration.json is not whole: nothing of what certainties are worth."
}

test_the_comparison_of_runs_is_a_page_that_shows_what_one_gets_right_and_another_does_not() {
  inputs star
  exits 0 bovila "${deck[@]}" --set output.folder=runs/one
  exits 0 bovila "${deck[@]}" --set output.folder=runs/two --set train.seed=1 --set train.epochs=1
  python3 - <<'END' # of each four questions: one is wrong, the other, both, none
import json
for run, wrong in (("one", (0, 2)), ("two", (1, 2))):
    path = f"runs/{run}/questions.jsonl"
    rows = [json.loads(line) for line in open(path)]
    for at, row in enumerate(rows):
        row["pre"] = row["ans"] if at % 4 not in wrong else "B" if row["ans"] == "A" else "A"
    open(path, "w").writelines(json.dumps(row) + "\n" for row in rows)
END
  exits 0 "$root/tools/report" runs/one runs/two
  says_once "runs/comparison.html"
  lacks "note:"
  [[ $(grep -oE "https?://[^ \"']*" runs/comparison.html) == http://www.w3.org/2000/svg ]]
  exits 0 python3 "$root/tests/tools/check_comparison.py" runs/one runs/two runs/comparison.html \
    screenshot.png
  exits 0 "$root/tools/report" runs/one runs/two # it is ours to replace
  exits 2 "$root/tools/report" runs/one runs/two runs/../runs/one
  says_once "error: one is given twice: expected different runs"
  echo thesis >other.html
  exits 2 "$root/tools/report" runs/one runs/two --output other.html
  says_once "error: other.html: expected a comparison of tools/report or nothing"
  exits 2 "$root/tools/report" runs/one runs/none
  says_once "error: runs/none is not there: expected the output folder of a run"
}

test_a_comparison_leaves_out_what_not_every_run_has() {
  local run
  mkdir a b
  for run in a b; do
    printf '{"qid":%d,"vid":"v","qtype":1,"pre":"A","ans":"%s","u":0.5,"question":"%s"}\n' \
      0 A "</script><img src=x>" 1 B "What?" >$run/questions.jsonl
  done
  echo '{"qid":2,"vid":"v","pre":"A","ans":"A","u":0.5}' >>a/questions.jsonl
  sed -i 's/"ans":"B"/"ans":"C"/' b/questions.jsonl # another question of the same row
  exits 0 "$root/tools/report" a b
  says "note: a: 2 questions left out of the table: not every run has them." \
    "note: b: 1 question left out of the table" "note: b: metrics.jsonl is not there"
  [[ $(grep -cF "<img" comparison.html) == 0 ]]
  python3 - <<'END'
import json, re
data = json.loads(re.search(r'<script id=data[^>]*>(.*)</script>', open("comparison.html").read())[1])
assert [row["qid"] for row in data["questions"]] == [0], data["questions"]
assert data["names"] == ["a", "b"] and data["curves"] == []
[interaction, everything] = data["types"]
assert interaction[0] == "Interaction" and interaction[1][1] == [0.5, None, None, 2]
END
}

test_the_report_says_which_bovila_made_the_run_as_far_as_the_run_tells() {
  mkdir out
  echo '{"train": {"epochs": 3}}' >out/config.json
  exits 0 "$root/tools/report" out
  grep -qF "A run of bovila in <code>" out/report.html
  echo '{"version": "0.2.0", "git": "1a2b-dirty", "MPI": "<b>3.1", "strange": 1}' >out/build.json
  exits 0 "$root/tools/report" out
  grep -qF "A run of bovila 0.2.0 (git 1a2b-dirty) in <code>" out/report.html
  grep -qF "<caption>the program</caption>" out/report.html
  grep -qF "<th scope=row>MPI<td>&lt;b&gt;3.1" out/report.html
  ! grep -qF "strange" out/report.html
  echo '{"version": ' >out/build.json
  exits 0 "$root/tools/report" out
  grep -qF "A run of bovila in <code>" out/report.html
}

test_the_report_of_an_evaluation_alone_says_that_and_of_what() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  exits 0 bovila "${deck[@]}" --eval --resume out --output scored
  exits 0 "$root/tools/report" scored
  grep -qF "<dt>State<dd>an evaluation, by --eval<" scored/report.html
  grep -qF "<dt>Evaluated<dd>out/checkpoints/step-00000006<" scored/report.html
  ! grep -q "interrupted" scored/report.html
  exits 0 bovila "${deck[@]}" --eval --output untrained
  exits 0 "$root/tools/report" untrained
  grep -qF "<dt>Evaluated<dd>start values, untrained<" untrained/report.html
}

test_the_report_of_a_probe_says_what_was_asked_and_what_guessing_gives() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  exits 0 bovila "${deck[@]}" --eval --set eval.video=none --set eval.options=rotations
  exits 0 "$root/tools/report" out
  grep -qF '<dt>Probe<dd>eval.video = &quot;none&quot;: without the video ' out/report.html
  grep -qF '<dt>Probe<dd>eval.options = &quot;rotations&quot;: ' out/report.html
  python3 - <<'END'
import json, re
data = json.loads(re.search(r'<script id=data[^>]*>(.*)</script>', open("out/report.html").read())[1])
assert all(row["frames"] == "none" and len(row["turns"].split()) == 4 for row in data["questions"])
END
  exits 0 bovila "${deck[@]}" --set train.epochs=2 # its questions are those of an epoch again
  exits 0 "$root/tools/report" out
  ! grep -q "<dt>Probe" out/report.html
}

test_fresh_moves_pages_and_plots_of_the_old_run_aside_with_it_and_no_others() {
  inputs star
  deck+=(--set train.epochs=1)
  exits 0 bovila "${deck[@]}" --profile
  exits 0 "$root/tools/report" out
  exits 0 "$root/tools/plot_run" out
  echo mine >out/notes.txt
  cp -r out before
  exits 0 bovila "${deck[@]}" --fresh
  local name
  for name in report.html plot.png profile-rank0.json; do cmp "before/$name" "out/previous-1/$name"; done
  [[ ! -e out/report.html && ! -e out/plot.png && -e out/notes.txt ]]
  echo "<p>mine" >out/report.html
  exits 0 bovila "${deck[@]}" --fresh
  [[ -e out/report.html && ! -e out/previous-2/report.html ]]
}

test_the_readmes_picture_of_a_report_is_small_and_not_blank() {
  demo_run
  exits 0 "$root/tools/report" out
  exits 0 python3 "$root/tests/tools/picture_report.py" out picture.png
  python3 - picture.png "$root/tools/pictures/report.png" <<'END'
import os, sys
from PIL import Image
sizes = set()
for path in sys.argv[1:]:
    picture = Image.open(path)
    assert picture.format == "PNG" and os.path.getsize(path) < 150_000, path
    colors = picture.convert("RGB").getcolors()
    assert len(colors) > 30 and max(colors)[0] < 0.9 * picture.width * picture.height, path
    sizes.add(picture.size)
assert len(sizes) == 1, sizes  # the one that is there is of today's script
END
}

test_an_evaluation_writes_the_questions_that_the_model_asks_itself() {
  demo_run
  cp out/questions.jsonl before
  exits 0 ranks 3 "${deck[@]}" --eval
  holds "[r['qid'] for r in lines('before')] == [r['qid'] for r in load('out/eval.json')]"
  cmp before out/questions.jsonl # what the training's last evaluation on two ranks wrote
  holds "all(r['asked'] and r['question'].endswith('?')
             and r['pre'] == 'ABCD'[r['loss'].index(min(r['loss']))]
             and len(r['options']) == len(r['loss']) == len(r['uncertainty']) == 4
             and r['u'] == r['uncertainty']['ABCD'.index(r['pre'])] for r in lines('before'))"
  exits 0 bovila "${deck[@]}" --eval --set eval.ask=false
  holds "not any('asked' in r for r in lines('out/questions.jsonl'))"
}

test_texts_of_a_run_never_become_markup() {
  mkdir out
  python3 - <<'END'
import json
evil = ("</script><script>document.title='evil'</script>@@DATA@@"
        "<img src=x onerror=\"document.title='evil'\">")
json.dump({evil: {evil: evil}, "train": {"batch_size": 1}}, open("out/config.json", "w"))
row = {"qid": 0, "question_id": evil, "vid": evil, "qtype": 1, "pre": "A", "ans": "B", "u": 0.5,
       "question": evil, "options": [evil, evil], "loss": [0.1, 0.2], "uncertainty": [0.5, 0.5],
       "asked": evil}
json.dump(row, open("out/questions.jsonl", "w"))
END
  exits 0 "$root/tools/report" out
  python3 - "$root/tests/tools" <<'END'
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from browser import Browser
evil = json.load(open("out/questions.jsonl"))["asked"]
page = Browser(1200, 800)
try:
    page.open(pathlib.Path("out/report.html"))
    assert page.run("return document.title") == "out - bovila"
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert f"Asked itself: {evil}" in page.texts("#table")[0]
    assert evil in page.texts("#settings")[0]
    assert page.complaints() == [], page.complaints()
finally:
    page.close()
END
}

# texts_of_svg FILE: matplotlib draws texts as shapes and keeps each as a comment.
texts_of_svg() {
  python3 - "$1" <<'END'
import re, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
assert root.tag == "{http://www.w3.org/2000/svg}svg", root.tag
print(*re.findall(r"<!-- (.*?) -->", open(sys.argv[1]).read()), sep="\n")
END
}

test_a_plot_is_drawn_as_png_and_as_svg() {
  inputs star
  exits 0 bovila "${deck[@]}"
  exits 0 "$root/tools/plot_run" out
  says_once "out/plot.png"
  python3 -c "
from PIL import Image
picture = Image.open('out/plot.png')
assert picture.format == 'PNG' and picture.width > 1000
assert len(picture.convert('RGB').getcolors(1 << 24)) > 200"
  exits 0 "$root/tools/plot_run" out --output plot.svg
  texts_of_svg plot.svg >said
  says "Losses in training" "Accuracy after each epoch" "Accuracy by question type" "Reliability" \
    "Uncertainty of right and wrong answers" "Risk when only the most certain are answered"
  ! grep -q "no steps yet" said
}

test_a_run_that_has_just_begun_has_a_report_and_a_plot_that_say_what_is_not_there_yet() {
  mkdir out
  echo '{"train": {"epochs": 3}}' >out/config.json
  printf '{"step":1,"epoch":0,"loss":2.5,"lr":0.1}\n{"step":2,"epo' >out/metrics.jsonl
  exits 0 "$root/tools/report" out
  says "note: log.txt is not there: no accuracy by epoch." "note: timing.jsonl is not there"
  ! grep -q "left out" said
  grep -q "0 of 3 epochs done" out/report.html
  exits 0 "$root/tools/plot_run" out --output plot.svg
  texts_of_svg plot.svg >said
  says "no accuracy by epoch yet" "no evaluation yet"
}

test_predictions_alone_make_a_report_without_texts_and_damaged_rows_are_counted() {
  mkdir out
  echo '[{"vid":"a","qid":0,"qtype":-1,"pre":"A","ans":"B","u":0.5},{"qid":1},7]' >out/epoch3.json
  echo '{"epochs"' >out/config.json
  printf '{"step":1,"loss":1}\nnoise\n{"loss":2}\n{"step":2,"loss":NaN}\n' >out/metrics.jsonl
  exits 0 "$root/tools/report" out
  says "note: config.json is not whole: no settings." "note: metrics.jsonl: 2 lines left out" \
    "note: questions.jsonl is not there: epoch3.json has the predictions" \
    "note: epoch3.json: 1 row left out"
  exits 0 "$root/tools/plot_run" out
}

test_a_split_that_hides_its_answers_has_a_report_and_a_plot() {
  mkdir out
  echo '{"qid":0,"qtype":1,"pre":"A","u":0.5,"question":"What?"}' >out/questions.jsonl
  exits 0 "$root/tools/report" out
  exits 0 "$root/tools/plot_run" out --output plot.svg
  texts_of_svg plot.svg >said
  says "the split hides its answers"
}

test_a_run_without_an_evidential_loss_has_no_charts_of_its_uncertainty() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --set loss.edl_mse=0
  exits 0 "$root/tools/report" out
  grep -q '"uncertainty":null' out/report.html
  exits 0 "$root/tools/plot_run" out --output plot.svg
  texts_of_svg plot.svg >said
  says "no uncertainty: the run has no evidential loss" "Accuracy by question type"
  ! grep -q "Reliability" said
}

test_the_statistics_of_a_run_are_those_worked_out_by_hand() {
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/tools python3 - <<'END'
import run_statistics as stats
def row(pre, ans, u, qtype=1): return {"pre": pre, "ans": ans, "u": u, "qtype": qtype}
rows = [row("A", "A", 0.1), row("B", "A", 0.2), row("C", "C", 0.2, 3), row("A", "C", 0.9, 3)]
hidden = [{"pre": "A", "u": 0.5}]
assert stats.accuracy(rows) == 0.5 and stats.accuracy([]) is None
assert stats.by_type(rows + hidden) == [("Interaction", 1, 2), ("Prediction", 1, 2), ("all", 2, 4)]
named = [dict(row("A", "A", 0.1), type="Interaction"), dict(row("B", "A", 0.2, -1), type=["b", "a"]),
         dict(row("C", "C", 0.2, -1), type="b"), dict(row("C", "C", 0.2, 2), type=7)]
assert stats.by_type(named) == [("a", 0, 1), ("b", 1, 2), ("Interaction", 1, 1), ("all", 3, 4)]
epochs = [{"epoch": 0, "val_b": 1, "val_acc": 1, "val_uncertainty": 0, "val_c": None}]
assert stats.accuracy_names(epochs) == ["val_acc", "val_b"]
assert stats.risk_coverage(rows) == [(0.25, 0), (0.75, 1 / 3), (1, 0.5)]  # the two of 0.2 together
assert abs(stats.mean_risk(stats.risk_coverage(rows)) - (0.5 / 3 + 0.25 / 2)) < 1e-12
assert stats.reliability(rows) == [(0.1, 1, 1), (0.2, 0, 1), (0.2, 1, 1), (0.9, 0, 1)]
assert stats.confusion(rows + hidden) == ("ABC", [[1, 1, 0], [0, 0, 0], [1, 0, 1]])
bins = stats.histogram(rows)
assert len(bins) == 20 and bins[0][0] == 0.1 and abs(bins[-1][1] - 0.9) < 1e-12
assert [(right, wrong) for _, _, right, wrong in bins if right + wrong] == [(1, 0), (1, 1), (0, 1)]
assert stats.histogram([row("A", "A", 0.5)] * 3)[0][2] == 3
for nothing in (stats.by_type, stats.risk_coverage, stats.reliability):
    assert nothing([]) == [] == nothing(hidden)
assert all(abs(a - b) < 1e-4 for a, b in zip(stats.wilson(0.3, 20), (0.1455, 0.5190)))
assert stats.wilson(0, 10)[0] == 0 and abs(stats.wilson(1, 10)[1] - 1) < 1e-12
assert not stats.has_uncertainty([row("A", "A", 0)]) and stats.has_uncertainty(rows)
points = stats.thinned([(x, x) for x in range(1, 1000)], 10)
assert len(points) == 10 and points[0] == (100, 50.5) and points[-1][0] == 999
steps = [{"step": 1, "loss": 2.0, "loss_a": 2.0, "loss_b": 0.001, "loss_c": 0.0}]
assert stats.loss_terms(steps) == (["loss", "loss_a"], ["loss_b"])
assert stats.loss_terms([]) == ([], [])
END
}

# traces FILE NAME...: a trace that Perfetto reads has the program's parts of a step and operators.
traces() {
  python3 - "$@" <<'END'
import json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
names = [event["name"] for event in events if event.get("ph") == "X"]
for wanted in sys.argv[2:]:
    assert wanted in names, (wanted, sorted(set(names)))
print(names.count(sys.argv[2]))
END
}

test_a_trace_has_the_parts_of_five_steps_and_changes_no_bit() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set train.batch_size=1 --output plain
  exits 0 ranks 2 "${deck[@]}" --set train.batch_size=1 --profile --output traced
  says_once "a trace is in traced/profile-rank0.json: open it in ui.perfetto.dev"
  cmp plain/metrics.jsonl traced/metrics.jsonl
  local rank
  for rank in 0 1; do
    [[ $(traces traced/profile-rank$rank.json VQA VAQ Gumbel AQA backward all-reduce AdamW \
      "wait for batch" aten::softmax) == 5 ]]
  done
  exits 0 bovila "${deck[@]}" --eval --set eval.batch_size=1 --profile --output traced
  [[ $(traces traced/profile-rank0.json "score options") == 5 ]]
  [[ ! -e plain/profile-rank0.json ]]
}

test_a_trace_that_cannot_be_made_is_a_warning() {
  inputs star
  exits 0 bovila "${deck[@]}" --eval --profile
  says_once "no trace: steps are traced from the 3rd on, this run had 1"
  mkdir -p out/profile-rank0.json/full
  exits 0 bovila "${deck[@]}" --eval --set eval.batch_size=1 --profile
  says_once "NO TRACE in $PWD/out/profile-rank0.json: "
}

test_what_is_no_run_is_refused_with_what_was_expected() {
  local tool
  mkdir empty
  touch file
  for tool in report plot_run; do
    exits 2 "$root/tools/$tool" nowhere
    says_once "error: nowhere is not there: expected the output folder of a run"
    exits 2 "$root/tools/$tool" file
    says_once "error: file is a file: expected the output folder of a run"
    exits 2 "$root/tools/$tool" empty
    says_once "error: empty holds none of a run's files"
  done
  [[ -z $(ls -A empty) ]]
  echo '{"step":1,"loss":1}' >empty/metrics.jsonl
  exits 2 "$root/tools/plot_run" empty --output plot.gif
  says "--output plot.gif: expected a name that ends in .png, .svg, .pdf"
  for tool in "report --output /proc/x" "plot_run --output /proc/x.svg"; do
    exits 1 "$root/tools/"$tool empty
    says "cannot be written: "
  done
}

test_a_tilde_and_variables_in_paths_are_what_a_shell_makes_of_them() {
  mkdir "$HOME/run"
  echo '{"step":1,"loss":1}' >"$HOME/run/metrics.jsonl"
  # shellcheck disable=SC2016,SC2088 # for the tools to replace
  {
    exits 0 "$root/tools/report" '~/run' --output='$HOME/page.html'
    exits 0 "$root/tools/plot_run" '${HOME}/run' --output='~/run/p.svg'
    exits 2 "$root/tools/report" '$BOVILA_NONE/run'
  }
  [[ -s $HOME/page.html && -s $HOME/run/p.svg ]]
  says "the variable BOVILA_NONE is not set"
  rm -r "$HOME/run" "$HOME/page.html"
}

test_a_file_that_is_no_page_and_no_picture_of_a_run_is_not_written_over() {
  local tool
  mkdir run
  echo '{"step":1,"loss":1}' >run/metrics.jsonl
  for tool in report.html plot_run.png plot_run.svg plot_run.pdf; do
    echo thesis >"$tool"
    exits 2 "$root/tools/${tool%.*}" run --output "$tool"
    says "error: $tool: expected a p" "of tools/${tool%.*} or nothing, something else is there"
    [[ $(<"$tool") == thesis ]]
    rm "$tool"
    ln -s "run/$tool" "$tool"
    exits 0 "$root/tools/${tool%.*}" run --output "$tool"
    says_once "$tool is a link: $(realpath run)/$tool is written"
    exits 0 "$root/tools/${tool%.*}" run --output "$tool"
    [[ -L $tool && -s run/$tool ]]
  done
}

test_on_a_full_disk_the_old_page_and_picture_stay_and_nothing_half() {
  local tool
  mkdir run
  echo '{"step":1,"loss":1}' >run/metrics.jsonl
  for tool in report plot_run; do
    exits 0 "$root/tools/$tool" run
    cp -r run before
    exits 1 bash -c 'ulimit -f 4; exec "$@"' - "$root/tools/$tool" run
    says "cannot be written: File too large"
    diff -r before run
    rm -r before
    exits 2 "$root/tools/$tool" run --output ""
    says "--output: expected a value, got an empty one"
    exits 2 "$root/tools/$tool" ""
  done
}

test_numbers_that_are_not_finite_cost_their_rows_alone() {
  mkdir run
  python3 - >run/questions.jsonl <<'END'
for number, u in enumerate(["0.5", "0.25", "1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 400]):
    print('{"qid":%d,"qtype":%s,"pre":"A","ans":"B","u":%s}' % (number, number or [], u))
END
  printf '{"step":1,"loss":1}\n{"step":2,"loss":1e999}\n{"step":1%0400d,"loss":1}\n' 0 \
    >run/metrics.jsonl
  exits 0 "$root/tools/report" run
  says "note: questions.jsonl: 5 rows left out" "note: metrics.jsonl: 1 line left out"
  ! grep -E '[:,](NaN|-?Infinity)' run/report.html
  exits 0 "$root/tools/plot_run" run
  sed 's/^/[/; s/$/]/' <(grep '"qid":4' run/questions.jsonl) >run/eval.json
  rm run/questions.jsonl
  exits 0 "$root/tools/report" run
  says "note: eval.json: 1 row left out"
  exits 0 "$root/tools/plot_run" run
}

test_one_of_a_thing_is_not_many() {
  mkdir run
  echo '{"train": {"epochs": 1}}' >run/config.json
  echo '{"epoch":0,"val_acc":1}' >run/log.txt
  echo '{"qid":0,"qtype":1,"pre":"A","ans":"A","u":0.5}' >run/questions.jsonl
  exits 0 "$root/tools/report" run
  grep -q "complete, 1 epoch<" run/report.html
  grep -q "100.00 % of 1 question<" run/report.html
}

test_plot_run_without_matplotlib_says_what_it_needs() {
  mkdir out
  echo '{"step":1,"loss":1}' >out/metrics.jsonl
  exits 1 env PYTHONPATH= python3 -S "$root/tools/plot_run" out
  says "plot_run needs matplotlib: apt-get install python3-matplotlib, or pip install matplotlib"
  exits 0 env PYTHONPATH= python3 -S "$root/tools/report" out
}

run_tests look
