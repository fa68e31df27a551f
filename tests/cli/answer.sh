#!/usr/bin/env bash
# `bovila answer` as a person and as a program meet it: the answers are --eval's, a line is answered
# before the next is sent, and what cannot be answered is said and passed over.
. "$(dirname "$0")/helpers.bash"

# trained DATASET: sets `deck`, and trains with it, once a script, in a folder that tests only read.
trained() {
  inputs "$1"
  [[ $1 == tvqa ]] && deck+=(--set data.subtitles=true)
  deck+=(--set "output.folder=$work/trained-$1")
  [[ -d $work/trained-$1 ]] || bovila "${deck[@]}" --set train.epochs=1 >/dev/null 2>&1
}

# answered STATUS FILE [ARGUMENT...]: the answers to the lines of a file are in `answers`.
answered() {
  local status=$1 file=$2
  shift 2
  feed() { bovila answer "${deck[@]}" "$@" <"$file" >answers; }
  exits "$status" feed "$@"
}

# are_those_of_eval ASKED AT-LEAST: so many answers are those of eval.json to the bit, the others are
# to questions about clips that the features do not hold.
are_those_of_eval() {
  holds "all(a['answer'] == e['pre'] and a['uncertainty'] == e['u']
             and a['index'] == min(range(len(a['scores'])), key=a['scores'].__getitem__)
             for a in lines('answers') if 'error' not in a
             for e in [load('eval/eval.json')[a['id']]])"
  holds "all('has no features' in a['error'] or 'the clip starts at' in a['error']
             for a in lines('answers') if 'error' in a)"
  holds "[a['id'] for a in lines('answers')] == list(range(12))"
  holds "sum('error' not in a for a in lines('answers')) >= $1"
}

# like_eval DATASET STATUS AT-LEAST
like_eval() {
  trained "$1"
  python3 "$root/tests/cli/ask.py" "$1" "$mini" >asked
  answered "$2" asked
  exits 0 bovila "${deck[@]}" --eval --set eval.batch_size=1 --resume "$work/trained-$1" --output eval
  are_those_of_eval "$3"
}

test_star_is_answered_as_by_eval() { like_eval star 2 8; }
test_scenes_of_dramaqa_are_answered_as_by_eval() { like_eval dramaqa 0 12; }
test_vlep_with_its_dialogues_is_answered_as_by_eval() { like_eval vlep 2 6; }
test_tvqa_with_its_dialogues_is_answered_as_by_eval() { like_eval tvqa 0 12; }

test_in_batches_eval_agrees_to_rounding() {
  trained star
  python3 "$root/tests/cli/ask.py" star "$mini" >asked
  answered 2 asked
  exits 0 bovila "${deck[@]}" --eval --resume "$work/trained-star" --output eval
  holds "all(a['answer'] == e['pre'] and abs(a['uncertainty'] - e['u']) < 1e-5
             for a in lines('answers') if 'error' not in a for e in [load('eval/eval.json')[a['id']]])"
}

test_abstain_says_which_answers_had_better_not_be_taken() {
  trained star
  cp -r "$work/trained-star" run
  python3 "$root/tests/cli/ask.py" star "$mini" >asked
  python3 - run/calibration.json >threshold <<'END'
import json, sys
path = sys.argv[1]
whole = json.load(open(path))
del whole["certainties"]["probability"]["risk_coverage"][:-1]  # it answers all questions or none
json.dump(whole, open(path, "w"))
points = whole["certainties"]["u"]["risk_coverage"]
middle = points[len(points) // 2]
within = [point for point in points if point[1] <= middle[1]][-1]
print(json.dumps({"risk": middle[1], "threshold": within[2], "coverage": within[0]}))
END
  answered 2 asked --resume run --abstain "$(python3 -c 'import json; print(json.load(open("threshold"))["risk"])')"
  says "abstains where 1 - u is below" "% of the validation split are answered"
  holds "all(a['certainty'] == 1 - a['uncertainty'] and
             a['abstains'] == (a['certainty'] < load('threshold')['threshold'])
             for a in lines('answers') if 'error' not in a)"
  answered 2 asked --resume run --abstain 1
  holds "not any(a['abstains'] for a in lines('answers')
                 if 'error' not in a and a['certainty'] > load('threshold')['threshold'])"
  answered 2 asked
  holds "not any('abstains' in a or 'certainty' in a for a in lines('answers'))"

  python3 - <<'END' # as of a run without an evidential loss, evaluated with a temperature
