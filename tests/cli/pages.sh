#!/usr/bin/env bash
# The commands of all pages: every one is run, in order, as it stands there. On the pages for those
# who begin, stand-ins are the demo's LLaMA and 24 of its questions for LLaMA-7B and STAR, a video
# of the demo for STAR's, one rank for mpirun's eight, and for Slurm an sbatch and an srun that run
# the job at once with one rank (a real Slurm is in tests/slurm); for the other commands see there.
# Compiling is left out.
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python:$root/.deps/python # matplotlib, TensorBoard

commands() { python3 "$root/tests/tools/pages.py" commands "$@"; }
on_slurm="STAR with LLaMA-7B on a Slurm cluster, from nothing"

# shorten FROM TO: the first questions of an annotation file.
shorten() {
  python3 -c 'import json, sys
json.dump(json.load(open(sys.argv[1]))[:int(sys.argv[3])], open(sys.argv[2], "w"))' "$@"
}

# stand_in NAME LINE: a program of that name on the PATH.
stand_in() {
  mkdir -p bin
  printf '#!/bin/bash\n%s\n' "$2" >"bin/$1"
  chmod +x "bin/$1"
  export PATH=$PWD/bin:$PATH
}

# shorten_sweep: an epoch and a seed.
shorten_sweep() {
  sed -i 's/^train.epochs = .*/train.epochs = 1/; s/^seeds = .*/seeds = [0]/' input/sweeps/demo.toml
}

