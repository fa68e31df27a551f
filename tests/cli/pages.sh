#!/usr/bin/env bash
# README.md's pages for those who begin: every command of them is run, in order, as it stands there.
# Stand-ins: the demo's LLaMA and 24 of its questions for LLaMA-7B and STAR, a video of the demo for
# STAR's, and for Slurm an sbatch and an srun that run the job at once with one rank (a real Slurm is
# in tests/slurm). Compiling is left out.
. "$(dirname "$0")/helpers.bash"

# commands HEADING: the lines of the code blocks below a heading, a continued one in one line.
commands() {
  python3 - "$root/README.md" "$1" <<'END'
import sys
text = open(sys.argv[1], encoding="utf-8").read()
section = text.split(f"\n## {sys.argv[2]}\n")[1].split("\n## ")[0].replace("\\\n", "")
print("\n".join(line.strip() for line in section.splitlines() if line.startswith("    ")))
END
}

# shorten FROM TO: the first questions of an annotation file.
shorten() {
  python3 -c 'import json, sys
json.dump(json.load(open(sys.argv[1]))[:int(sys.argv[3])], open(sys.argv[2], "w"))' "$@"
}

# here: this folder is like the repository, with few questions.
here() {
  local demo=$root/input/demo split
  mkdir -p build bin data/llama/7B data/star
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
  printf '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec bash "$@"\n' >bin/sbatch
  printf '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n' >bin/srun
  printf '#!/bin/bash\n[[ $1 == build ]] || BUILD=build exec tools/demo.sh\n' >bin/make
  chmod +x bin/*
  export PATH=$PWD/bin:$PATH
}

# follow HEADING AT-LEAST: runs the commands of a page, at least so many.
follow() {
  local command number=0
  commands "$1" >page
  while read -r command; do
    command=${command//6H78U/val0000}
    exits 0 timeout 300 bash -c "$command" || { echo "failed: $command" && return 1; }
    cp said "said-$((++number))"
  done <page
  ((number >= $2)) || { echo "only $number commands below $1" && return 1; }
}

test_the_page_for_those_without_weights_or_data() {
  here
  follow "Try it, without weights or data" 4
  holds "len(load('output/demo-eval/eval.json')) == 12"
  holds "load('output/demo-plain/config.json')['train']['seed'] == 1"
  cp said-2 said
  says '"answer":' '"uncertainty":'
}

test_the_page_for_star_on_slurm() {
  here
  follow "STAR with LLaMA-7B on a Slurm cluster, from nothing" 11
  holds "len(lines('output/star/log.txt')) == 10"
  holds "load('output/star-eval/eval.json') == load('output/star/epoch9.json')"
  holds "len(lines('output/star-4/log.txt')) == 10"
}

run_tests pages
