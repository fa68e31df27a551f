#!/usr/bin/env bash
# tools/sweep on the tiny STAR of tests/golden/mini: points, their runs, stops and failures; its
# table on answers that are written here; its statistics beside SciPy's and statsmodels'. (On a real
# Slurm: tests/slurm/sweep.sh.)
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python # SciPy, statsmodels, TensorBoard: from `make test-deps`
export BOVILA=$bin/bovila

sweep() { "$root/tools/sweep" "$@"; }

# site: a deck and a sweep of it, two variants times two seeds, two epochs of six steps each.
site() {
  mkdir decks
  cat >decks/star.toml <<END
[model]
llama = "$mini/llama/mini"
precision = "fp32"
max_feats = 6
max_seq_len = 256
adapter_len = 5
adapter_layers = 3
[data]
dataset = "star"
folder = "$mini/data/star"
features = "$(features star)"
[train]
epochs = 1
batch_size = 4
lr = 0.01
warmup_epochs = 0.5
[run]
threads_per_rank = 1
collective_timeout_s = 60
[output]
folder = "unused"
log_every_steps = 1
END
  cat >sweep.toml <<'END'
output = "results"
decks = ["decks/star.toml"]
seeds = [0, 1]
compare = "answers"
[set]
train.epochs = 2
[variants.answers]
loss.vaq = 0
loss.aqa = 0
[variants.full]
END
}

# points: the names, one a line. only_point VARIANT SEED: its folder.
points() { sweep sweep.toml --list | grep -v '^ '; }
only_point() { compgen -G "results/star/$1/seed$2-????????"; }

test_a_changed_point_is_another_point_and_the_others_keep_their_names() {
  site
  points >before
  [[ $(wc -l <before) == 4 && $(sort -u before | wc -l) == 4 ]]
  grep -qE '^star/answers/seed0-[0-9a-f]{8}$' before
  # What results do not follow from: comments, order, how a number is written, where and when files
  # are saved, threads.
  sed -i 's/^lr = 0.01/lr = 1e-2 # peak/; s/per_rank = 1/per_rank = 2/' decks/star.toml
  sed -i 's/^loss.vaq = 0$/loss.vaq = 0.0/; s/^train.epochs = 2/&\ncheckpoint.keep = 3/' sweep.toml
  points >after
  cmp before after
  # More of everything: the old ones are among the new ones.
  sed -i 's/^seeds = .*/seeds = [0, 1, 2]/' sweep.toml
  printf '[variants.vaq]\nloss.aqa = 0\n' >>sweep.toml
  points >after
  [[ $(wc -l <after) == 9 && $(sort before after | uniq -d | wc -l) == 4 ]]
  # A variant's key, the deck's, and the number of ranks.
  sed -i '/variants.answers/,/variants.full/s/^loss.aqa = 0/loss.aqa = 0.1/' sweep.toml
  points >after
  [[ $(sort before after | uniq -d | grep -c full) == 2 ]]
  [[ $(sort before after | uniq -d | grep -c answers) == 0 ]]
  sed -i 's/^lr = .*/lr = 0.02/' decks/star.toml
  points >after
  [[ -z $(sort before after | uniq -d) ]]
  cp after before
  sed -i 's/^seeds/ranks = 2\n&/' sweep.toml
  points >after
  [[ -z $(sort before after | uniq -d) ]]
  exits 0 sweep sweep.toml --list --only 'star/full/*'
  says "mpirun -np 2 $BOVILA decks/star.toml --output results/star/full/seed0-" "--set train.seed=2"
  lacks answers
}

