#!/usr/bin/env bash
# tools/gpu-first-light and the program `speed` that it measures with, on the CPU. (In the bundle,
# with all parts: tests/bundle. On GPUs: itself.)
. "$(dirname "$0")/helpers.bash"

small=(--dim 128 --layers 2 --heads 2 --hidden 352 --vocab 1000 --max-seq-len 160 --batch 2 --steps 1)

test_products_of_a_naive_evaluation_are_those_that_its_shapes_give() {
  "$bin/speed" run "${small[@]}" --work eval --naive >naive.json
  # Of each of 4 options 160 tokens: 2 layers of wq, wk, wv, wo, w1, w2, w3, queries times keys and
  # weights times values for 160 tokens and 10 slots, and the vocabulary.
  holds "abs(lines('naive.json')[0]['products_a_question'] / (4 * 160 * (
    2 * 2 * (4 * 128 * 128 + 3 * 128 * 352) + 2 * 4 * 128 * (160 + 10) + 2 * 128 * 1000)) - 1) < 0.05"
}

test_the_fast_evaluation_asks_for_fewer_and_scores_the_same() {
  "$bin/speed" run "${small[@]}" --work eval --naive >naive.json
  "$bin/speed" run "${small[@]}" --work eval >fast.json
  holds "(lines('fast.json')[0]['products_a_question'] <
    lines('naive.json')[0]['products_a_question'] / 2)"
  holds "all(abs(a - b) < 1e-4 for a, b in zip(lines('fast.json')[0]['numbers'],
    lines('naive.json')[0]['numbers'], strict=True))"
}

test_a_gpu_that_is_not_there_is_an_error_in_one_line() {
  export CUDA_VISIBLE_DEVICES=
  exits 1 "$bin/speed" peak --device cuda
  says_once "speed: error: no CUDA device: "
  exits 1 "$bin/speed" run "${small[@]}" --device cuda
  says_once "no rank sees a CUDA device"
}

# A build folder whose programs do little: what each says is in the file of its name, and it ends with
# the code in NAME.code.
stand_ins() {
  local program
  mkdir -p build/bin
  for program in bovila gpu_tests nccl_tests golden_tests speed; do
    cat >build/bin/$program <<'PROGRAM'
#!/bin/bash
here=$(dirname "$0")/..
cat "$here/$(basename "$0")" && exit "$(cat "$here/$(basename "$0").code" 2>/dev/null || echo 0)"
PROGRAM
    chmod +x build/bin/$program
    echo "[doctest] test cases:  7 |  7 passed | 0 failed | 0 skipped" >build/$program
  done
  printf '%s\n' "collectives of fp32 on the CPU by MPI, 2 ranks, results exact" \
    "  64 MiB     169.367 ms     0.396 GB/s" "self-check passed" >build/bovila
  echo '{"peak_gflops": 800000, "device": "NVIDIA H100 80GB HBM3", "product_gflops_a_rank": 400000,' \
    '"ranks": 1, "seconds_a_question": 0.02, "numbers": [], "peak_bytes": 1000000000,' \
    '"device_memory": {"allocated_peak_bytes": 20000000000, "bytes": 80000000000}}' >build/speed
}

test_a_single_rank_that_says_no_bandwidth_passes_its_self_check() {
  stand_ins
  printf '%s\n' "collectives of fp32 on the GPUs by NCCL, 1 rank, results exact" \
    "  64 MiB     0.001 ms     -" "self-check passed" >build/bovila
  BUILD="$PWD/build" "$root/tools/gpu-first-light" --output light >said 2>&1 || true
  says "self-check   ok" "NCCL, 1 rank(s), no bandwidth"
}

test_logs_of_others_in_its_folder_are_kept_and_no_folder_is_no_folder() {
  stand_ins
  mkdir light
  echo "a diary" >light/diary.log
  echo '$ old' >light/speed.log
  BUILD="$PWD/build" "$root/tools/gpu-first-light" --output light >said 2>&1 || true
  grep -qF "a diary" light/diary.log
  [[ ! -e light/speed.log ]] || ! grep -qF '$ old' light/speed.log
  exits 2 "$root/tools/gpu-first-light" --output ""
  says "expected a value, got an empty one"
}

test_on_one_card_all_parts_are_in_the_table_with_their_shares_of_the_peak() {
  stand_ins
  echo 1 >>build/gpu_tests # the number of GPUs, beside the tests' count
  exits 0 env BUILD="$PWD/build" "$root/tools/gpu-first-light" --output light
  says "GPU tests    ok" "7 tests with 1 rank(s)" \
    "H100 80GB HBM3: 800 TFLOP/s, its data sheet says 989" \
    "0.02 s a question, 400 TFLOP/s a rank, 50% of the measured peak, 40% of the sheet peak" \
    "memory 20.0 of 80 GB" "all parts passed: light/result.json"
  holds "list(load('light/result.json')['parts']) == ['GPUs', 'self-check', 'GPU tests',
    'golden runs', 'peak', 'training', 'evaluation']"
  holds "load('light/result.json')['parts']['training']['share_of_peak']['measured'] == 0.5"
}

test_two_cards_also_hold_a_model_together() {
  stand_ins
  echo 2 >>build/gpu_tests
  exits 0 env BUILD="$PWD/build" "$root/tools/gpu-first-light" --output light
  says "GPU tests    ok" "7 tests with 1 rank(s), 7 tests with 2 rank(s)" "one model    ok" "all cards    ok"
  grep -q -- "-np 2 .*--test-case=two ranks hold STAR" light/one-model.log
}

test_parts_that_fail_are_told_and_the_others_run() {
  stand_ins
  echo 3 >build/golden_tests.code
  echo "ERROR: a loss differs" >>build/golden_tests
  echo "no JSON" >build/speed
  exits 1 env BUILD="$PWD/build" "$root/tools/gpu-first-light" --small --output light
  says "self-check   ok" "NCCL tests   ok" "golden runs  FAILED" \
    "exit code 3: ERROR: a loss differs" "peak         FAILED" "it printed no numbers: no JSON" \
    "training     FAILED" "NOT ALL PARTS PASSED"
  holds "not load('light/result.json')['passed']"
}

test_without_a_gpu_it_runs_small_and_fails() {
  stand_ins
  echo 0 >build/gpu_tests
  exits 1 env BUILD="$PWD/build" "$root/tools/gpu-first-light"
  says "GPUs         FAILED" "sees no GPU: all parts run on the CPU" "all cards    ok" \
    "NOT ALL PARTS PASSED"
}

test_a_part_that_hangs_is_ended() {
  stand_ins
  printf '#!/bin/bash\nsleep 1000\n' >build/bin/golden_tests
  exits 1 env BUILD="$PWD/build" "$root/tools/gpu-first-light" --small --limit 3
  says "golden runs  FAILED" "not ended after"
}

run_tests "first light"
