#!/usr/bin/env bash
# Where the time went: rows of timing.jsonl, and what ledger.jsonl adds up to over starts that were
# killed, stopped and queued.
. "$(dirname "$0")/helpers.bash"

# parts EXPRESSION: true of `p`, the seconds by part of out/ledger.jsonl, and `t`, the sentence.
parts() {
  PYTHONPATH=$root/tools python3 - "$1" <<'END'
import json, sys
import run_ledger
rows = [json.loads(line) for line in open("out/ledger.jsonl")]
p, t = run_ledger.parts(rows), run_ledger.text(rows)
if not eval(sys.argv[1]):
    print("does not hold:", sys.argv[1], p, t)
    sys.exit(1)
END
}

row() { printf '{"time":%s,"doing":"%s"%s}\n' "$1" "$2" "${3:+,$3}" >>out/ledger.jsonl; }

test_parts_of_a_run_that_was_queued_killed_and_resumed() {
  mkdir out
  row 100 loading '"job":"17","queued_since":40'
  row 110 training '"step":0'
  row 150 saving '"step":4'
  row 151 training '"step":4'
  row 180 training '"step":4' # a tick, and then it is killed
  row 200 loading '"job":"17"'
  row 205 training '"step":4'
  row 245 evaluating '"step":8'
  row 255 saving '"step":8'
  row 256 ended '"step":8'
  row 300 loading '"job":"17","queued_since":260'
  row 310 training '"step":8'
  row 320 ended '"step":9'
  parts "p == {'queued': 100, 'loading': 25, 'training': 90, 'saving': 2, 'lost': 29, 'evaluating': 10, 'standing still': 24}"
  parts "sum(p.values()) == 320 - 40"
  parts "t == 'of 4.7 min, 1.5 min trained; evaluating 10 s, saving 2 s, loading 25 s, lost 29 s, queued 1.7 min, standing still 24 s'"
}

test_without_a_checkpoint_all_is_lost_and_a_spoilt_file_is_no_error() {
  mkdir out
  row 0 loading
  row 5 training '"step":0'
  row 25 training '"step":0'
  row 25 loading
  row 30 training '"step":0'
  row 50 ended '"step":3'
  parts "p['lost'] == 20 and p['training'] == 20"
  printf '{"time":' >out/ledger.jsonl
  PYTHONPATH=$root/tools python3 -c "
import run_folder, run_ledger, pathlib
run = run_folder.Run(pathlib.Path('out'))
assert run_ledger.text(run_folder.read_ledger(run)) == ''
assert run_ledger.text([{'time': 1, 'doing': 'loading'}]) == ''
assert run_ledger.text([{'doing': 'loading'}, {'time': 'x', 'doing': 3}]) == ''"
}

test_the_parts_add_up_to_the_wall_time_within_2_percent() {
  inputs star
  local begin end i
  begin=$(date +%s.%N)
  "$bin/bovila" "${deck[@]}" --set train.epochs=100000 --set checkpoint.every_steps=50 >said 2>&1 &
  for ((i = 0; i < 1200; ++i)); do grep -q "epoch 60 step" said && break || sleep 0.1; done
  kill -KILL $!
  wait $! || true
  sleep 4
  BOVILA_QUEUED_SINCE=$(($(date +%s) - 1)) exits 75 bovila "${deck[@]}" --set train.epochs=100000 \
    --set run.time_limit_minutes=0.2 --set run.stop_before_limit_s=0
  exits 75 bovila "${deck[@]}" --set train.epochs=100000 \
    --set run.time_limit_minutes=0.1 --set run.stop_before_limit_s=0
  end=$(date +%s.%N)
  parts "abs(sum(p.values()) - ($end - $begin)) <= 0.02 * ($end - $begin)"
  parts "p['queued'] >= 0.5 and p['standing still'] > 1 and p['training'] > 0 and p['evaluating'] > 0"
  parts "p['loading'] > 0 and p['saving'] > 0 and 0 <= p['lost'] < 15"
  exits 0 "$root/tools/report" out
  grep -qE "<dt>Time<dd>of [0-9.]+ (s|min), [0-9.]+ (s|min) trained; evaluating " out/report.html
}

test_a_step_s_seconds_and_the_slowest_rank_are_told() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set checkpoint.every_steps=1
  holds "all(r['data_s'] + r['compute_s'] + r['others_s'] + r['update_s'] <= m['questions'] / r['questions_per_s'] + 0.01
      for r, m in zip(lines('out/timing.jsonl'), lines('out/metrics.jsonl')))"
  holds "all(r[k] > 0 for r in lines('out/timing.jsonl') for k in ('compute_s', 'update_s', 'tokens_per_s'))"
  holds "all(r['slowest'] in ('rank 0 on $(hostname)', 'rank 1 on $(hostname)') for r in lines('out/timing.jsonl'))"
  holds "all(r['slowest_s'] >= r['fastest_s'] > 0 for r in lines('out/timing.jsonl'))"
  holds "any(r['checkpoint_s'] > 0 for r in lines('out/timing.jsonl'))"
  holds "not any('share_of_peak' in r for r in lines('out/timing.jsonl'))"
  exits 0 ranks 2 "${deck[@]}" --set run.peak_tflops=0.001 --fresh
  holds "all(0 < r['share_of_peak'] < 1000 for r in lines('out/timing.jsonl'))"
  exits 0 "$root/tools/report" out
  grep -qE "<dt>Share of the peak<dd>[0-9.]+ % of run.peak_tflops" out/report.html
  PYTHONPATH=$root/tools python3 -c "
from run_ledger import share_of_peak, slow_rank
assert share_of_peak([{'share_of_peak': s} for s in (.5, .25, .1)] + [{}]) == '25.0 % of run.peak_tflops'
assert share_of_peak([{}]) == ''
rows = [{'slowest': 'rank 1 on n0', 'slowest_s': 1.5, 'fastest': 'rank 0 on n0', 'fastest_s': 1.0}] * 9
even = [{'slowest': 'rank 0 on n0', 'slowest_s': 1.0, 'fastest': 'rank 1 on n0', 'fastest_s': 1.0}]
assert slow_rank(rows + even) == 'rank 1 on n0, the slowest in 90 % of the steps: 50 % more time than the fastest'
assert slow_rank(rows + 9 * even) == '' and slow_rank(10 * even) == '' and slow_rank([{}]) == ''"
}

test_fresh_takes_the_ledger_along() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --fresh
  [[ -s out/previous-1/ledger.jsonl && $(grep -c loading out/ledger.jsonl) == 1 ]]
}

run_tests ledger