test_all_mistakes_of_the_file_are_said_at_once() {
  site
  cat >wrong.toml <<'END'
decks = ["decks/star.toml", "other/star.toml", "decks/none.toml"]
seeds = [0, 0]
ranks = 0
compare = "plain"
variant = 1
[set]
epochs = 2
train.seed = 3
[variants."a/b"]
loss.vaq = 0
[slurm]
at_onse = 2
options = "--time=10"
END
  mkdir other && cp decks/star.toml other/
  exits 2 sweep wrong.toml --list
  says "wrong.toml: unknown key 'variant' in the file; did you mean 'variants'?" \
    'wrong.toml: output: expected a folder, got ""' \
    "wrong.toml: decks: two of them have the same name" \
    "wrong.toml: seeds: expected a list of different integers, 0 or more, got [0, 0]" \
    "wrong.toml: ranks: expected an integer, 1 or more, got 0" \
    "wrong.toml: set.epochs: expected a deck's key with its table (train.epochs = 5), got 2" \
    "wrong.toml: set.train.seed: the sweep sets it, by \`seeds\` and \`output\`" \
    "wrong.toml: variants: 'a/b' cannot name a folder" \
    'wrong.toml: compare: expected one of the variants (a/b), got "plain"' \
    "wrong.toml: unknown key 'at_onse' in [slurm]; did you mean 'at_once'?" \
    'wrong.toml: slurm.options: expected a list of sbatch'\''s options, got "--time=10"' \
    "decks/none.toml: cannot be read: No such file or directory"
  exits 2 sweep nowhere.toml --run
  says "error: nowhere.toml: cannot be read: No such file or directory"
  echo 'decks = [' >broken.toml
  exits 2 sweep broken.toml --run
  says "error: broken.toml: is no TOML: "
  sed -i '/^epochs/d' decks/star.toml
  sed -i '/^train.epochs/d' sweep.toml
  exits 2 sweep sweep.toml --list
  says_once "decks/star.toml, variant full: train.epochs has to be in the deck, in [set] or in the"
  sed -i 's/^\[set\]/&\ntrain.epochs = 2/' sweep.toml
  exits 2 sweep sweep.toml --list --only 'tvqa/*'
  says_once "error: --only tvqa/*: none of 4 points has such a name; --list names them"
  exits 2 sweep sweep.toml
  says "one of the arguments"
  exits 2 sweep sweep.toml --run --at-once 0
  says "expected 1 or more, got 0"
}

test_check_reads_each_deck_and_variant_with_its_files_and_writes_nothing() {
  site
  exits 0 sweep sweep.toml --check
  says "star/answers: fits together" "star/full: fits together"
  [[ $(wc -l <said) == 2 && ! -e results ]]
  printf '[variants.wrong]\nloss.vak = 1\n' >>sweep.toml
  exits 2 sweep sweep.toml --check
  says "star/full: fits together" "star/wrong: exit code 2" "unknown key 'loss.vak'"
  BOVILA=$PWD/nothing exits 2 sweep sweep.toml --check
  says "$PWD/nothing: No such file or directory"
}

# same_run ONE TWO: two output folders hold the same results and the same newest checkpoint.
same_run() {
  local name newest
  newest=$(ls "$1/checkpoints" | tail -1)
  for name in log.txt metrics.jsonl epoch0.json epoch1.json questions.jsonl \
    "checkpoints/$newest/state.h5"; do
    cmp "$1/$name" "$2/$name"
  done
}

# held_program NUMBER: bovila, held still (SIGSTOP) at the rename of that number in its folder when
# the file `hold` is there.
held_program() {
  cat >held <<END
#!/usr/bin/env bash
if [[ -e hold ]]; then
  export LD_PRELOAD=$bin/libfaults.so BOVILA_FAULTS_UNDER=$PWD/results
  export BOVILA_FAULTS='rename $1 hold'
fi
exec $bin/bovila "\$@"
END
  chmod +x held
  export BOVILA=$PWD/held
}
# held VARIANT: waits until its run is held; its process.
held() {
  local i process
  for ((i = 0; i < 1500; ++i)); do
    process=$(pgrep -f "^$bin/bovila decks/star.toml --output results/star/$1/") || true
    [[ -n $process && $(ps -o stat= -p "$process") == T* ]] && echo "$process" && return
    sleep 0.1
  done
  echo "$1 was not held" >&2
  return 1
}

