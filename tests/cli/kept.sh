#!/usr/bin/env bash
# Decks and checkpoints of earlier versions, kept in tests/kept/VERSION: today's program reads each
# deck, scores each checkpoint, and goes on with each run as that version's program would have.
. "$(dirname "$0")/helpers.bash"

# here VERSION: this folder is the one that the kept deck is written for.
here() {
  kept=$root/tests/kept/$1
  ln -s "$root/tests" tests
  ln -s "$(features star)" features
  cp -r "$kept/run" out
  saved=$(echo out/checkpoints/step-*)
}

# each_version TEST: runs it in a folder a version, at least one.
each_version() {
  local folder number=0
  for folder in "$root"/tests/kept/*/; do
    mkdir "$(basename "$folder")"
    pushd "$(basename "$folder")" >/dev/null
    here "$(basename "$folder")"
    "$1"
    popd >/dev/null
    number=$((number + 1))
  done
  ((number > 0))
}

# Numbers agree but for the rounding of another processor.
same_rows='all(a.keys() == b.keys() and all(a[k] == b[k] if isinstance(b[k], str) else
               abs(a[k] - b[k]) <= 1e-3 * max(abs(b[k]), 1e-3) for k in b)
               for a, b in zip(%s, %s, strict=True))'
same() { # same READER FILE EXPECTED: of rows of JSON
  # shellcheck disable=SC2059
  holds "$(printf "$same_rows" "$1('$2')" "$1('$kept/expected/$3')" | tr '\n' ' ')"
}

deck_is_read() {
  exits 0 bovila "$kept/deck.toml" --output fresh
  # All keys of then, with their values of then.
  python3 - "$kept/deck.toml" fresh/config.json <<'END'
import json, sys, tomllib
then, now = tomllib.load(open(sys.argv[1], "rb")), json.load(open(sys.argv[2]))
assert then.pop("output") and all(then.values())
for table, values in then.items():
    for key, value in values.items():
        assert now[table][key] == value, (table, key, value, now[table][key])
END
}
test_decks_of_earlier_versions_are_read_and_mean_what_they_meant() {
  each_version deck_is_read
}

checkpoint_is_scored() {
  exits 0 bovila "$kept/deck.toml" --eval --resume "$saved" --output again
  same load again/eval.json eval.json
}
test_checkpoints_of_earlier_versions_are_scored() { each_version checkpoint_is_scored; }

run_goes_on() {
  exits 0 bovila "$kept/deck.toml"
  says_once "going on from $saved, saved by "
  same lines out/log.txt log.txt
  same load out/epoch1.json epoch1.json
}
test_runs_of_earlier_versions_go_on_to_their_end() { each_version run_goes_on; }

test_who_saved_a_checkpoint_is_said_when_it_was_another_bovila() {
  inputs star
  here 0.1.0
  exits 0 bovila "$kept/deck.toml"
  says_once "going on from out/checkpoints/step-00000008, saved by a bovila before 0.2"
  exits 0 bovila "$kept/deck.toml" --set train.epochs=3
  says_once "going on from out/checkpoints/step-00000012"
  ! grep -q "saved by" said
  holds "load('out/build.json')['version'] == load('out/checkpoints/step-00000018/build.json')['version']"
  holds "load('out/build.json') == load('out/checkpoints/step-00000018/build.json')"
  # Another version's checkpoint of this form, sealed as it would be.
  python3 - <<'END'
import hashlib, json, pathlib
folder = pathlib.Path("out/checkpoints/step-00000018")
build = json.dumps({"version": "0.9.1", "git": "abc"})
(folder / "build.json").write_text(build)
manifest = json.loads((folder / "manifest.json").read_text())
manifest["files"]["build.json"] = {"size": len(build), "sha256": hashlib.sha256(build.encode()).hexdigest()}
(folder / "manifest.json").write_text(json.dumps(manifest))
END
  exits 0 bovila "$kept/deck.toml" --set train.epochs=4
  says_once "going on from out/checkpoints/step-00000018, saved by bovila 0.9.1 (git abc)"
}

run_tests kept
