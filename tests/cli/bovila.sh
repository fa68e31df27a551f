#!/usr/bin/env bash
# Runs of bovila on the golden folder's STAR: files, resuming, reproducibility, and how runs end that
# go wrong on one rank.
. "$(dirname "$0")/helpers.bash"

# train OUT [ARGUMENT...]: one run of two epochs without mpirun into the folder OUT.
train() {
  local out=$1
  shift
  exits 0 bovila "${deck[@]}" --output "$out" "$@"
}

test_a_run_leaves_the_files_of_the_published_code() {
  inputs star
  exits 0 ranks 2 "${deck[@]}"
  holds "load('out/config.json')['train']['epochs'] == 2"
  holds "load('out/config.json')['data']['dataset'] == 'star'"
  exits 0 bovila --build-info
  holds "all(f'  {k}' in open('said').read() and v in open('said').read()
             for k, v in load('out/build.json').items())"
  holds "load('out/build.json') == load('out/checkpoints/step-00000006/build.json')"
  holds "[r['epoch'] for r in lines('out/log.txt')] == [0, 1]"
  holds "all({'train_loss', 'train_loss_edl_mse', 'train_loss_edl_reg', 'train_loss_vaq',
              'train_loss_aqa', 'train_lr', 'val_acc'} <= r.keys() for r in lines('out/log.txt'))"
  local epoch
  for epoch in 0 1; do
    holds "[q['qid'] for q in load('out/epoch$epoch.json')] == list(range(12))"
    holds "all({'vid', 'qid', 'qtype', 'pre', 'ans', 'u'} <= q.keys()
               and q['pre'] in 'ABCD' and q['ans'] in 'ABCD' and q['qtype'] in (1, 2, 3, 4)
               and 0 < q['u'] < 1 for q in load('out/epoch$epoch.json'))"
    holds "abs(lines('out/log.txt')[$epoch]['val_acc']
               - sum(q['pre'] == q['ans'] for q in load('out/epoch$epoch.json')) / 12) < 1e-9"
  done
}

test_a_run_shows_its_deck_its_progress_and_its_accuracy() {
  inputs star
  exits 0 ranks 2 "${deck[@]}"
  says_once "2 ranks of"
  says_once "$deck: star, results go to $PWD/out, all settings are in its config.json"
  says_once "11 keys are not at their defaults"
  says_once "2 epochs of 3 steps of 8 questions, the learning rate rises to 0.01"
  says_once "train: 1 video has no features, zeros stand for it: S3"
  says_once "epoch 1 step 1 (8 of 24 questions), loss "
  says "loss_vaq" "loss_aqa" "lr " "gradient norm" "questions/s, ETA"
  says_once "epoch 2 done: mean loss"
  says "accuracy" "(In "
  # What was read is in the folder, whole; what is said before the first step is short.
  holds "load('out/config.json')['train']['lr'] == 0.01 and load('out/config.json')['data']['dataset'] == 'star'"
  (($(grep -n "epoch 1 step 1" said | cut -d: -f1) <= 12))
}

# next_command: the last line of `last`, typed with a question in the place of its words.
next_command() {
  local command
  command=$(sed -n '$s/.*; \(bovila answer .*\)/\1/p' last | sed 's/NAME/S0/; s/TEXT/x/g')
  exits 0 eval "$command"
  says '"answer":'
}

test_a_run_ends_with_where_its_results_are_how_good_they_are_and_what_to_type_next() {
  inputs star
  cp "$deck" "my deck.toml"
  deck[0]="my deck.toml"
  exits 0 bovila "${deck[@]}"
  tail -3 said >last
  grep -qF "results are in $PWD/out: log.txt (a line an epoch), metrics.jsonl (a line a step), questions.jsonl, checkpoints/step-00000012" <(sed -n 1p last)
  grep -qE 'accuracy [0-9.]+ % of 12 questions \(In ' <(sed -n 2p last)
  grep -qF "next: tools/report $PWD/out (a page for a browser); bovila answer 'my deck.toml' --set" <(sed -n 3p last)
  next_command
  says "answering with $PWD/out/checkpoints/step-00000012"
  exits 0 bovila "${deck[@]}" --eval
  grep -qF "results are in $PWD/out: eval.json, questions.jsonl" <(tail -3 said | sed -n 1p)
  tail -1 said >last
  next_command
  exits 0 bovila "${deck[@]}" --eval --output untrained
  grep -q "(a page for a browser)\$" <(tail -1 said)
  exits 0 bovila "${deck[@]}" --eval --resume out/checkpoints/step-00000006 --output scored
  tail -1 said >last
  next_command
  says "answering with out/checkpoints/step-00000006"
}