import json
whole = json.load(open("run/calibration.json"))
whole["certainties"] = {"probability": {"risk_coverage": [[1, 0.5, 0.25]]}}
whole["temperature"]["used"] = 4
json.dump(whole, open("run/calibration.json", "w"))
END
  answered 2 asked --resume run --abstain 0.4
  says "abstains from every question: no threshold of the validation split has so little risk"
  holds "all(a['abstains'] and abs(1 / a['certainty'] - sum(
             2.718281828459045 ** ((min(a['scores']) - s) / 4) for s in a['scores'])) < 1e-9
             for a in lines('answers') if 'error' not in a)"
  echo '{' >run/calibration.json
  answered 2 asked --resume run --abstain 0.4
  says "run/calibration.json is not whole: \`bovila DECK --eval\` writes it again"
  rm run/calibration.json
  answered 2 asked --resume run --abstain 0.4
  says "run/calibration.json is not there: --abstain takes its threshold from it"
  answered 2 asked --abstain 5
  says_once "--abstain: expected a share, 0 to 1, got 5"
  answered 2 asked --abstain nan
  says_once "--abstain: expected a share, 0 to 1, got nan"
}

test_on_a_terminal_it_says_what_it_waits_for() {
  trained star
  exits 0 timeout 60 python3 -c '
import os, pty, subprocess, sys
mine, its = pty.openpty()
os.write(mine, b"\4")  # the end of the input, as it is typed
sys.exit(subprocess.run(sys.argv[1:], stdin=its).returncode)' "$bin/bovila" answer "${deck[@]}"
  says_once "each line typed here is a question, {\"video\": "
}

test_a_program_gets_each_answer_before_it_sends_the_next_question() {
  trained star
  cat >talk.py <<'END'
import json, subprocess, sys
bovila = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
for number in range(3):
    ask = {"id": f"q{number}", "video": "S0", "question": "what is it", "options": ["a", "b", "c"]}
    bovila.stdin.write(json.dumps(ask) + "\n")
    bovila.stdin.flush()
    answer = json.loads(bovila.stdout.readline())
    assert answer["id"] == ask["id"] and answer["video"] == "S0", answer
    assert answer["options"] == ["a", "b", "c"] and len(answer["scores"]) == 3, answer
bovila.stdin.close()
assert bovila.stdout.read() == "" and bovila.wait() == 0
END
  exits 0 timeout 60 python3 talk.py "$bin/bovila" answer "${deck[@]}"
}

test_a_line_that_cannot_be_answered_is_said_and_the_others_are() {
  trained star
  python3 - >asked <<'END'
import json, sys
good = dict(video="S0", question="what is it", options=["a", "b"])
put = lambda **changes: print(json.dumps({k: v for k, v in dict(good, **changes).items() if v is not ...}))
put()
print("{")
print("[1]")
print()
put(video="S00")
put(video=...)
put(video=7)
put(question=...)
put(options=["a"])
put(options=["a"] * 27)
put(options=["a", 3])
put(start=1)
put(start=3, end=1)
put(start=1000, end=1001)
put(start="1", end=2)
put(dialogue="hello")
put(qustion="typed wrong")
put(video=["S0", "S00"])
put(allow_missing=1)
put(candidates=["a", "b"], options=..., video="S0.mp4")
put(question="word " * 400)
put(question="x" * 1100000)
sys.stdout.flush()
sys.stdout.buffer.write(b'{"video": "\xff"}\n')
put(question="the last, without a newline", id=[1])
END
  truncate -s -1 asked
  answered 2 asked
  says_once "21 of the lines could not be answered"
  holds "['error' in a for a in lines('answers')] == [False] + [True] * 21 + [False]"
  holds "[a['line'] for a in lines('answers')[1:-1]] == [2, 3] + list(range(5, 24))"
  holds "lines('answers')[-1]['id'] == [1]"
  cat >expected <<'END'
not JSON: 
expected an object ({...}), got array
video "S00" has no features; is "S0
"video" is missing: the features are those of 
"video": expected a text, got number
"question" is missing or blank
"options": expected 2 to 26 texts, got 1
"options": expected 2 to 26 texts, got 27
"options": expected a text, got number
"start" and "end" come together
expected 0 <= "start" <= "end" in seconds, got 3 to 1
the clip starts at 1000 s, video "S0" has 
"start": expected a number of seconds, got string
a "dialogue" is given, and data.subtitles of the deck is false
unknown key "qustion", is "question" meant?; a question has video, question, options
video "S00" has no features; is "S0
"allow_missing": expected true or false, got number
unknown key "candidates", is "options" meant?; a question has video, question, options, start, end, dialogue, allow_missing, caption, context, id; "options": expected 2 to 26 texts, got 0; video "S0.mp4" has no features; is "S0" meant?
the prompt has 
the line has more than 1048576 bytes
not JSON: 
END
  holds "all(a['error'].startswith(text.rstrip('\n'))
             for a, text in zip(lines('answers')[1:-1], open('expected'), strict=True))"
}

