#!/usr/bin/env bash
# Files as people have them, beside those as they should be: what is missing is said, what means the
# same is read, and what changes nothing is taken. The demo's deck and LLaMA, and files of
# tests/tools/real_files.py.
. "$(dirname "$0")/helpers.bash"

# case_of NAME [AS]: makes the files of a case in the folder AS (default: its name); sets `deck` to the
# demo's deck on the demo's features.
case_of() {
  [[ -e input ]] || ln -s "$root/input"
  python3 "$root/tests/tools/real_files.py" "$1" "${2:-$1}"
  [[ -d $work/demo ]] ||
    "$bin/pth2h5" input/demo/data/star/clipvitl14.pth "$work/demo" --shards 1 >/dev/null 2>&1
  deck=(input/demo.toml --set "data.features=$work/demo" --set "output.folder=$PWD/out")
}
tvqa() {
  case_of "$1"
  deck+=(--set data.dataset=tvqa --set "data.folder=$1" --set data.subtitles=true
    --set model.max_seq_len=200)
}
how2qa() {
  case_of "$1"
  deck+=(--set data.dataset=how2qa --set "data.folder=$1" --set data.val_split=public_val
    --set model.max_seq_len=200)
}
# weights CASE: the demo with a LLaMA of zeros in a form of Hugging Face's.
weights() {
  case_of "$1"
  [[ -e $1/tokenizer.json ]] || cp input/demo/llama/tokenizer.model "$1"
  deck+=(--set "model.llama=$1" --set model.max_seq_len=400)
}
fits() {
  exits 0 bovila "${deck[@]}" --check
  says "the deck, its data and the weights' files fit together"
}

# --- much is missing ------------------------------------------------------------------------------

test_features_that_are_called_otherwise_are_an_error_with_the_reason() {
  case_of names_with_extension
  exits 0 "$bin/pth2h5" names_with_extension set
  deck+=(--set data.features=set)
  exits 2 bovila "${deck[@]}" --check
  says "400 of 400 videos of the split 'train' have no features in set (train0000, train0001" \
    "The features are called NAME.mp4: 'train0000.mp4' is there for 'train0000'."
  exits 2 ranks 2 "${deck[@]}"
  says_once "The features are called NAME.mp4"
  exits 2 bovila "${deck[@]}" --eval
  says_once "100 of 100 videos of the split 'val' have no features in set (val0000, val0001"
  exits 0 bovila "${deck[@]}" --check --set data.max_missing=1
  says "100 videos have no features, zeros stand for them"
}

# lengths_of_utf8: the prompts are those of the same subtitles as .srt in UTF-8, to the length.
lengths_of_utf8() {
  grep "prompts of" said >lengths
  tvqa tvqa_utf8
  fits
  cmp lengths <(grep "prompts of" said)
  ! grep -q "without any dialogue" said
}

test_subtitles_in_windows_1252_are_read_and_counted() {
  tvqa tvqa_windows_1252
  fits
  says "1 of 1 videos have subtitles that are not UTF-8, which were read as Windows-1252: val0000"
  lengths_of_utf8
}

test_subtitles_in_utf16_are_read_and_counted() {
  tvqa tvqa_utf16
  fits
  says "1 of 1 videos have subtitles in UTF-16: val0000"
  lengths_of_utf8
}

test_webvtt_is_read_with_times_without_hours() {
  tvqa tvqa_webvtt
  fits
  lengths_of_utf8
}

test_subtitles_and_clips_without_a_dialogue_are_counted() {
  tvqa tvqa_without_time_lines
  fits
  says "1 of 1 videos have subtitles without any time line that is known, and so no dialogue" \
    "val: 4 of 4 questions without any dialogue in the clip"
  exits 0 bovila "${deck[@]}" --eval
  says_once "val: 4 of 4 questions without any dialogue in the clip"
}

test_right_answers_of_one_letter_are_shown_and_can_be_shuffled() {
  how2qa one_letter
  fits
  says "train: right answers: A 4, B 4, C 4, D 4" "public_val: right answers: A 16, B 0, C 0, D 0" \
    "public_val: A is the right answer of 16 of 16 questions: accuracy also measures how much"
  exits 0 bovila "${deck[@]}" --eval
  says "letters: right answers: A 16, B 0, C 0, D 0; chosen: A " "A is the right answer of 16 of 16"
  deck+=(--set data.shuffle_options=true)
  exits 0 bovila "${deck[@]}" --eval --output shuffled
  ! grep -q "is the right answer of" said
  ! grep -q "right answers: A 16" said
  holds "all(q['ans'] == 'A' for q in load('shuffled/eval.json'))"
  exits 0 ranks 2 "${deck[@]}" --eval --output again
  cmp shuffled/eval.json again/eval.json
}

# --- what people legitimately have ----------------------------------------------------------------

test_clips_without_frames_count_as_missing() {
  case_of clips_without_frames
  exits 0 "$bin/pth2h5" clips_without_frames/some.pth set
  says_once "1 video has no frames and is left out: abc_240_300"
  exits 0 "$bin/pth2h5" --list set
  [[ $(<said) == "abc_0_60"$'\t'"12" ]]
  exits 0 "$bin/pth2h5" clips_without_frames/some.pth set
  says "nothing to do"
}

test_doubles_and_a_stray_file_among_npy_files_are_taken() {
  case_of doubles
  exits 0 "$bin/pth2h5" doubles set
  says_once "1 entry is no .npy file and passed over: README.md"
  says_once "1 video in set"
}

test_numbers_are_names_of_videos() {
  case_of numbers_as_names
  exits 0 "$bin/pth2h5" numbers_as_names/some.pth set
  exits 0 "$bin/pth2h5" --list set
  says "4010069381	3" "17	2"
}

test_times_that_are_null_or_nan_mean_the_whole_video() {
  local times
  for times in null_times nan_times; do
    case_of $times
    deck+=(--set data.folder=$times)
    fits
    says "STAR_val.json: 1 of 400 questions without times: the whole video is meant"
  done
  tvqa tvqa_null_times
  fits
  says "tvqa_val.jsonl: 4 of 4 questions without times" "prompts of"
}

test_a_number_that_is_none_is_named_with_its_key_and_row() {
  case_of infinite_times
  exits 2 bovila "${deck[@]}" --set data.folder=infinite_times --check
  says 'infinite_times/STAR_train.json: not JSON' 'in row 1 at "start": Infinity'
}

test_tvqas_subtitles_in_one_json_lines_file_are_those_of_its_folder() {
  tvqa tvqa_json_lines
  fits
  lengths_of_utf8
}

test_pytorch_model_bin_is_read_alone_and_in_shards() {
  local form
  for form in bin_file bin_shards; do
    weights $form
    fits
  done
  exits 0 bovila "${deck[@]}" --eval --set data.max_missing=1
  says "accuracy"
}

# --- harmless extras ------------------------------------------------------------------------------

test_a_whole_file_of_weights_is_read_beside_an_index_of_an_earlier_save() {
  weights stale_index
  fits
  says_once "stale_index/model.safetensors is read, as transformers does"
}

test_rows_without_a_token_are_taken_and_said() {
  weights spare_rows
  fits
  says_once "vocab_size is 2833, the tokenizer has 448 pieces: 2385 rows are of no token"
}

test_a_tokenizers_settings_to_cut_and_pad_are_passed_over() {
  weights padded_tokenizer
  fits
  says_once "its settings to cut and to pad texts are passed over"
}

test_a_token_to_pad_with_needs_no_row() {
  weights pad_token
  fits
  says_once "the tokenizer has 259 pieces, the LLaMA 258"
}

run_tests "real files"