test_the_few_settings_beside_the_defaults_are_named() {
  inputs star
  deck=("$root/input/star.toml" --set "model.llama=$mini/llama/mini" --set "data.folder=$mini/data/star"
    --set "data.features=$(features star)" --set "output.folder=$PWD/out")
  exits 0 bovila "${deck[@]}" --eval --set model.max_seq_len=256
  says_once "settings beside the defaults: model.precision = \"bf16\", model.max_seq_len = 256, train.accum_iter = 2"
}

test_resume_with_eval_scores_what_the_run_recorded() {
  inputs star
  deck+=(--set run.threads_per_rank=1) # products may depend on the number of threads
  train out
  exits 0 ranks 2 "${deck[@]}" --resume out --eval --output again
  cmp out/epoch1.json again/eval.json
  exits 0 bovila "${deck[@]}" --resume out/checkpoints/step-00000006 --eval --output first
  cmp out/epoch0.json first/eval.json
  [[ ! -e again/log.txt ]]
}

test_eval_without_a_checkpoint_scores_the_start_values() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --eval
  says_once "the output folder has no checkpoint: untrained start values are scored"
  says "accuracy"
  holds "len(load('out/eval.json')) == 12"
  [[ ! -e out/checkpoints ]]
}

test_the_same_seed_gives_the_same_bytes_another_seed_others() {
  inputs star
  train one
  train two
  cmp one/log.txt two/log.txt
  cmp one/epoch1.json two/epoch1.json
  cmp one/checkpoints/step-00000012/state.h5 two/checkpoints/step-00000012/state.h5
  train three --set train.seed=1
  ! cmp -s one/log.txt three/log.txt
}

test_the_same_seed_gives_the_same_bytes_on_two_ranks() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --output one
  exits 0 ranks 2 "${deck[@]}" --output two
  cmp one/log.txt two/log.txt
  cmp one/checkpoints/step-00000006/state.h5 two/checkpoints/step-00000006/state.h5
}

test_going_on_from_the_first_epoch_gives_the_second_bit_for_bit() {
  inputs star
  train out
  exits 0 bovila "${deck[@]}" --resume out/checkpoints/step-00000006 --output on
  says "going on from out/checkpoints/step-00000006"
  cmp <(tail -1 out/log.txt) on/log.txt
  cmp out/checkpoints/step-00000012/state.h5 on/checkpoints/step-00000012/state.h5
}

test_two_ranks_are_one_rank_with_twice_the_micro_batches() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --output two --set train.batch_size=2
  train one --set train.batch_size=2 --set train.accum_iter=2
  holds "all(abs(a[k] - b[k]) <= 1e-4 * max(abs(a[k]), 1e-3)
             for a, b in zip(lines('one/log.txt'), lines('two/log.txt')) for k in a)"
  holds "[q['pre'] for q in load('one/epoch1.json')] == [q['pre'] for q in load('two/epoch1.json')]"
}

test_an_epoch_that_no_step_divides_is_trained_to_its_end() {
  inputs star
  # 24 questions: a step of 3 ranks takes 15, the last one 9, in micro-batches of 9 and 0.
  exits 0 ranks 3 "${deck[@]}" --set train.batch_size=5 --set train.epochs=1
  says "(24 of 24 questions)"
}

test_precision_auto_is_measured_and_settled_before_it_is_kept() {
  inputs star
  train out --set model.precision=auto
  local chosen other
  chosen=$(grep -oP 'model.precision is \K(fp32|bf16)(?=: products run at \d+ GFLOP/s in fp32, \d+ in bf16)' said)
  [[ $chosen == fp32 ]] && other=bf16 || other=fp32
  holds "load('out/config.json')['model']['precision'] == '$chosen'"
  exits 2 bovila "${deck[@]}" --output out --set "model.precision=$other" --set train.epochs=3
  says "model.precision: '$chosen' in the checkpoint, '$other' now"
  exits 0 bovila "${deck[@]}" --output out --set model.precision=auto --set train.epochs=3
  says_once "going on from"
  [[ -z $(grep "products run at" said) ]] # that could come out otherwise each time
}

