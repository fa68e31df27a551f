#!/usr/bin/env bash
# The pages for users say what is there: files, make targets, options, deck keys, links, messages.
# Uses $BUILD/bin. Of all but links it looks at code only (indented blocks and `spans`). Prints one
# line a check, "ok NAME" or "FAILED NAME: why"; exits 1 when one failed.
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

pages() { python3 tests/tools/pages.py "$@"; }
mapfile -t names < <(pages list)
code=$(pages code "${names[@]}")

# pages_find WHAT: sets the array `wrong` to what pages.py finds, or to its failure.
pages_find() {
  local found
  found=$(pages "$1") || found="pages.py $1 failed"
  mapfile -t wrong < <(grep . <<<"$found")
}

# enough NAME COUNT WANTED: a check that looks at nothing proves nothing.
enough() {
  if (($2 >= $3)); then check "$1"; else check "$1" "only $2, expected $3 or more"; fi
}
enough "there are pages" ${#names[@]} 8
enough "they have code" "$(wc -l <<<"$code")" 500
wrong=()
lines=$(wc -l <README.md)
((lines <= 200)) || wrong+=("$lines lines")
check "README.md has at most 200 lines" "${wrong[@]}"

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
check "the files that they name exist" "${wrong[@]}"
enough "they name files" ${#paths[@]} 90

pages_find links
check "links lead to files and headings, and from README.md to every page" "${wrong[@]}"

# --- pictures ------------------------------------------------------------------------------------
wrong=()
cmp <(tools/draw_flow.py) tools/pictures/flow.svg >&2 || wrong+=("run tools/draw_flow.py")
check "the picture of the flow is what its script draws" "${wrong[@]}"
wrong=()
mapfile -t rooms < <(grep -oP 'class="room">\K[a-z, ]+' tools/pictures/flow.svg | grep -oE '[a-z]+')
for room in "${rooms[@]}"; do
  [[ -d src/$room ]] || wrong+=("$room")
done
check "the rooms in it exist" "${wrong[@]}"
enough "it has rooms" ${#rooms[@]} 12
wrong=()
bytes=$(stat -c %s tools/pictures/report.png || echo 0)
((bytes > 1000 && bytes < 150000)) || wrong+=("$bytes bytes")
check "the picture of the report is small" "${wrong[@]}"

# --- rooms ---------------------------------------------------------------------------------------
order=$(sed -n '/^set(BOVILA_ROOMS /,/)/{s/^set(BOVILA_ROOMS//; s/).*//; p}' CMakeLists.txt | xargs)
chain=$(grep -E '^    core < ' README.md | sed 's/ < / /g' | xargs)
wrong=()
[[ $chain == "$order" ]] || wrong+=("README.md has '$chain', CMakeLists.txt '$order'")
check "the order of the rooms is that of the build" "${wrong[@]}"
enough "the build has rooms" "$(wc -w <<<"$order")" 12
wrong=()
for room in $order; do
  lines=$(wc -l <"src/$room/README.md" || echo 0)
  ((lines >= 5 && lines <= 15)) || wrong+=("src/$room/README.md has $lines")
done
check "each room has a page of 5 to 15 lines" "${wrong[@]}"

# --- make targets --------------------------------------------------------------------------------
wrong=()
for word in $(after make | grep -E '^[a-z][a-z-]*$' | sort -u); do
  grep -qE "^$word:" Makefile || wrong+=("$word")
done
check "make targets exist" "${wrong[@]}"
wrong=()
for setting in $(after make | grep -oE '^[A-Z_]+=' | sort -u); do
  grep -qE "^# .*\b$setting" Makefile || grep -qE "^${setting%=} " Makefile || wrong+=("$setting")
done
check "settings of make exist" "${wrong[@]}"

# --- options and keys ----------------------------------------------------------------------------
helps() {
  case $1 in
    bovila) "$bin/bovila" --help && "$bin/bovila" answer --help ;;
    *.py | report | plot_run | sweep) "tools/$1" --help ;;
    *) "$bin/$1" --help ;;
  esac
}
for program in bovila pth2h5 sets2jsonl llama2bovila ckpt2pth extract_features.py report plot_run sweep; do
  help=$(helps $program 2>&1)
  wrong=()
  mapfile -t options < <(after $program | grep -oE '^--[a-z0-9-]+' | sort -u)
  for option in "${options[@]}"; do
    grep -qE -- "(^|[ ,])$option( |$)" <<<"$help" || wrong+=("$option")
  done
  check "the options of $program that they use exist" "${wrong[@]}"
  case $program in
    bovila) least=12 ;;
    pth2h5 | extract_features.py) least=3 ;;
    sweep) least=6 ;;
    report) least=0 ;;
    *) least=1 ;;
  esac
  enough "they use options of $program" ${#options[@]} $least
done

# "train.epochs" is the row `epochs` below the heading [train] of input/keys.md.
documented() {
  sed -n "/^## \[${1%%.*}\]/,/^## /p" input/keys.md | grep -qF "| \`${1#*.}\` |"
}
wrong=()
key_pattern='(?<![\w./-])(model|data|prompt|train|loss|eval|run|checkpoint|output)\.[a-z_]+(?![\w/.(])'
for key in $(grep -oP "$key_pattern" <<<"$code" | grep -vE '\.(jsonl?|toml|csv|py|safetensors|lock|cpp|h)$' | sort -u); do
  documented "$key" || wrong+=("$key")
done
check "the deck keys that they name exist" "${wrong[@]}"

wrong=()
for deck in $(after bovila | grep -E '\.toml$' | sort -u); do
  [[ -r $deck ]] || wrong+=("$deck")
done
check "the decks that they run exist" "${wrong[@]}"

# --- what they quote of the program --------------------------------------------------------------
pages_find messages
check "messages in the headings of troubleshooting.md are in the sources" "${wrong[@]}"
enough "it has messages" "$(grep -c '^### `' input/troubleshooting.md)" 35

said() { # NAME TEXT COMMAND...: the program says TEXT, and troubleshooting.md quotes it.
  local name=$1 text=$2 output wrong=()
  shift 2
  output=$("$@" 2>&1 </dev/null)
  grep -qF -- "$text" <<<"$output" || wrong+=("the program says: $output")
  grep -qF -- "$text" input/troubleshooting.md || wrong+=("troubleshooting.md does not quote: $text")
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
