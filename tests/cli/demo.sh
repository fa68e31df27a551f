#!/usr/bin/env bash
# tools/demo.sh typed again: on a run that is done, on one with epochs left, to start over; and the
# words that the demo scripts take. With few questions, in a folder like the repository.
. "$(dirname "$0")/helpers.bash"

# here: this folder is like the repository, with 24 questions, 12 to score, and two epochs.
here() {
  local demo=$root/input/demo split
  cp -r "$root"/{input,tools} .
  mkdir build
  ln -s "$bin" build/bin
  for split in train:24 val:12; do
    python3 -c 'import json, sys
json.dump(json.load(open(sys.argv[1]))[:int(sys.argv[3])], open(sys.argv[2], "w"))' \
      "$demo/data/star/STAR_${split%:*}.json" "input/demo/data/star/STAR_${split%:*}.json" \
      "${split#*:}"
  done
  sed -i 's/^epochs .*/epochs = 2/' input/demo.toml
}
demo() { BUILD=build timeout 300 tools/demo.sh "$@"; }

test_typed_again_the_demo_says_that_it_is_done_goes_on_with_more_and_starts_over_when_told() {
  here
  exits 0 demo
  says "This takes 1 to 3 minutes" "epoch 2 done:" "the right answer" "output/demo/report.html"
  cp -r output/demo before
  exits 0 demo
  says "It has learned them already, output/demo/ holds the run. To start over: tools/demo.sh --fresh"
  says "this run is complete, all 2 epochs" "the right answer"
  diff -r before output/demo -x '*.log' -x report.html
  sed -i 's/^epochs .*/epochs = 3/' input/demo.toml
  exits 0 demo
  says "This takes 1 to 3 minutes" "going on from" "epoch 3 done:"
  [[ $(grep -c "epoch . done:" output/demo/training.log) == 3 ]]
  exits 0 demo --fresh
  says "the old run of output/demo is in output/demo/previous-1 now" "epoch 1 done:"
  cmp <(head -2 output/demo/previous-1/log.txt) before/log.txt
  [[ $(wc -l <output/demo/log.txt) == 3 ]]
}

test_words_that_the_demo_scripts_do_not_know_are_refused_and_help_does_nothing() {
  local script
  cp -r "$root"/{input,tools} .
  for script in demo demo_smollm; do
    exits 0 tools/$script.sh --help
    says "--fresh " "previous-N/" "BUILD="
    exits 2 tools/$script.sh --frsh
    says_once "demo: expected --fresh, --set KEY=VALUE, --help or nothing, got: --frsh"
    exits 2 tools/$script.sh --fresh now
    exits 2 tools/$script.sh --set
    exits 2 tools/$script.sh --set epochs=1
    says_once "demo: --set: expected table.key=value, got: epochs=1"
  done
  exits 2 tools/demo_smollm.sh --set train.epochs=1
  says_once "demo: --set is for tools/demo.sh"
  [[ ! -e output ]]
}

test_make_takes_no_empty_folder_and_deps_no_word_that_it_does_not_know() {
  exits 2 make -C "$root" BUILD= configure
  says "BUILD= is empty (a variable of the shell that is not set?)"
  exits 2 make -C "$root" PREFIX= install
  exits 0 make -C "$root" help
  exits 2 "$root/tools/deps.sh" test
  says_once "deps: expected tests, lint, smollm, fuzz, bundle, mpich, aarch64 or nothing, got: test"
}

test_the_demo_with_a_language_model_starts_over_beside_what_was_trained() {
  cp -r "$root"/{input,tools} .
  mkdir -p output/demo-smollm/{llama,features,previous-1,named} none
  touch output/demo-smollm/{log.txt,words.pth} output/demo-smollm/previous-1/log.txt
  touch output/demo-smollm/run.lock
  ln -s "$bin" none/bin
  # Without a model it ends right after.
  exits 2 env BUILD=none tools/demo_smollm.sh --fresh
  says_once "output/demo-smollm is in use by another run"
  rm output/demo-smollm/run.lock
  exits 2 env BUILD=none tools/demo_smollm.sh --fresh
  says "The old run is in output/demo-smollm/previous-2/ now."
  [[ $(ls output/demo-smollm/previous-2) == $'log.txt\nnamed\nwords.pth' ]]
  [[ -e output/demo-smollm/previous-1/log.txt && -d output/demo-smollm/llama ]]
}

run_tests demo