test_bf16_runs_and_stays_near_fp32() {
  inputs star
  train wide
  exits 0 ranks 2 "${deck[@]}" --output narrow --set model.precision=bf16
  train narrow1 --set model.precision=bf16
  holds "abs(lines('wide/log.txt')[0]['train_loss'] - lines('narrow1/log.txt')[0]['train_loss']) < 0.1"
}

test_fp16_runs_with_a_loss_scale_that_checkpoints_keep() {
  inputs star
  train half --set model.precision=fp16
  train wide
  holds "abs(lines('wide/log.txt')[0]['train_loss'] - lines('half/log.txt')[0]['train_loss']) < 0.1"
  holds "load('half/checkpoints/step-00000012/progress.json')['loss_scale'] >= 1024"
  holds "load('half/checkpoints/step-00000012/progress.json')['loss_scale_good_steps'] > 0"
  holds "load('wide/checkpoints/step-00000012/progress.json')['loss_scale'] == 1"
}

test_recomputed_activations_give_the_same_bits() {
  inputs star
  train kept
  train again --set model.recompute_activations=true
  cmp kept/log.txt again/log.txt
  cmp kept/checkpoints/step-00000012/state.h5 again/checkpoints/step-00000012/state.h5
}

test_a_run_says_where_its_ranks_are() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --set run.threads_per_rank=1
  says_once "$(bovila --version): 2 ranks of 1 thread on the CPU, host $(hostname)"
  says "$(hostname), core"
}

test_ranks_that_share_cores_are_a_warning() {
  local core
  inputs star
  core=$(grep -oP '^Cpus_allowed_list:\t\K[0-9]+' /proc/self/status)
  exits 0 taskset -c "$core" mpirun --bind-to none -np 2 "$bin/bovila" "${deck[@]}" --eval
  says_once "ranks 0-1: $(hostname), core $core"
  says_once "warning: host $(hostname): ranks 0-1 compute with 2 threads on 1 core ($core)"
  exits 0 taskset -c "$core" mpirun --bind-to none -np 2 "$bin/bovila" --self-check
  says_once "warning: host $(hostname): ranks 0-1 compute with 2 threads on 1 core ($core)"
  exits 0 taskset -c "$core" "$bin/bovila" "${deck[@]}" --eval --output alone
  ! grep -q " compute with " said
}

test_the_version_is_told_without_a_deck_and_without_mpi() {
  exits 0 bovila --version
  grep -qE "^bovila [0-9]+\.[0-9]+\.[0-9]+ \(git [0-9a-z-]+\)$" said
  exits 0 bovila --build-info
  says_once "$(bovila --version)"
  says "LibTorch" "CUDA" "NCCL" "MPI" "HDF5" "compiler"
}

test_a_gpu_that_is_not_there_is_an_error_of_all_ranks_with_exit_code_2() {
  local start=$SECONDS
  ln -s "$root/input" input
  "$bin/pth2h5" input/demo/data/star/clipvitl14.pth output/demo/features >/dev/null 2>&1
  exits 2 env CUDA_VISIBLE_DEVICES= "$MPIRUN" -np 2 "$bin/bovila" input/demo.toml \
    --set run.device="cuda"
  says_once "error: "
  says_once 'run.device = "cuda", but no rank sees a CUDA device ('
  says_once "has 0 CUDA devices for 2 ranks"
  ((SECONDS - start < 60)) # nobody waited for the collectives' limit, half an hour
}

test_the_program_is_linked_with_cuda_and_nccl() {
  exits 0 ldd "$bin/bovila"
  says "libnccl.so.2 => /" "libcudart.so" "libc10_cuda.so => /"
  ! grep -q libtorch_cuda said # the kernels: loaded where there is a GPU
}