test_stopped_and_killed_a_sweep_goes_on_to_the_bytes_of_runs_left_alone() {
  local point status=0
  job=none process=none
  trap 'kill -KILL $job $process 2>/dev/null || true' EXIT # when the test fails
  site
  exits 0 bovila decks/star.toml --set train.epochs=2 --output alone
  sed -i 's/^seeds = .*/seeds = [0]/; s/^train.epochs = 2/&\ncheckpoint.every_steps = 1/' sweep.toml
  point=$(points | grep full)
  held_program 7
  touch hold

  # Stopped: the runs save, and exit code 75 says to type it again.
  "$root/tools/sweep" sweep.toml --run --at-once 2 >out 2>&1 </dev/null &
  job=$!
  process="$(held full) $(held answers)"
  exits 2 sweep sweep.toml --run
  says "error: another tools/sweep --run is at work in results: wait for it, or stop it"
  exits 0 sweep sweep.toml --status
  says "running  $point  0 of 2 epochs" "2 running"
  kill -TERM $job
  sleep 1
  kill -CONT $process
  wait $job || status=$?
  [[ $status == 75 ]]
  cp out said
  says "star/answers/seed0" "$point: stopped after 0 epochs" "stopped: exit code 75, run me again"
  exits 0 sweep sweep.toml --status
  says "waiting  $point  0 of 2 epochs" "2 waiting"

  # Killed with all that it started.
  "$root/tools/sweep" sweep.toml --run --only 'star/full/*' >out 2>&1 </dev/null &
  job=$!
  process=$(held full)
  kill -KILL $job $process
  wait $job || true
  exits 0 sweep sweep.toml --status
  says "waiting  $point  "

  rm hold
  exits 0 sweep sweep.toml --run --only 'star/answers/*'
  says "0 of 1 point done, 1 to run"
  exits 0 sweep sweep.toml --run --at-once 2
  says "1 of 2 points done, 1 to run" "$point: done"
  grep -q "going on from results/$point/checkpoints/" "results/$point.log"
  exits 0 sweep sweep.toml --run
  says "2 of 2 points done, 0 to run"
  exits 0 sweep sweep.toml --status
  says "done     $point  2 epochs" "2 done"
  same_run alone "results/$point"
}

test_a_point_that_fails_stops_no_other_and_is_another_one_when_it_is_mended() {
  local failed
  site
  sed -i 's/^seeds = .*/seeds = [0]/' sweep.toml
  sed -i 's/^\[variants.answers\]/&\nloss.vak = 1/' sweep.toml
  failed=$(points | grep answers)
  exits 1 sweep sweep.toml --run
  says "$failed: failed with exit code 2: " "unknown key 'loss.vak'" \
    "all it said is in results/$failed.log" "star/full/seed0" ": done"
  exits 0 sweep sweep.toml --status
  says "failed   $failed  exit code 2: " "unknown key 'loss.vak'" "1 done, 1 failed"
  lacks "not in the file"
  sed -i '/vak/d' sweep.toml
  mkdir -p "results/$failed" # as a run that failed later leaves it
  exits 0 sweep sweep.toml --status
  says "waiting  star/answers/seed0" "1 done, 1 waiting" \
    "not in the file any more, left as they are: $failed"
  BOVILA=$PWD/nothing exits 1 sweep sweep.toml --run
  says "failed with exit code 127: error: $PWD/nothing: No such file or directory"
  exits 0 sweep sweep.toml --run
  exits 0 sweep sweep.toml --status
  says "2 done"
}

