#!/usr/bin/env bash
# bovila's command line, its decks, and --check: what is refused before anything is computed, with
# which words and exit code.
. "$(dirname "$0")/helpers.bash"

test_help_is_shown_and_is_no_error() {
  exits 0 bovila --help
  says DECK --set --output --resume --eval --check
}

test_a_command_line_without_a_deck_is_refused() {
  exits 2 bovila
  says "DECK is required"
  exits 2 ranks 2
}

test_an_unknown_option_is_refused() {
  exits 2 bovila deck.toml --evaluate
  says --evaluate
}

test_options_of_the_published_code_are_told_their_keys() {
  exits 2 bovila deck.toml --epochs 3 --lr=0.1 --batch-size 4 --sub --no_such_option
  says_once "--epochs is a key of the deck: --set train.epochs=3"
  says_once "--lr is a key of the deck: --set train.lr=0.1"
  says_once "--batch-size is a key of the deck: --set train.batch_size=4"
  says_once "--sub is a key of the deck: --set data.subtitles=true"
  ! grep -F -- "--no_such_option is a key" said
}

test_a_word_that_is_no_command_is_said_to_be_taken_for_the_deck() {
  exits 2 bovila train deck.toml
  says_once "'train' was taken for the deck: \`bovila DECK\` trains, \`bovila DECK --eval\` scores"
}

test_a_self_check_takes_no_deck() {
  exits 2 bovila --self-check deck.toml
  says_once "DECK excludes --self-check"
  exits 2 bovila --self-check --check
}

test_a_deck_that_is_not_there_is_named() {
  exits 2 bovila nowhere.toml
  says nowhere.toml
}

# A misspelt key in line 10, a wrong type in line 11, a missing folder in line 6.
write_bad_deck() {
  cat >bad.toml <<END
[model]
llama = "$mini/llama/mini"

[data]
dataset = "star"
folder = "no/such/folder"
features = "$(features star)"

[train]
batchsize = 4
epochs = "ten"

[output]
folder = "out"
END
}

says_all_three() {
  says_once "bad.toml:6:10: folder 'no/such/folder' of data.folder is not there"
  says_once "bad.toml:10:1: unknown key 'batchsize' in [train]; did you mean 'batch_size'?"
  says_once "bad.toml:11:10: train.epochs: expected an integer (1 .. 1000000), got string \"ten\""
}

test_all_that_is_wrong_with_a_deck_is_said_at_once_with_its_lines() {
  write_bad_deck
  exits 2 bovila bad.toml
  says_all_three
  [[ ! -e out ]]
}

test_two_ranks_say_what_is_wrong_with_a_deck_once() {
  write_bad_deck
  exits 2 ranks 2 bad.toml
  says_all_three
}

test_a_wrong_set_is_refused_with_its_text() {
  inputs star
  exits 2 bovila "${deck[@]}" --set train.epochs=0 --set model.precision=fp8
  says "--set train.epochs=0" "--set model.precision=fp8" "auto, fp32, bf16"
}

test_check_reports_the_data_and_writes_nothing() {
  inputs star
  exits 0 bovila "${deck[@]}" --check
  says "train: 24 questions with 4 options about" "val: 12 questions with 4 options about" \
    "1 video has no features, zeros stand for it: S3" "tokens (min / median / max); max_seq_len is 256" \
    "train: no prompt is over-long" "the deck, its data and the weights' files fit together"
  [[ ! -e out ]]
}

test_a_report_that_cannot_be_written_is_an_error() {
  inputs star
  exits 1 bash -c '"$@" >/dev/full' - "$bin/bovila" "${deck[@]}" --check
  says_once "error: standard output cannot be written to"
}

test_check_on_two_ranks_reports_once() {
  inputs star
  exits 0 ranks 2 "${deck[@]}" --check
  says_once "train: 24 questions"
}

# refused TEXT... -- SETTING...: --check of the star deck with these settings exits 2 and says so.
refused() {
  local texts=()
  while [[ $1 != -- ]]; do
    texts+=("$1")
    shift
  done
  shift
  exits 2 bovila "${deck[@]}" "$@" --check
  says "${texts[@]}"
}

