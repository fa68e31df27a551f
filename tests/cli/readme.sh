#!/usr/bin/env bash
# README.md says what is there: its files, make targets, options, deck keys, links. Uses $BUILD/bin.
# Looks at code only (indented blocks and `spans`). Prints one line a check, "ok NAME" or
# "FAILED NAME: why"; exits 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

bin=$(realpath -m "${BUILD:-build}/bin")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# check NAME WHAT-IS-WRONG...: nothing wrong is ok.
check() {
  local name=$1
  shift
  if (($#)); then
    echo "FAILED readme: $name: $*"
    failed=1
  else
    echo "ok readme: $name"
  fi
}

# The code of README.md, one block's line or one span a line. A span may go on in the next line.
code=$(python3 - <<'PYTHON'
import re
text = open("README.md", encoding="utf-8").read()
blocks = [line for line in text.splitlines() if line.startswith("    ")]
prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
print("\n".join(blocks + spans))
PYTHON
)

# enough NAME COUNT WANTED: a check that looks at nothing proves nothing.
enough() {
  if (($2 >= $3)); then check "$1"; else check "$1" "only $2, expected $3 or more"; fi
}
enough "has code" "$(wc -l <<<"$code")" 50

# after PROGRAM: the words behind the program's name, one a line, of every line that calls it.
after() {
  grep -E "(^|[ /])$1( |$)" <<<"$code" | sed -E "s/#.*//; s/^(.*[ /])?$1( |$)//" |
    tr ' ' '\n' | grep .
}

# --- files: NAME and NNNN stand for something, data/ and output/ are the user's ------------------
wrong=()
path_pattern='(?<![\w./-])(src|include|tests|tools|input|jobs)/[\w./*-]*'
mapfile -t paths < <(grep -oP "$path_pattern" <<<"$code" | sed 's/\.$//' | sort -u)
for path in "${paths[@]}"; do
  [[ $path == *NAME* || -e $path ]] || wrong+=("$path")
done
check "the files that it names exist" "${wrong[@]}"
enough "names files" ${#paths[@]} 30

wrong=()
for path in $(grep -oP '\]\(\K[^)#]+' README.md | grep -v '^http'); do
  [[ -e $path ]] || wrong+=("$path")
done
check "its links lead to files" "${wrong[@]}"

wrong=() # as GitHub names headings
slugs=$(grep -E '^##+ ' README.md | sed -E 's/^#+ //' | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-')
for anchor in $(grep -oP '\]\(#\K[^)]+' README.md); do
  grep -qxF -- "$anchor" <<<"$slugs" || wrong+=("#$anchor")
done
check "its links within itself lead to headings" "${wrong[@]}"

# --- make targets --------------------------------------------------------------------------------
wrong=()
for word in $(after make | grep -E '^[a-z][a-z-]*$' | sort -u); do
  grep -qE "^$word:" Makefile || wrong+=("$word")
done
check "its make targets exist" "${wrong[@]}"
wrong=()
for setting in $(after make | grep -oE '^[A-Z_]+=' | sort -u); do
  grep -qE "^# .*\b$setting" Makefile || grep -qE "^${setting%=} " Makefile || wrong+=("$setting")
done
check "its settings of make exist" "${wrong[@]}"

# --- options and keys ----------------------------------------------------------------------------
helps() {
  case $1 in
    bovila) "$bin/bovila" --help && "$bin/bovila" answer --help ;;
    *.py) "tools/$1" --help ;;
    *) "$bin/$1" --help ;;
  esac
}
for program in bovila pth2h5 llama2bovila ckpt2pth extract_features.py; do
  help=$(helps $program 2>&1)
  wrong=()
  mapfile -t options < <(after $program | grep -oE '^--[a-z0-9-]+' | sort -u)
  for option in "${options[@]}"; do
    grep -qE -- "(^|[ ,])$option( |$)" <<<"$help" || wrong+=("$option")
  done
  check "the options of $program that it uses exist" "${wrong[@]}"
  enough "uses options of $program" ${#options[@]} $([[ $program == *2bovila || $program == *2pth ]] && echo 1 || echo 3)
done

# "train.epochs" is the row `epochs` below the heading [train] of input/README.md.
documented() {
  sed -n "/^## \[${1%%.*}\]/,/^## /p" input/README.md | grep -qF "| \`${1#*.}\` |"
}
wrong=()
key_pattern='(?<![\w./-])(model|data|train|loss|eval|run|output)\.[a-z_]+(?![\w/.(])'
for key in $(grep -oP "$key_pattern" <<<"$code" | grep -vE '\.(json|toml|csv|py|safetensors|lock)$' | sort -u); do
  documented "$key" || wrong+=("$key")
done
check "the deck keys that it names exist" "${wrong[@]}"

wrong=()
for deck in $(after bovila | grep -E '\.toml$' | sort -u); do
  [[ -r $deck ]] || wrong+=("$deck")
done
check "the decks that it runs exist" "${wrong[@]}"

# --- what it quotes of the program ---------------------------------------------------------------
said() { # NAME TEXT COMMAND...: the program says TEXT, and README.md quotes it.
  local name=$1 text=$2 output wrong=()
  shift 2
  output=$("$@" 2>&1 </dev/null)
  grep -qF -- "$text" <<<"$output" || wrong+=("the program says: $output")
  grep -qF -- "$text" README.md || wrong+=("README.md does not quote: $text")
  check "quotes the message: $name" "${wrong[@]}"
}
said "folder is not there" "folder 'data/llama/7B' of model.llama is not there" \
  env -C "$work" "$bin/bovila" "$PWD/input/star.toml"
said "no checkpoint" "no checkpoint in " \
  "$bin/bovila" answer input/demo.toml --features tests --set output.folder="$work/none"
said "no feature set" "cannot be read; a feature set is a folder made by tools/pth2h5" \
  "$bin/bovila" input/demo.toml --check --set data.features=tests
sed 's/^batch_size/batchsize/' input/demo.toml >"$work/deck.toml"
said "unknown key" "unknown key 'batchsize' in [train]; did you mean 'batch_size'?" \
  "$bin/bovila" "$work/deck.toml" --check

exit $failed