test_self_check_needs_no_deck_and_passes_on_one_rank_and_several() {
  exits 0 bovila --self-check
  says_once "self-check passed"
  says_once "one rank has nobody to talk to: for bandwidths start more"
  ! grep -F "GB/s" said
  exits 0 ranks 3 --self-check
  says_once "self-check passed"
  exits 2 bovila
  says "DECK is required"
}

test_memory_is_reported_for_each_rank_once_an_epoch() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1
  says_once "memory of rank 0: host "
  says_once "memory of rank 1: host "
}

test_over_long_questions_stop_a_run_or_are_left_out_as_the_deck_says() {
  inputs star
  exits 2 ranks 2 "${deck[@]}" --set model.max_seq_len=80
  says_once "prompts longer than model.max_seq_len, the longest is question"
  exits 0 ranks 2 "${deck[@]}" --set model.max_seq_len=80 --set data.over_long=skip
  says_once "they are not trained on; model.max_seq_len = "
  says "longer than model.max_seq_len, scored whole"
  holds "len(load('out/epoch1.json')) == 12"
}

test_a_checkpoint_that_is_not_there_or_of_another_model_is_refused() {
  inputs star
  exits 2 ranks 2 "${deck[@]}" --resume nowhere --eval
  says "nowhere"
  train out --set model.max_feats=5
  exits 2 ranks 2 "${deck[@]}" --resume out --eval --output other
  says_once "  model.max_feats: 5 in the checkpoint, 6 now"
  exits 2 ranks 2 "${deck[@]}" --resume out --eval --output other --despite-differences
  says_once "the parameter 'temporal_emb.weight' has shape [5, 48], this model's has [6, 48]"
}

test_a_damaged_checkpoint_is_passed_over_for_the_one_before() {
  inputs star
  train out
  truncate -s -1 out/checkpoints/step-00000012/state.h5
  exits 0 bovila "${deck[@]}" --resume out --eval --output again
  cmp out/epoch0.json again/eval.json
}

test_a_loss_that_is_not_finite_ends_all_ranks_with_exit_code_1() {
  inputs star
  # A rank that was left alone would wait longer than `ranks` lets it.
  exits 1 ranks 2 "${deck[@]}" --set train.lr=100 --set train.weight_decay=0 \
    --set train.warmup_epochs=0 --set loss.train_scale_proj=true \
    --set run.collective_timeout_s=600
  says_once "training stopped on all ranks before the update"
}

# spoil FOLDER: the checkpoint's values of -123.45678 become NaN, and its manifest right again.
spoil() {
  python3 - "$1" <<'END'
import hashlib, json, struct, sys
folder = sys.argv[1]
data = open(folder + '/state.h5', 'rb').read()
spoilt = data.replace(struct.pack('<f', -123.45678), struct.pack('<f', float('nan')))
assert spoilt != data
open(folder + '/state.h5', 'wb').write(spoilt)
manifest = json.load(open(folder + '/manifest.json'))
manifest['files']['state.h5']['sha256'] = hashlib.sha256(spoilt).hexdigest()
json.dump(manifest, open(folder + '/manifest.json', 'w'))
END
}

test_parameters_that_are_not_finite_are_neither_scored_nor_trained_on() {
  inputs star
  deck+=(--set model.attention_bias=123.45678 --set train.lr=1e-30 --set train.weight_decay=0)
  train out
  spoil out/checkpoints/step-00000006
  local eval
  for eval in "" --eval; do
    exits 2 ranks 2 "${deck[@]}" --resume out/checkpoints/step-00000006 --output other $eval
    says_once "the checkpoint of step 6 holds numbers that are not finite, "
    says_once "of the parameter 'layers.0.attention.gate2': its run had diverged. Name an earlier one"
    ! grep -q "lr may help" said
  done
  exits 2 bovila answer "${deck[@]}" --resume out/checkpoints/step-00000006 </dev/null
  says_once "the checkpoint of step 6 holds numbers that are not finite"
  exits 0 "$bin/ckpt2pth" out/checkpoints/step-00000006 spoilt.pth
  exits 2 bovila "${deck[@]}" --eval --resume spoilt.pth --output other
  says_once "spoilt.pth: the parameter 'layers.0.attention.gate2' holds numbers that are not finite"
  [[ ! -e other/eval.json && ! -e other/log.txt && ! -e other/checkpoints ]]
}