# What stands in for bovila stops itself at every start, as at a limit of its own: with a new
# checkpoint eight times, then it is done; or with none.
test_a_run_that_stops_itself_is_started_again_while_it_saves() {
  site
  cat >limited <<'END'
#!/usr/bin/env bash
echo start >>starts
[[ -e endless ]] && exit 75
folder=$3 number=$(wc -l <starts)
mkdir -p "$folder/checkpoints/step-0000000$number"
echo '{"epoch": 2}' >"$folder/checkpoints/step-0000000$number/progress.json"
echo '{}' >"$folder/checkpoints/step-0000000$number/manifest.json"
((number < 9)) && exit 75
printf '{"epoch": 0}\n{"epoch": 1}\n' >"$folder/log.txt"
END
  chmod +x limited
  BOVILA=$PWD/limited exits 0 sweep sweep.toml --run --only '*/full/seed0-*'
  says ": done"
  [[ $(wc -l <starts) == 9 ]]
  rm starts
  touch endless
  BOVILA=$PWD/limited exits 1 sweep sweep.toml --run --only '*/full/*'
  says "failed with exit code 75"
  [[ $(wc -l <starts) == 6 ]]
}

test_on_two_ranks_and_in_tensorboard_by_variant_and_seed() {
  site
  sed -i 's/^seeds/ranks = 2\n&/; s/^train.epochs = 2/train.epochs = 1/' sweep.toml
  exits 0 sweep sweep.toml --run --only '*/seed0-*'
  grep -q "2 ranks of" results/star/full/seed0-*.log
  points | grep seed0 >expected
  python3 - >found <<'END'
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
runs = EventMultiplexer().AddRunsFromDirectory("results")
runs.Reload()
print(*sorted(runs.Runs()), sep="\n")
END
  cmp <(sort expected) found
}

