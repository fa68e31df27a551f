#!/usr/bin/env bash
# Our tokens against those of the libraries that models come with, on 10,000 texts each of all kinds
# of Unicode: sentencepiece, tiktoken (LLaMA-3's real file) and tokenizers, from `make test-deps`.
source "$(dirname "$0")/helpers.bash"

compare() {
  local libraries=$root/.deps/test-python
  [[ -d $libraries ]] || { echo "$libraries is missing: run \`make test-deps\`" && return 1; }
  PYTHONPATH=$libraries python3 "$root/tests/tools/compare_tokenizers.py" \
    "$bin/tokenize" "$1"
}

test_sentencepiece_model() { compare sentencepiece; }
test_llama3_tiktoken_file() { compare tiktoken; }
test_llama3_tokenizer_json() { compare llama3_json; }
test_smollm2_tokenizer_json() { compare smollm2_json; }
test_gpt2_tokenizer_json() { compare gpt2_json; }
test_qwen2_tokenizer_json() { compare qwen2_json; }
test_llama2_tokenizer_json() { compare llama2_json; }
test_metaspace_tokenizer_json() { compare metaspace_json; }

run_tests tokenizers