test_weights_that_are_not_finite_are_named_and_no_smaller_rate_is_recommended() {
  inputs star
  cp -r "$mini/llama" .
  python3 - "$mini/llama/mini/consolidated.00.pth" llama/mini/consolidated.00.pth <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as whole, zipfile.ZipFile(sys.argv[2], 'w') as spoilt:
    for name in whole.namelist():
        data = whole.read(name)
        if name.endswith('/data/1'): data = b'\x00\x00\xc0\x7f' + data[4:]  # a NaN
        spoilt.writestr(name, data)
END
  deck+=(--set model.llama=llama/mini)
  exits 1 ranks 2 "${deck[@]}"
  says_once "training stopped on all ranks before the update"
  says_once "The files of model.llama hold it: "
  exits 1 ranks 2 "${deck[@]}" --eval
  says_once "whose score is not finite. The files of model.llama hold it: "
  ! grep -q "smaller lr" said
}

test_a_damaged_frame_ends_all_ranks_with_exit_code_2() {
  inputs star
  cp -r "$(features star)" features
  python3 - features/shard-00000.h5 <<'END'
import sys
data = bytearray(open(sys.argv[1], 'rb').read())
middle = len(data) // 2
for i in range(middle - 20000, middle + 20000, 500): data[i] ^= 1
open(sys.argv[1], 'wb').write(data)
END
  exits 2 ranks 2 "${deck[@]}" --set data.features=features
  says "is damaged (its checksum is wrong)"
}

test_an_output_folder_that_cannot_be_made_is_refused() {
  inputs star
  echo >file
  exits 2 ranks 2 "${deck[@]}" --output file/out
  says_once "cannot be a folder"
}

test_when_a_rank_is_killed_the_job_ends() {
  inputs star
  # A rank that was left alone would wait for the others for ten minutes.
  "$MPIRUN" -np 2 "$bin/bovila" "${deck[@]}" --set train.epochs=100000 \
    --set run.collective_timeout_s=600 >said 2>&1 &
  local job=$! victim start
  for ((i = 0; i < 600; ++i)); do
    grep -q "epoch 2 done" said && break
    sleep 0.1
  done
  says "epoch 2 done"
  victim=$(rank_pids | tail -1)
  start=$SECONDS
  kill -9 "$victim"
  if wait "$job"; then return 1; fi
  ((SECONDS - start < 120))
  [[ -z $(rank_pids) ]]
  exits 0 bovila "${deck[@]}" --resume out --eval --output again
}

test_a_value_that_is_missing_or_empty_is_refused_by_every_option_of_every_program() {
  inputs star
  local option program
  for option in --output --resume --set; do
    for value in "" "=" --eval; do
      if [[ $value == "=" ]]; then set -- "$option="; else set -- "$option" "$value"; fi
      exits 2 bovila "$@" "${deck[@]}"
      says "$option" "expected a value, got"
    done
  done
  for option in --set --resume --features --abstain --option --video --question --start --end \
    --dialogue; do
    exits 2 bovila answer "${deck[@]}" $option ""
    says "$option: expected a value, got an empty one (a variable that is not set?)"
  done
  exits 2 bovila ""
  says "DECK: expected a value"
  exits 2 bovila "${deck[@]}" --set output.folder=
  says "output.folder: expected a string (folder), got string"
  while read -r program option; do
    exits 2 "$bin/$program" a b "$option" ""
    says "$option: expected a value, got an empty one"
    exits 2 "$bin/$program" a "" --force
    exits 2 "$bin/$program" "" b --force
  done <<<$'pth2h5 --verify\npth2h5 --list\nllama2bovila --tokenizer\nllama2bovila --precision'
  exits 2 "$bin/ckpt2pth" out ""
  says "FILE: expected a value"
  [[ -z $(ls -A | grep -vx said) ]]
}

test_a_setting_and_the_deck_stand_in_any_order() {
  inputs star
  exits 0 bovila --set train.epochs=1 "${deck[@]}" --check
  exits 2 bovila "${deck[@]}" --set train.epochs=1 train.lr=1 --check
  says "The following argument was not expected: train.lr=1"
}

run_tests bovila
