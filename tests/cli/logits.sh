#!/usr/bin/env bash
# Our logits against those of Hugging Face's transformers (from `make test-deps`), to 1e-4, for small
# random models of its own making: tests/tools/compare_logits.py, which prints "ok NAME" lines.
source "$(dirname "$0")/helpers.bash"

libraries=$root/.deps/test-python
torch=$root/.deps/python # its Python side; the tests need it, the program does not
[[ -d $libraries/transformers ]] || { echo "$libraries lacks transformers: run \`make test-deps\`" && exit 1; }
cd "$work" || exit 1
PYTHONPATH=$libraries:$torch HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 \
  python3 "$root/tests/tools/compare_logits.py" "$bin/logits" "$bin/llama2bovila"