# written POINT EPOCHS ANSWERS...: what a finished run leaves of a table's interest; of each epoch
# the answers to six questions about three videos, a letter each; the right ones are ABABAB.
written() {
  python3 - "$@" <<'END'
import json, pathlib, sys
folder, epochs, answers = pathlib.Path("results", sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
checkpoint = folder / f"checkpoints/step-{epochs:08}"
checkpoint.mkdir(parents=True)
(checkpoint / "manifest.json").write_text("{}")
(checkpoint / "progress.json").write_text(json.dumps({"step": 1, "epoch": epochs}))
with open(folder / "log.txt", "w") as log:
    for epoch, letters in enumerate(answers):
        log.write(json.dumps({"epoch": epoch}) + "\n")
        rows = [{"vid": f"v{at // 2}", "qid": at, "qtype": 1 + at % 2, "pre": letter,
                 "ans": "ABABAB"[at], "u": 0.5} for at, letter in enumerate(letters)]
        (folder / f"epoch{epoch}.json").write_text(json.dumps(rows))
END
}

test_the_table_is_that_worked_out_by_hand() {
  local names
  site
  mapfile -t names < <(points)
  exits 2 sweep sweep.toml --table
  says "error: none of 4 points is done yet: tools/sweep sweep.toml --run runs them"
  written "${names[0]}" 2 AAAAAA BBBBBB   # answers, seed 0: 3, 3 right
  written "${names[1]}" 2 ABABAB BABABB   # answers, seed 1: 6, 1 right
  written "${names[2]}" 2 ABABAA ABABAB   # full, seed 0: 5, 6 right
  exits 0 sweep sweep.toml --table csv
  says "note: 3 of 4 points done, the table is of these"
  grep -v '^note' said >table.csv
  python3 - <<'END'
import csv
rows = {(r["epoch"], r["questions_of"], r["variant"]): r for r in csv.DictReader(open("table.csv"))}
def check(key, **expected):
    for name, value in expected.items():
        got = rows[key][name]
        right = got == value if isinstance(value, str) else abs(float(got) - value) < 1e-6
        assert right, (key, name, got, value)
assert len(rows) == 2 * 3 * 2 and all(r["deck"] == "star" for r in rows.values())
# Last epoch: 3/6 and 1/6; by question the means over seeds are 0 1/2 0 1/2 0 1, by video 1/2 1/2 1.
check(("last", "all", "answers"), seeds="2", questions="6", videos="3", accuracy=1 / 3,
      sd=(1 / 18) ** 0.5, se=(3 / 2 * 2 * (1 / 36 + 1 / 36 + 1 / 9) / 2) ** 0.5 / 6, difference="",
      low="", p="", compared_with="")
# Seed 0 alone is shared: full has 6 of 6, answers 3 of 6, in each video one more of two.
check(("last", "all", "full"), seeds="1", accuracy=1, sd="", se=0, difference=0.5, low=0.5,
      high=0.5, compared_with="answers")
assert 0.2 < float(rows["last", "all", "full"]["p"]) < 0.3  # all three signs alike: 2 of 8
check(("last", "Interaction", "answers"), questions="3", videos="3", accuracy=0, difference="")
check(("last", "Interaction", "full"), accuracy=1, difference=1)
check(("last", "Sequence", "full"), accuracy=1, difference=0, p=1)
# Best epoch: the first of equals of seed 0, the first of seed 1, the second of full.
check(("best", "all", "answers"), accuracy=9 / 12)
check(("best", "Interaction", "answers"), accuracy=1)
check(("best", "all", "full"), accuracy=1, difference=0.5)
check(("best", "Interaction", "full"), difference=0)
check(("best", "Sequence", "full"), difference=1)
END
  exits 0 sweep sweep.toml --table
  says "star, after the last epoch: 6 questions about 3 videos" \
    "star, after each run's best epoch (highest accuracy on these questions, the earliest of" \
    "| questions | variant | seeds | accuracy, % | SD | SE | minus answers | 95 % interval | p |" \
    "| all | answers | 2 | 33.3 | 23.6 | " \
    "| all | full | 1 | 100.0 | - | 0.0 | +50.0 | +50.0 to +50.0 | 0.2" \
    "SD: over seeds. SE: of the mean over seeds, clustered by video."
  cp said first
  exits 0 sweep sweep.toml --table
  cmp first said # the resampling is the same each time
  exits 0 sweep sweep.toml --table latex
  says '\begin{tabular}{llrrrrrrr}' 'all & answers & 2 & 33.3 & 23.6 & ' \
    ' & 95 \% interval & p \\' \
    '\caption{star, after the last epoch: 6 questions about 3 videos. '
}

test_what_cannot_be_in_one_table_is_refused() {
  local names
  site
  mapfile -t names < <(points)
  written "${names[0]}" 2 AAAAAA BBBBBB
  written "${names[2]}" 2 ABABAA ABABAB
  sed -i 's/"v2"/"v3"/' "results/${names[2]}/epoch0.json"
  exits 2 sweep sweep.toml --table
  says "error: results/${names[2]}: its questions are not those of the other points of decks/"
  exits 0 sweep sweep.toml --table --only "*/answers/*"
  sed -i 's/, "ans": "."//g' "results/${names[0]}/epoch1.json"
  exits 2 sweep sweep.toml --table --only "*/answers/*"
  says "epoch1.json: the split hides its answers, so there is no accuracy"
  rm "results/${names[0]}/epoch1.json"
  exits 2 sweep sweep.toml --table --only "*/answers/*"
  says "epoch1.json is not there: expected the predictions of every epoch"
  exits 2 sweep sweep.toml --table pdf
  says "invalid choice: 'pdf'"
}

test_the_statistics_are_those_of_scipy_and_statsmodels() {
  exits 0 python3 "$root/tests/tools/check_statistics.py"
}

test_the_sweeps_that_are_here_are_valid_and_their_decks_take_every_variant() {
  exits 0 env -C "$root" tools/sweep input/sweeps/ablation.toml --list
  [[ $(grep -c '^[a-z]' said) == 75 ]]
  mkdir -p output
  ln -s "$root/input" input
  exits 0 "$bin/pth2h5" input/demo/data/star/clipvitl14.pth output/demo/features
  exits 0 sweep input/sweeps/luck.toml --check
  exits 0 sweep input/sweeps/demo.toml --check
  [[ $(grep -c ": fits together" said) == 5 ]]
}

run_tests sweep
