#!/usr/bin/env bash
# Numbers that are not finite: agreed by all ranks, named, and stopped for or skipped as the deck
# says, to the same bits whatever stops come between.
. "$(dirname "$0")/helpers.bash"

# spoilt QUESTIONS: sets `deck` to STAR with values in the video S1 that are finite in the file and
# no longer after the projection; so many training questions (the first ones of the file) ask
# about it, and no question that is scored.
spoilt() {
  inputs star
  cp -r "$mini/data/star" data
  python3 - "$1" <<'END'
import json, struct, sys, zipfile
for split, keep in (('train', int(sys.argv[1])), ('val', 0)):
    questions = json.load(open(f'data/STAR_{split}.json'))
    for question in questions:
        keep -= question['video_id'] == 'S1'
        if question['video_id'] == 'S1' and keep < 0:
            question['video_id'] = 'S0'
    json.dump(questions, open(f'data/STAR_{split}.json', 'w'))
whole = zipfile.ZipFile('data/clipvitl14.pth')
with zipfile.ZipFile('data/spoilt.pth', 'w') as spoilt:  # stored, as torch.save does
    for name in whole.namelist():
        data = whole.read(name)
        if name.endswith('/data/1'):
            data = struct.pack('<f', 3e38) * (len(data) // 4)
        spoilt.writestr(name, data)
END
  "$bin/pth2h5" data/spoilt.pth "$PWD/features" --shards 1 >/dev/null 2>&1
  deck+=(--set data.folder=data --set data.features=features --set train.batch_size=1
    --set checkpoint.every_steps=1 --set checkpoint.keep=99)
}

# The rows of metrics.jsonl: JSON without NaN.
strict="[json.loads(line, parse_constant=lambda name: 1 / 0) for line in open('out/metrics.jsonl')]"

test_a_nan_on_one_rank_of_three_stops_all_and_names_the_question() {
  spoilt 1
  # A rank that was left alone would wait longer than `ranks` lets it.
  exits 1 ranks 3 "${deck[@]}" --set run.collective_timeout_s=600
  says_once "is nan (from questions Feasibility_T1_1): training stopped on all ranks before the"
  # The state before that step is there, and the bad step is in no file.
  local step=$(sed -n 's/.*error: step \([0-9]*\): .*/\1/p' said)
  ((step > 1))
  [[ $(ls out/checkpoints | tail -1) == $(printf 'step-%08d' $((step - 1))) ]]
  holds "[r['step'] for r in $strict] == list(range(1, $step))"
}

test_a_nan_on_a_full_disk_says_that_what_was_trained_is_not_on_it() {
  spoilt 1
  exits 1 env LD_PRELOAD="$bin/libfaults.so" BOVILA_FAULTS_UNDER="$PWD/out/checkpoints" \
    BOVILA_FAULTS="write 1+ full" timeout 300 "$MPIRUN" -np 3 "$bin/bovila" "${deck[@]}"
  says_once "training stopped on all ranks before the update"
  says_once "leaves such steps out. NOT ON THE DISK: the state after step "
  says "$PWD/out/checkpoints has no whole checkpoint"
}

test_skipped_steps_are_rows_that_say_so_and_stops_between_them_change_no_bit() {
  spoilt 2
  exits 0 ranks 3 "${deck[@]}" --set train.non_finite=skip
  says "is nan (from questions Feasibility_T1_1): no update, 1 skipped in a row"
  says "is nan (from questions Interaction_T2_5): no update, 1 skipped in a row"
  holds "[r['step'] for r in $strict] == list(range(1, 17))"
  holds "[sum(r.get('skipped', False) for r in $strict if r['epoch'] == e)
          for e in (0, 1)] == [r['train_skipped_steps'] for r in lines('out/log.txt')] == [2, 1]"
  holds "all(r['loss'] is None for r in $strict if r.get('skipped'))"
  holds "all(r['loss'] > 0 for r in $strict if not r.get('skipped'))"
  holds "all(0 < r['train_loss'] < 1e3 for r in lines('out/log.txt'))"
  # On from right after a skipped step.
  local step=$(python3 -c "import json
print(next(r['step'] for r in map(json.loads, open('out/metrics.jsonl')) if r.get('skipped')))")
  holds "load('out/checkpoints/step-%08d/progress.json' % $step)['skipped_in_a_row'] == 1"
  exits 0 ranks 3 "${deck[@]}" --set train.non_finite=skip --output on \
    --resume "out/checkpoints/step-$(printf %08d "$step")"
  cmp out/log.txt on/log.txt
  cmp out/checkpoints/step-00000016/state.h5 on/checkpoints/step-00000016/state.h5
  # Stopped for by the deck, then told to skip.
  exits 1 ranks 3 "${deck[@]}" --output stopped
  exits 0 ranks 3 "${deck[@]}" --output stopped --set train.non_finite=skip
  says_once "changed since the checkpoint: train.non_finite: 'stop' in the checkpoint, 'skip' now"
  local name
  for name in log.txt metrics.jsonl epoch1.json checkpoints/step-00000016/state.h5; do
    cmp "out/$name" "stopped/$name"
  done
}

test_too_many_skipped_in_a_row_stop_all_ranks_with_the_last_good_parameters_saved() {
  spoilt 6
  deck+=(--set train.non_finite=skip --set train.max_skipped_steps=2 --set train.batch_size=8)
  exits 1 ranks 2 "${deck[@]}"
  says "no update, 1 skipped in a row" "no update, 2 skipped in a row"
  says_once "training stopped on all ranks before the update, 2 were skipped in a row"
  holds "load('out/checkpoints/step-00000002/progress.json')['skipped_in_a_row'] == 2"
  holds "[r['skipped'] for r in $strict] == [True, True]"
  exits 1 ranks 2 "${deck[@]}"
  ! grep -q "skipped in a row$" said
  exits 0 ranks 2 "${deck[@]}" --set train.max_skipped_steps=9
}

test_clipping_bounds_the_update_and_is_off_by_default() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --output plain
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --set train.clip_norm=1e9 --output loose
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --set train.clip_norm=1e-3 --output tight
  cmp plain/metrics.jsonl loose/metrics.jsonl
  holds "lines('plain/metrics.jsonl')[0] == lines('tight/metrics.jsonl')[0]"
  holds "lines('plain/metrics.jsonl')[2]['loss'] != lines('tight/metrics.jsonl')[2]['loss']"
}

run_tests numbers
