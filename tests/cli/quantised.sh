#!/usr/bin/env bash
# Small forms of the weights beside bitsandbytes' own (from `make test-deps`), to the bit: what
# llama2bovila stores, and what it reads of folders that bitsandbytes has quantised:
# tests/tools/compare_quantised.py, which prints "ok NAME" lines.
source "$(dirname "$0")/helpers.bash"

libraries=$root/.deps/test-python
torch=$root/.deps/python # its Python side; the tests need it, the program does not
[[ -d $libraries/bitsandbytes ]] ||
  { echo "$libraries lacks bitsandbytes: run \`make test-deps\`" && exit 1; }
cd "$work" || exit 1
PYTHONPATH=$libraries:$torch \
  python3 "$root/tests/tools/compare_quantised.py" "$bin/llama2bovila" "$mini/llama/tokenizer.model"
