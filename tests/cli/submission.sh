#!/usr/bin/env bash
# tools/submission: the files of each server, and predictions that it would refuse.
. "$(dirname "$0")/helpers.bash"

# scored DATASET FILE: a run's folder `out` with predictions for the questions of an official file of
# the golden set, the second option each.
scored() {
  python3 - "$1" "$mini/data/$1/$2" <<'END'
import csv, json, os, pathlib, sys
dataset, path = sys.argv[1], pathlib.Path(sys.argv[2])
text = path.read_text()
rows = (list(csv.DictReader(text.splitlines())) if path.suffix == ".csv" else
        json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()])
id_of = {"nextqa": lambda r: f"{r['video']}_{r['qid']}", "star": lambda r: r["question_id"],
         "tvqa": lambda r: str(r["qid"]), "vlep": lambda r: str(r["example_id"])}[dataset]
os.makedirs("out", exist_ok=True)
with open("out/questions.jsonl", "w") as file:
    for n, row in enumerate(rows):
        one = {"vid": "v", "qid": n, "question_id": id_of(row), "pre": "B", "ans": "A", "u": 0}
        if dataset == "star": one["type"] = row["question_id"].split("_")[0]
        file.write(json.dumps(one) + "\n")
json.dump({"data": {"dataset": dataset, "folder": str(path.parent)}}, open("out/config.json", "w"))
END
}

test_nextqas_script_gets_predictions_and_answers() {
  scored nextqa val.csv
  exits 0 "$root/tools/submission" out
  says "out/submission/nextqa_val.json"
  holds "list(load('out/submission/nextqa_val.json').values()) == [{'prediction': 1, 'answer': 0}] * 12"
  holds "list(load('out/submission/nextqa_val.json'))[0].count('_') == 1"
  exits 0 "$root/tools/submission" out # the same again is no harm
  sed -i 's/"pre": "B"/"pre": "C"/' out/questions.jsonl
  exits 2 "$root/tools/submission" out
  says "nextqa_val.json is there and says something else"
  exits 0 "$root/tools/submission" out --output again
  sed -i 's/"ans": "A", //' out/questions.jsonl
  exits 2 "$root/tools/submission" out --output third
  says "NExT-QA's script wants the right answers too"
}

test_stars_server_gets_the_four_types() {
  scored star STAR_val.json
  exits 2 "$root/tools/submission" out --split val
  says "star's server takes the split test, not val"
  mkdir annotations
  cp "$mini/data/star/STAR_val.json" annotations/STAR_test.json
  exits 0 "$root/tools/submission" out --annotations annotations
  holds "set(load('out/submission/star_test.json')) <= {'Interaction', 'Sequence', 'Prediction', 'Feasibility'}"
  holds "sum(len(v) for v in load('out/submission/star_test.json').values()) == 12"
  holds "all(set(q) == {'question_id', 'answer'} and q['answer'] == 1
             for v in load('out/submission/star_test.json').values() for q in v)"
}

test_tvqas_server_gets_a_file_a_split_and_what_the_model_is() {
  scored tvqa tvqa_val.jsonl
  exits 0 "$root/tools/submission" out --split val
  holds "list(load('out/submission/prediction_val.json').values()) == [1] * 12"
  holds "load('out/submission/meta.json')['model_name'] == 'out'"
  mkdir annotations
  cp "$mini/data/tvqa/tvqa_val.jsonl" annotations/tvqa_test_public.jsonl
  exits 0 "$root/tools/submission" out --annotations annotations
  holds "len(load('out/submission/prediction_test_public.json')) == 12"
}

test_vleps_server_gets_lines() {
  scored vlep vlep_dev_release.jsonl
  mkdir annotations
  cp "$mini/data/vlep/vlep_dev_release.jsonl" annotations/vlep_test_release.jsonl
  exits 0 "$root/tools/submission" out --annotations annotations
  holds "all(isinstance(q['example_id'], int) and q['pred_ans'] == q['pre_ans'] == 1
             for q in lines('out/submission/vlep_test.jsonl'))"
  holds "len(lines('out/submission/vlep_test.jsonl')) == 12"
}

test_egoschemas_server_gets_a_table() {
  mkdir out
  echo '[{"q_uid": "u1"}, {"q_uid": "u2"}]' >out/questions.json
  echo '{"data": {"dataset": "egoschema", "folder": "out"}}' >out/config.json
  printf '{"qid": %s, "question_id": "u%s", "pre": "E", "u": 0}\n' 0 1 1 2 >out/questions.jsonl
  exits 0 "$root/tools/submission" out
  printf 'q_uid,answer\nu1,4\nu2,4\n' | cmp - out/submission/egoschema.csv
}

test_missing_questions_and_another_split_are_refused() {
  scored nextqa val.csv
  sed -i 3d out/questions.jsonl
  exits 2 "$root/tools/submission" out
  says "of the 12 questions of the split val 1 lacks a prediction, '"
  exits 2 "$root/tools/submission" out --split test
  says "test.csv cannot be read"
  mkdir annotations
  sed "s/^24/99/" "$mini/data/nextqa/val.csv" >annotations/test.csv
  exits 2 "$root/tools/submission" out --split test --annotations annotations
  says "predictions of 11 are not of the split test, '" "score it with --eval --set data.val_split=test"
  echo 7 >annotations/test.csv
  exits 2 "$root/tools/submission" out --split test --annotations annotations
  says "predictions of 11 are not of the split test"
  rm out/questions.jsonl
  exits 2 "$root/tools/submission" out
  says "out has no predictions"
  echo '{"data": {"dataset": "how2qa"}}' >out/config.json
  exits 2 "$root/tools/submission" out
  says "how2qa has no server that this tool knows"
  [[ ! -e out/submission ]]
}

run_tests submission