# here: this folder is like the repository, with few questions.
here() {
  local demo=$root/input/demo split
  mkdir -p build data/llama/7B data/star
  ln -s "$bin" build/bin
  cp -r "$root"/{input,jobs,tools} .
  rm -f tools/pth2h5
  ln -s "$bin/pth2h5" tools/pth2h5
  for split in train:24 val:12; do
    shorten "$demo/data/star/STAR_${split%:*}.json" "data/star/STAR_${split%:*}.json" "${split#*:}"
    cp "data/star/STAR_${split%:*}.json" input/demo/data/star/
  done
  cp "$demo/data/star/clipvitl14.pth" data/star/
  cp "$demo/llama/tokenizer.model" data/llama/
  cp "$demo"/llama/demo/* data/llama/7B/
  shorten_sweep
  stand_in sbatch 'while [[ $1 == --* ]]; do shift; done; exec bash "$@"'
  stand_in srun 'while [[ $1 == --* ]]; do shift; done; exec "$@"'
  stand_in mpirun "[[ \$2 == 8 ]] && shift 2 && exec \"\$@\"; exec $(command -v mpirun) \"\$@\""
  stand_in bovila 'exec build/bin/bovila "$@"'
  stand_in make '[[ $1 != demo ]] || BUILD=build exec tools/demo.sh' # `make build`, `make test`: done
}

# follow AT-LEAST VIDEO: runs the commands in the file `page`, at least so many, on this video.
follow() {
  local command number=0
  while read -r command; do
    command=${command//6H78U/$2}
    [[ $command != export\ * ]] || eval "$command" # for those that follow
    exits 0 timeout 300 bash -c "$command" || { echo "failed: $command" && return 1; }
    cp said "said-$((++number))"
    [[ $command != *perplexity* ]] || cp said said-perplexity
  done <page
  ((number >= $1)) || { echo "only $number commands" && return 1; }
}

test_the_first_page_and_that_of_the_demo() {
  here
  commands README.md >page
  follow 9 val0000
  cp said-3 said
  says '"answer":' '"uncertainty":'
  cp said-9 said
  says "| all | full | 1 |"
  rm -r output
  commands input/demo/README.md | grep -vx 'make demo-smollm' >page
  unset OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM # the page works as typed, for root too
  follow 5 val0000
  holds "all(a['pre'] == b['pre'] and abs(a['u'] - b['u']) < 1e-5 for a, b in
             zip(load('output/demo-eval/eval.json'), load('output/demo/epoch9.json'), strict=True))"
  holds "load('output/demo-plain/config.json')['train']['seed'] == 1"
  cp said-2 said
  says '"answer":' '"uncertainty":'
  # All of the demo's questions for validation, asked one by one, have --eval's answers.
  local all=$root/input/demo/data/star
  exits 0 bovila input/demo.toml --eval --resume output/demo --output output/all \
    --set "data.folder=$all" --despite-differences
  mkdir -p all/data && ln -s "$all" all/data/star
  python3 "$root/tests/cli/ask.py" star all | bovila answer input/demo.toml >answers 2>said
  holds "len(lines('answers')) == 400"
  holds "[a['answer'] for a in lines('answers')] == [e['pre'] for e in load('output/all/eval.json')]"
}

test_the_page_for_star_on_slurm() {
  here
  commands "jobs/README.md#$on_slurm" >page
  follow 11 val0000
  holds "len(lines('output/star/log.txt')) == 10"
  holds "load('output/star-eval/eval.json') == load('output/star/epoch9.json')"
  holds "len(lines('output/star-4/log.txt')) == 10"
}

# there: this folder is like a user's, with the golden folder's data sets, its tiny LLaMA for all
# LLaMAs, and one rank of this machine for mpirun's and Slurm's. What stands for bovila adds small
# sizes to the command line.
there() {
  local split size hide='import json, sys
for line in sys.stdin:
    question = json.loads(line)
    del question[sys.argv[1]]
    print(json.dumps(question))'
  mkdir -p build/bin data/llama output
  ln -s "$bin/perplexity" build/bin/
  cp -r "$root"/{input,jobs,tools} .
  rm -f tools/{pth2h5,sets2jsonl,llama2bovila,ckpt2pth}
  ln -s "$bin"/{pth2h5,sets2jsonl,llama2bovila,ckpt2pth} tools/
  cp -r "$mini"/data/* data/
  python3 -c "$hide" answer_idx <data/tvqa/tvqa_val.jsonl >data/tvqa/tvqa_test_public.jsonl
  python3 -c "$hide" answer <data/vlep/vlep_dev_release.jsonl >data/vlep/vlep_test_release.jsonl
  cp "$mini/llama/tokenizer.model" data/llama/
  cp -r "$mini/llama/mini" data/llama/7B
  for size in 13B 33B 65B; do cp -r "$mini/llama/mini" data/llama/$size; done
  python3 "$root/tests/tools/meta_to_hf.py" "$mini/llama/mini" data/llama/Llama-3.1-8B
  "$bin/pth2h5" input/demo/data/star/clipvitl14.pth output/demo/features >/dev/null 2>&1
  "$bin/pth2h5" data/star/clipvitl14.pth shards --shards 2 >/dev/null 2>&1
  cp shards/shard-00000.h5 holiday.h5 # of one video
  echo '{"video": "holiday", "question": "what is it", "options": ["a", "b"]}' >questions.jsonl
  echo "what is it" >text.txt
  shorten_sweep
  for split in train:24 val:12; do
    shorten "$root/input/demo/data/star/STAR_${split%:*}.json" \
      "input/demo/data/star/STAR_${split%:*}.json" "${split#*:}"
  done
  stand_in bovila "exec $bin/bovila \"\$@\" --set model.max_seq_len=256 --set train.epochs=1 \
    --set train.warmup_epochs=0 --set run.threads_per_rank=1 --set run.tensor_parallel=1"
  stand_in mpirun 'shift 2; exec "$@"'
  stand_in srun 'while [[ $1 == --* ]]; do shift; done; exec "$@"'
  stand_in sbatch 'while [[ $1 == --* ]]; do
    [[ $1 == *,DECK=* ]] && export DECK=${1##*,DECK=}
    shift
  done
  exec bash "$@"'
  # What TensorBoard reads below a folder, without its server, which does not end.
  stand_in tensorboard '[[ $1 == --logdir ]] && exec python3 -c "import sys
from tensorboard.backend.event_processing.event_file_inspector import inspect
inspect(sys.argv[1])" "$2"'
  mkdir own data/mixture
  for split in train val; do
    echo '[{"dataset": "star", "folder": "../star"}, {"dataset": "nextqa", "folder": "../nextqa"}]' \
      >"data/mixture/$split.json"
  done
  for split in train val; do tools/sets2jsonl star data/star $split >own/$split.jsonl 2>/dev/null; done
  cp -r shards own/features
  bin/bovila input/star.toml --set "data.features=$PWD/shards" --output output/other >/dev/null 2>&1
  tools/ckpt2pth output/other checkpoint_best.pth >/dev/null 2>&1
}

# The other pages, in the order in which one's results are the next one's inputs: a deck runs when
# its data is there.
other_pages() {
  local page
  commands "input/README.md#-Decks" "input/README.md#Decks" "jobs/README.md#-$on_slurm" tools/README.md
  python3 "$root/tests/tools/pages.py" list | while read -r page; do
    case $page in
      README.md | input/README.md | input/demo/README.md | jobs/README.md | tools/README.md) ;;
      *) commands "$page" ;;
    esac
  done
}

# Not run: `make` and tests/run.sh, which this script is part of; `bovila stop`, `kill` and tools/hang,
# which want a run beside them (resume.sh, hang.sh); and tools/extract_features.py, which fetches CLIP (with a small one:
# extract_features.sh).
test_all_other_commands() {
  there
  other_pages | grep -vE '^(make|bovila stop|kill|tests/run.sh|tools/extract_features.py|tools/hang) ' |
    sed 's/step-00000800/step-00000002/' >page
  follow 50 S0
  holds "load('output/star-eval/eval.json') == load('output/star/epoch0.json')"
  holds "lines('answers.jsonl')[0]['video'] == 'holiday' and 'answer' in lines('answers.jsonl')[0]"
  holds "load('output/star-3.1/config.json')['model']['llama'] == 'data/llama/Llama-3.1-8B'"
  [[ -s star.pth && -s star-800.pth && -s star.svg && -s output/star/report.html ]]
  [[ $(<said-perplexity) =~ ^[0-9.]+$ ]]
}

run_tests pages
