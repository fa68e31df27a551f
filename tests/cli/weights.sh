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

test_a_small_form_gives_the_same_training_from_every_form_of_files() {
  to_hugging_face hf
  for form in int8 nf4 nf4-dq; do
    exits 0 "$bin/llama2bovila" "$mini/llama/mini" "own-$form" --precision fp32 --weights "$form"
    exits 0 trained "$mini/llama/mini" "meta-$form-out" --set "model.weights=$form"
    exits 0 trained "own-$form" "own-$form-out" --set "model.weights=$form"
    same_losses "meta-$form-out" "own-$form-out"
  done
  exits 0 trained hf hf-out --set model.weights=nf4
  same_losses meta-nf4-out hf-out
  exits 0 ranks 2 "${deck[@]}" --set model.llama=own-nf4 --set model.weights=nf4 \
    --set "output.folder=$PWD/two-own"
  exits 0 ranks 2 "${deck[@]}" --set model.weights=nf4 --set "output.folder=$PWD/two-meta"
  same_losses two-own two-meta
  # Smaller by so much, though embeddings are a third of this LLaMA's weights.
  (($(stat -c %s own-nf4/bovila.safetensors) * 3 < $(stat -c %s "$mini/llama/mini/consolidated.00.pth") * 2))
}

test_a_run_with_a_small_form_is_resumed_started_from_and_scored_with_it_alone() {
  exits 0 trained "$mini/llama/mini" whole --set model.weights=nf4
  local checkpoints=(whole/checkpoints/step-*)
  exits 0 trained "$mini/llama/mini" out --set model.weights=nf4 --resume "${checkpoints[0]}"
  says "going on from"
  cmp "${checkpoints[1]}/state.h5" "out/${checkpoints[1]#whole/}/state.h5"
  cmp whole/epoch1.json out/epoch1.json
  exits 0 trained "$mini/llama/mini" whole --set model.weights=nf4 --eval
  cmp whole/epoch1.json whole/eval.json
  exits 2 trained "$mini/llama/mini" out --set model.weights=int8 --set train.epochs=3
  says "model.weights: 'nf4' in the checkpoint, 'int8' now"
  "$bin/ckpt2pth" out start.pth
  exits 0 trained "$mini/llama/mini" next --set model.weights=nf4 --set train.start=start.pth
  says "starting from"
  exits 2 trained "$mini/llama/mini" bad --set model.weights=int4
  says "computed, bf16, fp16, int8, nf4, nf4-dq"
}

test_sixteen_stored_bits_are_computed_with_in_fp32() {
  to_hugging_face hf # in fp32, as Meta's
  exits 0 trained hf rounded --set model.weights=bf16
  exits 0 trained hf whole
  ! cmp -s rounded/log.txt whole/log.txt
  "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32 --weights bf16
  exits 0 trained own own-out --set model.weights=bf16
  same_losses rounded own-out
}

test_damaged_small_weights_are_refused() {
  "$bin/llama2bovila" "$mini/llama/mini" own --precision fp32 --weights nf4
  printf '\x55\xaa\x55' | dd of=own/bovila.safetensors bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s own/bovila.safetensors) / 2))
  exits 2 trained own out --set model.weights=nf4
  says "own/bovila.safetensors: the values of bytes 0 to" "make it again with tools/llama2bovila"
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
  exits 2 "$bin/llama2bovila" "$mini/llama/mini" new --weights int4
  says "int4 not in {computed,bf16,fp16,int8,nf4,nf4-dq}"
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