test_check_refuses_what_no_machine_bears() {
  inputs star
  refused "--set run.threads_per_rank=1000000: run.threads_per_rank: expected an integer (0 .. 1024)" \
    "--set train.lr=1e308: train.lr: expected a number (> 0, <= 100)" \
    "--set run.time_limit_minutes=2e8: run.time_limit_minutes: expected a number (0 .. 10000000)" \
    "run.prefetch_batches" "model.adapter_len" "eval.batch_size" -- \
    --set run.threads_per_rank=1000000 --set train.lr=1e308 --set run.time_limit_minutes=2e8 \
    --set run.prefetch_batches=1000000 --set model.adapter_len=1000000 --set eval.batch_size=1000000
}

test_check_judges_threads_with_the_ranks_of_the_machine() {
  inputs star
  local ranks=$((16 * $(getconf _NPROCESSORS_ONLN) / 1024 + 2))
  exits 2 ranks "$ranks" "${deck[@]}" --set run.threads_per_rank=1024 --check
  says_once "run.threads_per_rank = 1024 with $ranks ranks on a machine of "
  says "$((1024 * ranks)) threads, expected "
}

test_check_warns_of_more_threads_than_cores() {
  inputs star
  exits 0 bovila "${deck[@]}" --set run.threads_per_rank=300 --check
  says_once "with 300 threads on "
}

test_check_judges_memory_before_it_is_taken() {
  inputs star
  cp -r "$mini/llama" .
  sed -i 's/"dim": 48/"dim": 4800000/' llama/mini/params.json
  refused "1 rank of this machine would need " \
    " GB for trained parameters (model.adapter_len, model.max_feats)" -- \
    --set model.llama=llama/mini --set model.adapter_len=10000
}

test_check_judges_rates_that_no_training_survives() {
  inputs star
  refused "times train.weight_decay = 1000 is 10, expected less than 1" -- --set train.weight_decay=1000
  refused "train.lr = 1, times train.visual_lr_scale = 1000, is a peak learning rate of 1000" -- \
    --set train.lr=1 --set train.visual_lr_scale=1000
  deck=("$root/input/star.toml" --set "model.llama=$mini/llama/mini" --set "output.folder=$PWD/out"
    --set "data.folder=$mini/data/star" --set "data.features=$(features star)"
    --set model.max_seq_len=256)
  refused "train.min_lr = 0.01 is above the peak learning rate 0.005625 (train.blr" -- \
    --set train.min_lr=0.01
  exits 0 ranks 2 "${deck[@]}" --set train.min_lr=0.01 --check
  says_once "with 2 ranks: 10 epochs of 1 step of 24 questions, the learning rate rises to 0.0112"
}

test_check_and_a_run_say_when_nothing_or_little_would_be_trained() {
  inputs star
  local one=(--set train.batch_size=1000 --set train.epochs=1)
  refused "is one step, and the warm-up's first step has the learning rate 0" -- "${one[@]}"
  exits 2 bovila "${deck[@]}" "${one[@]}"
  says_once "nothing would be trained. Take smaller batches or train.warmup_epochs = 0"
  [[ ! -e out/checkpoints && ! -e out/config.json ]]
  exits 0 bovila "${deck[@]}" "${one[@]}" --set train.warmup_epochs=0 --check
  exits 0 bovila "${deck[@]}" --set train.batch_size=1000 --check
  says_once "is more than the training split's 24 questions: an epoch is one step, and the run has 2 steps"
  says_once "with 1 rank: 2 epochs of 1 step of 24 questions, the learning rate rises to 0.01"
}

test_a_time_limit_of_years_stops_nothing() {
  inputs star
  exits 0 bovila "${deck[@]}" --set train.epochs=1 --set run.time_limit_minutes=1e7
}