test_one_question_on_the_command_line() {
  trained star
  echo '{"video": "S0", "question": "what is it", "options": ["a", "b, c"], "start": 1, "end": 4}' >asked
  answered 0 asked
  exits 0 bash -c '"$@" 2>/dev/null' - "$bin/bovila" answer "${deck[@]}" --video S0 \
    --question "what is it" --option a --option "b, c" --start 1 --end 4
  cmp said answers
  echo '{"video": "S0", "question": "what is it", "options": ["a", "b"], "caption": "A man.",
    "context": "He is late."}' | tr -d '\n' >asked
  answered 0 asked
  exits 0 bash -c '"$@" 2>/dev/null' - "$bin/bovila" answer "${deck[@]}" --video S0 \
    --question "what is it" --option a --option b --caption "A man." --context "He is late."
  cmp said answers
  exits 0 bash -c '"$@" 2>/dev/null' - "$bin/bovila" answer "${deck[@]}" --video S0 \
    --question "what is it" --option a --option b
  (! cmp -s said answers)
  exits 2 bovila answer "${deck[@]}" --caption "A man."
  says "--caption requires --option"
  exits 1 bash -c '"$@" >/dev/full' - "$bin/bovila" answer "${deck[@]}" --video S0 \
    --question "what is it" --option a --option b
  says_once "error: standard output cannot be written to"
  exits 2 bovila answer "${deck[@]}" --video S1000 --question "what is it" --option a --option b
  says_once 'video "S1000" has no features'
  exits 2 bovila answer "${deck[@]}" --video S0
  says "--video requires --option"
}

test_a_missing_video_of_a_list_is_an_error_or_is_named_in_the_answer() {
  trained star
  local ask=(answer "${deck[@]}" --question - --option a --option b --video S0 --video S1000)
  exits 2 bovila "${ask[@]}"
  says_once 'video "S1000" has no features'
  says_once '(1 of the 2 videos; with "allow_missing": true, or --allow-missing, zeros stand for such)'
  exits 0 bash -c '"$@" 2>/dev/null' - "$bin/bovila" "${ask[@]}" --allow-missing
  holds "lines('said')[0]['missing'] == ['S1000']"
  exits 2 bovila answer "${deck[@]}" --video S1000 --question - --option a --option b --allow-missing
  says_once 'video "S1000" has no features'
}

test_options_and_videos_are_taken_as_they_are_typed_wherever_the_deck_stands() {
  trained star
  local more=("${deck[@]:1}")
  python3 -c 'import json
for options in [["[laughs]", "b"], ["[two,five]", "{}"], ["a,b", "%%"]]:
    print(json.dumps({"video": "S0", "question": "-", "options": options}))' >asked
  answered 0 asked
  local line=0 first second
  while read -r first second; do
    exits 0 bash -c '"$@" 2>/dev/null' - "$bin/bovila" answer --video S0 --question - \
      --option "$first" --option "$second" "$deck" "${more[@]}"
    ((++line))
    cmp said <(sed -n "${line}p" answers)
  done <<<$'[laughs] b\n[two,five] {}\na,b %%'
  exits 2 bovila answer "${deck[@]}" --question - --option a --option b --video "[S0,S1]"
  says_once 'video "[S0,S1]" has no features'
  exits 2 bovila answer "${deck[@]}" --video S0 --question - --option The book. --option b
  says "The following argument was not expected: book."
  exits 2 bovila answer "${deck[@]}" --video S0 --question - --option --video --option b
  says "--option: expected a value, got the option --video"
}

test_another_run_and_other_features_can_be_named() {
  trained star
  deck+=(--set "output.folder=$PWD/none" --set data.features=/nowhere --set data.folder=/nowhere)
  echo '{"video": "S0", "question": "what is it", "options": ["a", "b"]}' >asked
  answered 0 asked --resume "$work/trained-star" --features "$(features star)"
  [[ ! -e none ]]
  answered 2 asked --resume "$work/trained-star" --features "$root/README.md"
  says_once "README.md"
  answered 2 asked --features "$(features star)"
  says_once "no checkpoint in $PWD/none/checkpoints: train first"
}

test_several_ranks_are_refused() {
  trained star
  exits 2 ranks 2 answer "${deck[@]}"
  says_once "\`bovila answer\` is one process, 2 were started: leave mpirun out"
}

test_a_signal_ends_it_while_it_waits() {
  trained star
  mkfifo questions
  exec 9<>questions
  "$bin/bovila" answer "${deck[@]}" <questions >answers 2>said &
  local job=$! status=0 i
  for ((i = 0; i < 600; ++i)); do
    grep -q "answering with" said && break
    sleep 0.1
  done
  kill "$job"
  wait "$job" || status=$?
  exec 9>&-
  [[ $status == 143 && ! -s answers ]]
}

run_tests answer
