#!/usr/bin/env bash
# What `make install` puts below a prefix, used as at a site: from an empty PATH, by man, bash and
# Environment Modules, as jobs, and by the tools, of which those in Python need a PATH with python3.
# (An installed job on a real Slurm: tests/slurm/jobs.sh.)
. "$(dirname "$0")/helpers.bash"
export PYTHONPATH=$root/.deps/test-python:$root/.deps/python # matplotlib, gguf

prefix="$work/a prefix"
share=$prefix/share/bovila
version=$(sed -n 's/^project(bovila VERSION \([0-9.]*\) .*/\1/p' "$root/CMakeLists.txt")
cmake --install "$bin/.." --prefix "$prefix" >"$work/installed" 2>&1 || cat "$work/installed"

clean() { env -i HOME="$HOME" PATH=/usr/bin:/bin PYTHONPATH="$PYTHONPATH" "$@"; }

test_all_tools_decks_jobs_and_pages_are_there() {
  local file
  ! grep -iE "warning|error" "$work/installed"
  for file in bin/{bovila,bovila-hang,pth2h5,sets2jsonl,llama2bovila,ckpt2pth,extract_features.py,gguf2llama.py} \
    bin/bovila-{report,plot-run,sweep,submission} share/bovila/jobs/{run.sh,supervise.sh,restarts.bash,hosts.bash,mpirun_hosts.bash,maintenance.bash,star.slurm,tvqa.slurm} \
    share/bovila/input/{star.toml,demo.toml,keys.md,demo/data/star/clipvitl14.pth} \
    share/man/man1/bovila.1 share/bash-completion/completions/bovila \
    share/modulefiles/bovila/"$version" share/doc/bovila/CHANGELOG.md; do
    [[ -r $prefix/$file ]] || { echo "$file is not there" && return 1; }
  done
  for file in "$root"/input/*.toml; do [[ -r $share/input/$(basename "$file") ]]; done
  for file in "$root"/jobs/*.slurm; do [[ -r $share/jobs/$(basename "$file") ]]; done
}

test_make_install_takes_a_prefix() {
  exits 0 make --dry-run -C "$root" install PREFIX="some/prefix"
  says "bovila bovila-hang pth2h5 sets2jsonl llama2bovila ckpt2pth pages" "--prefix \"$root/some/prefix\""
}

test_compiled_programs_run_from_an_empty_path() {
  local tool
  for tool in bovila bovila-hang pth2h5 sets2jsonl llama2bovila ckpt2pth; do
    exits 0 env -i PATH= "$prefix/bin/$tool" --version
    grep -qE "^bovila $version \(git (unknown|[0-9a-f]{12,}(-dirty)?)\)$" said
    exits 0 env -i PATH= "$prefix/bin/$tool" --help
    readelf --dynamic "$prefix/bin/$tool" >dynamic # pth2h5 needs no run path
    ! grep -F "$(realpath "$bin/..")" dynamic      # nothing is left of the build folder
  done
  exits 0 env -i PATH= "$prefix/bin/bovila" --build-info
  says "  version " "  git " "  compiler " "  flags " "  LibTorch " "  CUDA " "  NCCL " "  MPI " "  HDF5 "
}

test_tools_in_python_run_from_a_path_with_python_alone() {
  local tool
  mkdir out
  echo '{"train": {"epochs": 3}}' >out/config.json
  exits 0 clean "$prefix/bin/bovila-report" out
  [[ -s out/report.html ]]
  exits 0 clean "$prefix/bin/bovila-plot-run" out
  [[ -s out/plot.png ]]
  cp -r "$share/input" .
  exits 0 clean "$prefix/bin/bovila-sweep" input/sweeps/demo.toml --list
  says "mpirun -np 2 '$prefix/bin/bovila' input/demo-published.toml --output output/sweeps/demo/demo-published/full/seed0-"
  for tool in bovila-report bovila-plot-run bovila-sweep bovila-submission extract_features.py; do
    exits 0 clean "$prefix/bin/$tool" --help
    says "usage: $tool"
  done
  exits 0 clean "$prefix/bin/gguf2llama.py" --help
  says "gguf2llama.py MODEL.gguf FOLDER"
  [[ -z $(find "$prefix" -name __pycache__) ]]
}

test_the_demo_runs_from_copied_decks() {
  cp -r "$share/input" .
  "$prefix/bin/pth2h5" input/demo/data/star/clipvitl14.pth output/demo/features >/dev/null 2>&1
  exits 0 "$prefix/bin/bovila" input/demo.toml --check
  says "fit together"
}

# documented_keys: TABLE.KEY of each row of input/keys.md.
documented_keys() {
  awk -F '`' '/^## \[/ { gsub(/[^a-z]/, ""); table = $0 } /^\| `/ { print table "." $2 }' "$root/input/keys.md"
}

# shown FILE: as man shows it on a wide terminal, in plain text.
shown() { clean LC_ALL=C.UTF-8 MANWIDTH=300 man --warnings=w -l "$1" | col -b; }

test_the_manual_page_has_every_option_every_key_and_every_program() {
  local word key
  shown "$prefix/share/man/man1/bovila.1" >page 2>warnings
  [[ ! -s warnings ]] || { cat warnings && return 1; }
  grep -q "bovila stop FOLDER" page
  { "$prefix/bin/bovila" --help && "$prefix/bin/bovila" answer --help; } |
    grep -oE '^ +(-h,)?--[a-z-]+' | grep -oE -- '--.*' | sort -u >options
  (($(wc -l <options) > 15))
  documented_keys >keys
  (($(wc -l <keys) > 50))
  while read -r word; do
    grep -qE "^ +(-h,)?$word( |$)" page || { echo "the page lacks $word" && return 1; }
  done <options
  while read -r key; do
    grep -qF "$key: " page || { echo "the page lacks $key" && return 1; }
  done <keys
  for word in "$prefix"/bin/*; do
    grep -qwF "$(basename "$word")" page || { echo "the page lacks $word" && return 1; }
  done
  grep -q "bovila $version" page
  grep -qF 'train.epochs: integer (1 .. 1000000), default 10' page
  [[ $(clean env PATH="$prefix/bin:/usr/bin" man -w bovila) == "$prefix/share/man/man1/bovila.1" ]]
}

test_only_the_two_pages_can_be_generated() {
  exits 2 bovila --generate nothing
  says "--generate: nothing not in {man,bash-completion}"
}

# completed WORDS...: what bash offers for the last word, a line each.
completed() {
  clean bash --norc --noprofile -c '
    source "$1" || exit
    shift
    COMP_WORDS=(bovila "$@") COMP_CWORD=$#
    _bovila
    printf "%s\n" "${COMPREPLY[@]}"' _ "$prefix/share/bash-completion/completions/bovila" "$@"
}
# offers EXPECTED WORDS...
offers() {
  local expected=$1
  shift
  [[ $(completed "$@" | sort | tr '\n' ' ') == "$expected " ]] && return
  echo "expected '$expected' for: $*, got: $(completed "$@" | tr '\n' ' ')"
  return 1
}

test_bash_completes_options_keys_and_values() {
  mkdir decks
  touch star.toml data.txt
  offers "--check" --ch
  offers "answer" an
  offers "decks" de
  offers "star.toml stop" s
  offers "stop" sto
  offers "decks" stop d
  offers "star.toml" answer s
  offers "--video" answer --vi
  offers "" answer --fre
  offers "--features" answer --features
  offers "train.epochs=" --set train.ep
  offers "train.epochs=" answer star.toml --set train.ep
  offers "train.epochs=" --set = train.ep
  offers "auto bf16 fp16 fp32" --set model.precision =
  offers "bf16" --set model.precision = b
  offers "true" --set loss.aqa_gate = t
  offers "" --output d
  completed --set "" >offered
  diff <(documented_keys | sed 's/$/=/' | sort) <(sort offered)
}

test_a_terminal_completes_with_the_tab_key() {
  clean python3 - "$prefix/share/bash-completion/completions/bovila" <<'END'
import os, pty, select, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "-i"])
shown = ""
def until(text):
    global shown
    end = time.monotonic() + 60
    while text not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
os.write(terminal, f"bind 'set enable-bracketed-paste off'; source '{sys.argv[1]}' && echo rea''dy\n".encode())
until("ready")
os.write(terminal, b"bovila --prof\t--set model.prec\tfp1\t")
until("bovila --profile --set model.precision=fp16")
os.write(terminal, b"\x03exit\n")
END
}

test_the_module_file_finds_all_and_takes_it_back() {
  clean env MODULEPATH="$prefix/share/modulefiles" bash -c '
    set -eu
    eval "$(modulecmd bash load bovila)"
    command -v bovila
    echo "$BOVILA_HOME"
    eval "$(modulecmd bash unload bovila)"
    ! command -v bovila
    [[ -z ${BOVILA_HOME:-} ]]' >said 2>&1 || { cat said && return 1; }
  says_once "$prefix/bin/bovila"
  says_once "$share"
  clean env MODULEPATH="$prefix/share/modulefiles" modulecmd bash whatis bovila >said 2>&1
  says "bovila $version: a frozen LLaMA"
}

# As Slurm does it: what is run is a copy of the job's file, in the folder where it was submitted.
test_a_job_runs_from_the_prefix() {
  local name
  mkdir fake spool
  printf '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n' >fake/srun
  chmod +x fake/srun
  inputs star
  for name in star tvqa; do
    cp "$share/jobs/$name.slurm" spool/slurm_script
    exits 2 env PATH="$PWD/fake:/usr/bin:/bin" bash spool/slurm_script --set train.epoch=1
    says "the deck is $share/input/$name.toml" "unknown key 'train.epoch'"
  done
  grep -qF "exec \"$prefix/bin/extract_features.py\" " "$share/jobs/extract.slurm"
  exits 0 clean "$prefix/bin/extract_features.py" --help
  says "--part K/N"
  cp "$share/jobs/star.slurm" spool/slurm_script
  exits 0 env PATH="$PWD/fake:/usr/bin:/bin" bash spool/slurm_script "${deck[@]:1}" --set train.epochs=1
  says "bovila $version (git " "ended with exit code 0"
  [[ -s out/log.txt ]]
  mkdir input # a deck of one's own comes first
  cp "$root/input/vlep.toml" input/star.toml
  exits 2 env PATH="$PWD/fake:/usr/bin:/bin" bash spool/slurm_script --set train.epoch=1
  says "input/star.toml" "unknown key 'train.epoch'"
  ! grep -q "the deck is" said
}

# commit: what the build would write for the folder `source`.
commit() {
  cmake -D "SOURCE=$PWD/source" -D "HEADER=$PWD/git.h" -P "$root/tools/cmake/git_commit.cmake"
  sed -n 's/^#define BOVILA_GIT "\(.*\)"$/\1/p' git.h
}

test_the_commit_is_asked_at_each_build_and_changes_nothing_while_it_is_the_same() {
  local first
  mkdir source
  [[ $(commit) == unknown ]]
  git init -q . # a repository around the folder is not its own
  git -c user.name=a -c user.email=a commit -q --allow-empty -m one
  [[ $(commit) == unknown ]]
  git init -q source
  echo 1 >source/file
  git -C source add file
  git -C source -c user.name=a -c user.email=a commit -q -m two
  first=$(git -C source rev-parse --short=12 HEAD)
  [[ $(commit) == "$first" ]]
  touch -d "2020-01-01" git.h
  [[ $(commit) == "$first" && $(stat -c %y git.h) == 2020-* ]]
  echo 2 >source/file
  [[ $(commit) == "$first-dirty" ]]
  git -C source -c user.name=a -c user.email=a commit -q -a -m three
  [[ $(commit) == "$(git -C source rev-parse --short=12 HEAD)" && $(commit) != "$first" ]]
}

run_tests install
