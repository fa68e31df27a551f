#!/usr/bin/env bash
# The forms of weights as a user meets them: bovila on the tiny LLaMA of the golden folder as Meta's
# files, as Hugging Face's, and as the file that llama2bovila makes of either.
source "$(dirname "$0")/helpers.bash"

# Meta's tiny LLaMA as a folder of Hugging Face's, without any library.
to_hugging_face() {
  python3 "$root/tests/tools/meta_to_hf.py" "$mini/llama/mini" "$1"
  cp "$mini/llama/tokenizer.model" "$1"
}

# trained FOLDER OUTPUT OPTIONS...: two epochs on the weights in FOLDER; the losses are in OUTPUT.
trained() {
  inputs star
  bovila "${deck[@]}" --set "model.llama=$1" --set "output.folder=$PWD/$2" "${@:3}"
}
same_losses() { cmp "$1/log.txt" "$2/log.txt" && cmp "$1/epoch1.json" "$2/epoch1.json"; }

test_all_forms_give_the_same_training_to_the_bit() {
  to_hugging_face hf
  exits 0 "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32
  says "own: bovila.safetensors, "
  exits 0 "$bin/llama2bovila" hf own-of-hf --precision fp32
  for form in "$mini/llama/mini" hf own own-of-hf; do
    exits 0 trained "$form" "out-$(basename "$form")"
    same_losses out-mini "out-$(basename "$form")"
  done
}

test_check_knows_every_form() {
  to_hugging_face hf
  "$bin/llama2bovila" hf own
  inputs star
  for form in hf own; do
    exits 0 bovila "${deck[@]}" --set "model.llama=$form" --check
    says "the deck, its data and the weights' files fit together"
  done
  truncate --size=-1000 hf/model.safetensors
  exits 2 bovila "${deck[@]}" --set model.llama=hf --check
  says "hf/model.safetensors: the tensor" "damaged or cut short"
}

test_a_run_goes_on_with_the_file_made_of_its_weights() {
  "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32
  exits 0 trained "$mini/llama/mini" whole
  exits 0 trained "$mini/llama/mini" out --set train.epochs=1
  exits 0 trained own out
  says "going on from"
  "$bin/llama2bovila" "$mini/llama/mini" rounded --precision bf16
  exits 2 trained rounded out --set train.epochs=3
  says "model.llama"
}

test_two_ranks_map_one_file() {
  "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32
  inputs star
  exits 0 ranks 2 "${deck[@]}" --set model.llama=own --set "output.folder=$PWD/own-out"
  exits 0 ranks 2 "${deck[@]}" --set "output.folder=$PWD/meta-out"
  same_losses meta-out own-out
}

test_damaged_values_are_an_error_of_all_ranks() {
  "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32
  printf '\x55\xaa\x55' | dd of=own/bovila.safetensors bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s own/bovila.safetensors) - 5000))
  inputs star
  exits 2 ranks 2 "${deck[@]}" --set model.llama=own
  says "own/bovila.safetensors: the values of bytes 0 to" "make it again with tools/llama2bovila"
}

test_the_converter_leaves_nothing_half_made() {
  mkdir bad
  cp "$mini/llama/mini/params.json" "$mini/llama/tokenizer.model" bad
  head -c 100000 "$mini/llama/mini/consolidated.00.pth" >bad/consolidated.00.pth
  exits 2 "$bin/llama2bovila" bad own
  says "llama2bovila: bad/consolidated.00.pth"
  [[ -z $(ls -A | grep own) ]]
  exits 0 "$bin/llama2bovila" "$mini/llama/mini" own
  exits 2 "$bin/llama2bovila" "$mini/llama/mini" own
  says "own is there already; use --force to replace it"
  exits 0 "$bin/llama2bovila" "$mini/llama/mini" own --precision fp16 --force
  exits 2 "$bin/llama2bovila" own again
  says "holds a bovila.safetensors already"
  exits 2 "$bin/llama2bovila" "$mini/llama/mini" new --precision int8
  says "int8 not in {fp32,bf16,fp16}"
  exits 2 "$bin/llama2bovila" "$mini/llama/mini"
}

test_force_replaces_what_the_converter_made_and_nothing_else() {
  local converter=$bin/llama2bovila target
  cp -r "$mini/llama" llama
  ln -s llama/mini link
  for target in llama/mini llama/mini/ llama link link/ .; do
    exits 2 "$converter" llama/mini "$target" --force
    says "is read from there, which is never replaced"
  done
  mkdir -p run/checkpoints home
  echo thesis >home/thesis.txt
  exits 2 "$converter" llama/mini run --force
  says "run: expected weights made by llama2bovila or nothing, checkpoints is there; name another"
  exits 2 "$converter" llama/mini home --force
  says "thesis.txt is there"
  exits 2 "$converter" llama/mini home/thesis.txt --force
  says "expected a folder to write to, a file is there"
  exits 0 "$converter" llama/mini own
  touch own/notes
  exits 2 "$converter" llama/mini own --force
  says "notes is there"
  rm own/notes
  exits 0 "$converter" llama/mini own --force
  diff -r llama "$mini/llama"
  [[ $(<home/thesis.txt) == thesis && -d run/checkpoints ]]
}

test_a_link_as_target_is_followed_and_said() {
  mkdir disk
  ln -s disk/own own
  exits 0 "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32
  says "own (a link to $(realpath disk)/own): bovila.safetensors, "
  exits 2 "$bin/llama2bovila" "$mini/llama/mini" own
  exits 0 "$bin/llama2bovila" "$mini/llama/mini" own --precision fp16 --force
  [[ -L own && $(ls -A disk) == own && $(ls -A disk/own) == $'bovila.safetensors\ntokenizer.model' ]]
}

run_tests weights