test_a_tilde_and_variables_in_paths_are_what_a_shell_makes_of_them() {
  inputs star
  ln -s "$(features star)" "$HOME/features"
  # shellcheck disable=SC2016,SC2088 # for the program to replace
  BOVILA_MINI=$mini exits 0 bovila "${deck[@]}" --set 'data.features=~/features' \
    --set 'data.folder=${BOVILA_MINI}/data/star' --output='$HOME/results' --eval
  [[ -s $HOME/results/eval.json ]]
  # shellcheck disable=SC2016
  refused '--set data.folder=$BOVILA_NONE/star: data.folder: '"'"'$BOVILA_NONE/star'"'"': the variable BOVILA_NONE is not set' \
    -- --set 'data.folder=$BOVILA_NONE/star'
  # shellcheck disable=SC2016
  exits 2 bovila '$BOVILA_NONE/deck.toml'
  says_once "the variable BOVILA_NONE is not set"
  # shellcheck disable=SC2088
  exits 0 "$bin/pth2h5" --list='~/features'
  rm -r "$HOME/results" "$HOME/features"
}

test_check_refuses_weights_of_other_shapes() {
  inputs star
  cp -r "$mini/llama" .
  sed -i 's/"dim": 48/"dim": 96/' llama/mini/params.json
  refused "has shape [" "ask for [" "or the files belong to another model" -- \
    --set model.llama=llama/mini
}

test_check_refuses_a_missing_part_of_the_weights() {
  inputs star
  cp -r "$mini/llama" .
  rm llama/mini/consolidated.00.pth
  refused "llama/mini/consolidated.00.pth is missing" -- --set model.llama=llama/mini
}

test_check_refuses_weights_without_params_json() {
  inputs star
  cp -r "$mini/llama" .
  rm llama/mini/params.json
  refused "llama/mini/params.json cannot be read" -- --set model.llama=llama/mini
}

test_check_refuses_more_adapter_layers_than_layers() {
  inputs star
  refused "model.adapter_layers is 4, but the LLaMA has 3 layers" -- --set model.adapter_layers=4
}

test_check_refuses_a_tokenizer_of_another_model() {
  inputs star
  refused "has shape [640, 48]" "or the files belong to another model" -- \
    --set "model.tokenizer=$root/input/demo/llama/tokenizer.model"
}

test_check_refuses_a_file_that_is_no_tokenizer() {
  inputs star
  echo "no tokenizer" >tokenizer.model
  refused tokenizer.model -- --set model.tokenizer=tokenizer.model
}

test_check_refuses_a_missing_tokenizer() {
  inputs star
  mkdir model
  cp "$mini"/llama/mini/* model
  refused "no tokenizer.model or tokenizer.json in model or beside it" -- --set model.llama=model
}

test_check_refuses_a_missing_annotation_file() {
  inputs star
  mkdir data
  cp "$mini/data/star/STAR_train.json" data
  refused "data/STAR_val.json" -- --set data.folder=data
}

test_check_lists_bad_annotations() {
  inputs star
  mkdir data
  cp "$mini/data/star/STAR_val.json" data
  python3 - "$mini/data/star/STAR_train.json" data/STAR_train.json <<'END'
import json, sys
questions = json.load(open(sys.argv[1]))
del questions[3]['question']
questions[5]['answer'] = 'none of these'
json.dump(questions, open(sys.argv[2], 'w'))
END
  refused "data/STAR_train.json" "question" "none of these" -- --set data.folder=data
}

test_check_refuses_features_that_are_cut_short() {
  inputs star
  cp -r "$(features star)" features
  truncate -s -100 features/shard-00001.h5
  refused "features/shard-00001.h5 has" "it is cut short or damaged" -- \
    --set data.features=features
}

test_check_refuses_an_index_of_features_that_was_changed() {
  inputs star
  cp -r "$(features star)" features
  sed -i 's/"S0"/"S9"/' features/index.json
  refused "features/index.json is damaged" -- --set data.features=features
}

test_check_refuses_a_folder_that_is_no_feature_set() {
  inputs star
  mkdir features
  refused "a feature set is a folder made by tools/pth2h5" -- --set data.features=features
}

test_check_refuses_over_long_prompts_and_names_the_longest() {
  inputs star
  refused "prompts are over-long; the longest is that of question" \
    "raise model.max_seq_len or set data.over_long = \"skip\"; model.max_seq_len = " \
    "fits all (" -- --set model.max_seq_len=80
  exits 0 bovila "${deck[@]}" --set model.max_seq_len=80 --set data.over_long=skip --check
  says "prompts are over-long"
}

run_tests "bovila --check"
