#!/usr/bin/env bash
# Every data set's own deck under mpirun, as a user types it, and splits that hide their answers.
. "$(dirname "$0")/helpers.bash"

# two_steps DATASET OPTIONS [ARGUMENT...]: --check, then an epoch of two steps on two ranks.
two_steps() {
  local dataset=$1 letters=$2
  shift 2
  inputs "$dataset"
  exits 0 bovila "${deck[@]}" "$@" --check
  exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --set train.batch_size=6 "$@"
  says "epoch 1 step 2 (24 of 24 questions)"
  holds "[q['qid'] for q in load('out/epoch0.json')] == list(range(12))"
  holds "all(q['pre'] in '$letters' and q['ans'] in '$letters' for q in load('out/epoch0.json'))"
  holds "0 <= lines('out/log.txt')[0]['val_acc'] <= 1"
  holds "len(lines('out/log.txt')) == 1"
}

test_star_trains() { two_steps star ABCD; }
test_dramaqa_trains() { two_steps dramaqa ABCDE; }
test_vlep_trains_with_its_subtitles() { two_steps vlep AB; }
test_tvqa_trains() { two_steps tvqa ABCDE; }
test_tvqa_trains_with_subtitles() { two_steps tvqa ABCDE --set data.subtitles=true; }
test_how2qa_trains() { two_steps how2qa ABCD; }

test_nextqa_trains_and_says_its_official_figures() {
  two_steps nextqa ABCDE
  says "; Acc_C " ", Acc_T " ", Acc_D "
  holds "{'val_CH', 'val_TP', 'val_Acc_C', 'val_Acc_T', 'val_Acc_D'} <= lines('out/log.txt')[0].keys()"
  holds "all(q['question_id'].startswith(q['vid'] + '_') for q in load('out/epoch0.json'))"
}

test_flipped_vqa_trains_by_its_decks_and_scores_its_checkpoints() {
  local name
  for name in nextqa star dramaqa vlep tvqa; do
    inputs $name
    deck[0]=$root/input/flipped/$name.toml
    exits 0 ranks 2 "${deck[@]}" --set train.epochs=1 --set train.batch_size=6 --output "$name"
    says "loss_qav"
    holds "all(r['loss_qav'] > 0 and r['loss_aqa'] == 0 and abs(r['loss'] - r['loss_vqa'] - r['loss_vaq']
               - r['loss_qav']) < 1e-5 * r['loss'] for r in lines('$name/metrics.jsonl'))"
    holds "all(q['u'] == 0 for q in load('$name/epoch0.json'))"
    holds "(lines('$name/metrics.jsonl')[0]['loss_vaq'] == 0) == ('$name' == 'vlep')"
    exits 0 bovila "${deck[@]}" --eval --resume "$mini/adapter_init.pth" --output "$name-published"
    says "scoring the published checkpoint"
    holds "len(load('$name-published/eval.json')) == 12"
  done
}

# rewritten DATASET VAL OPTION... -- SETTING...: the set's deck and the same on the lines that
# sets2jsonl, with these options, makes of its splits: the same training, the same predictions.
rewritten() {
  local dataset=$1 val=$2 split options=()
  shift 2
  inputs "$dataset"
  while [[ $1 != -- ]]; do options+=("$1") && shift; done
  shift
  mkdir own
  for split in train "$val"; do
    "$bin/sets2jsonl" "$dataset" "$mini/data/$dataset" "$split" "${options[@]}" >"own/$split.jsonl" 2>hint
  done
  deck+=(--set train.epochs=1)
  ((${#options[@]} == 0)) || deck+=(--set data.subtitles=true)
  exits 0 bovila "${deck[@]}"
  exits 0 bovila "${deck[@]}" --set data.dataset=jsonl --set data.folder=own "$@" --output again
  for file in epoch0.json questions.jsonl metrics.jsonl; do cmp "out/$file" "again/$file"; done
}
test_star_rewritten_as_lines_gives_the_same_bytes() { rewritten star val --; }
test_dramaqa_rewritten_as_lines_gives_the_same_bytes() { rewritten dramaqa val --; }
test_how2qa_rewritten_as_lines_gives_the_same_bytes() { rewritten how2qa public_val --; }
test_nextqa_rewritten_as_lines_gives_the_same_bytes() { rewritten nextqa val --; }
test_vlep_rewritten_as_lines_gives_the_same_bytes() { rewritten vlep val --subtitles --; }
test_tvqa_rewritten_as_lines_gives_the_same_bytes() {
  rewritten tvqa val -- --set data.frames_per_second=3 --set data.subtitles=true
  grep -q "data.frames_per_second = 3, data.subtitles = true" hint
}
test_tvqa_with_subtitles_rewritten_as_lines_gives_the_same_bytes() {
  rewritten tvqa val --subtitles -- --set data.frames_per_second=3
}

test_sets2jsonl_says_what_is_wrong() {
  exits 2 "$bin/sets2jsonl" star nowhere train
  says "nowhere/STAR_train.json is missing"
  exits 2 "$bin/sets2jsonl" star nowhere
  exits 2 "$bin/sets2jsonl" mixture nowhere train
  says "a mixture's sets have frame rates and dialogues of their own: rewrite each set"
  exits 2 "$bin/sets2jsonl" stars nowhere train
  says "data.dataset: expected one of star, "
}

test_a_data_set_of_ones_own_is_trained_reported_and_asked() {
  inputs star
  mkdir own
  python3 - "$mini/data/star/STAR_train.json" <<'END'
import json, sys
videos = sorted({q["video_id"] for q in json.load(open(sys.argv[1]))})[:3]
def line(n, options, answer, **more):
    return {"video": videos[n % 3], "question": "What is it?", "options": options, "answer": answer, **more}
lines = [line(0, ["the cup", "the book"], 1, type="things", id="first"),
         line(1, ["a", "b", "c", "d", "e", "f"], "F", type="letters", caption="A man with a book."),
         line(2, ["yes", "no", "maybe"], "A", type="things", start=1, end=3),
         line(3, ["yes", "no"], 0, video=videos[:2]),
         line(4, ["a", "b", "c"], 2, type="letters", context="It is one of three.")]
for split, part in (("train", lines), ("val", lines[:4])):
    with open(f"own/{split}.jsonl", "w") as file:
        file.writelines(json.dumps(one) + "\n" for one in part)
END
  deck+=(--set data.dataset=jsonl --set data.folder=own --set train.epochs=1 \
    --set train.warmup_epochs=0)
  exits 0 bovila "${deck[@]}" --check
  says "train: 5 questions with 2 to 6 options about"
  exits 0 ranks 2 "${deck[@]}"
  holds "all(q['pre'] in 'ABCDEF'[:n]
             for q, n in zip(load('out/epoch0.json'), (2, 6, 3, 2), strict=True))"
  holds "[q.get('type') for q in load('out/epoch0.json')] == ['things', 'letters', 'things', None]"
  holds "load('out/epoch0.json')[0]['question_id'] == 'first'"
  holds "{'val_things', 'val_letters'} <= lines('out/log.txt')[0].keys()"
  exits 0 "$root/tools/report" out
  grep -q '"types":\["letters"\]' out/report.html
  bovila answer "${deck[@]}" <own/val.jsonl >answers
  holds "[a['answer'] for a in lines('answers')] == [q['pre'] for q in load('out/epoch0.json')]"
}

test_several_sets_are_trained_on_at_once_and_evaluated_apart() {
  inputs star
  mkdir mix own
  features star >/dev/null
  exits 0 "$bin/pth2h5" "$(features star)" both --with "$mini/data/nextqa/clipvitl14.pth" --shards 2
  cat >own/train.jsonl <<'END'
{"video": "S0", "question": "What is it?", "options": ["the cup", "the book"], "answer": 1, "type": "things"}
END
  cat >mix/train.json <<END
[{"dataset": "star", "folder": "$mini/data/star", "weight": 2},
 {"dataset": "nextqa", "folder": "$mini/data/nextqa", "weight": 0.25},
 {"dataset": "jsonl", "folder": "../own", "weight": 3, "name": "own"}]
END
  cat >mix/val.json <<END
[{"dataset": "star", "folder": "$mini/data/star"}, {"dataset": "nextqa", "folder": "$mini/data/nextqa"},
 {"dataset": "jsonl", "folder": "../own", "name": "own", "split": "train"}]
END
  deck[0]=$root/input/mixture.toml
  deck+=(--set data.folder=mix --set data.features=both --set train.epochs=1
    --set train.warmup_epochs=0)
  exits 0 bovila "${deck[@]}" --check
  says "train: 57 questions with 2 to 5 options about" "24 questions of star, 48 an epoch" \
    "24 questions of nextqa, 6 an epoch" "1 question of own, 3 an epoch"
  exits 0 ranks 2 "${deck[@]}"
  holds "{'val_star', 'val_star/Interaction', 'val_nextqa', 'val_nextqa/CW', 'val_nextqa/Acc_C',
          'val_own', 'val_own/things'} <= lines('out/log.txt')[0].keys()"
  holds "[len([q for q in load('out/epoch0.json') if q['question_id'].startswith(name + '/')])
          for name in ('star', 'nextqa', 'own')] == [12, 12, 1]"
  # Each set alone has the same predictions.
  exits 0 bovila "${deck[@]}" --set data.dataset=star --set "data.folder=$mini/data/star" --eval \
    --resume out --output alone --despite-differences
  holds "[q['pre'] for q in load('alone/eval.json')] == [q['pre'] for q in load('out/epoch0.json')][:12]"
  # Any number of ranks has the same questions; a copy that is drawn otherwise would be refused.
  exits 0 bovila "${deck[@]}" --eval
  holds "[q['pre'] for q in load('out/eval.json')] == [q['pre'] for q in load('out/epoch0.json')]"
  exits 0 ranks 3 "${deck[@]}" --set train.epochs=2
  says "going on"
  exits 0 "$root/tools/report" out
  grep -q '"types":\["own","own/things"\]' out/report.html
  bovila answer "${deck[@]}" <own/train.jsonl >answers
  holds "lines('answers')[0]['answer'] == load('out/epoch1.json')[-1]['pre']"
  sed -i 's/"folder"/"weight": 2, &/' mix/val.json
  exits 2 ranks 2 "${deck[@]}" --eval
  says 'set 1: "weight": 2 is for data.train_split alone: what is scored counts once'
}

test_the_other_sets_are_read_by_their_decks_and_scored() {
  inputs star
  local features name
  features=$(features star)
  python3 - "$mini/data/star/STAR_train.json" <<'END'
import csv, json, os, sys
videos = sorted({q["video_id"] for q in json.load(open(sys.argv[1]))})[:2]
for name in ("intentqa", "egoschema", "perceptiontest", "mvbench"): os.mkdir(name)
for split in ("train", "val"):
    with open(f"intentqa/{split}.csv", "w") as file:
        out = csv.writer(file)
        out.writerow("video_id frame_count width height question answer qid type a0 a1 a2 a3 a4 action "
                     "lemma lemma_id".split())
        for n, kind in enumerate(("CW", "TN", "TP")):
            out.writerow([videos[n % 2], 1, 1, 1, "why", n, n, kind, *"abcde", "go", "go", 1])
json.dump([{"q_uid": v, "question": "what", **{f"option {n}": "abcde"[n] for n in range(5)}}
           for v in videos], open("egoschema/questions.json", "w"))
json.dump({videos[0]: 3}, open("egoschema/subset_answers.json", "w"))
question = {"question": "what", "options": list("abc"), "answer_id": 1, "area": "physics",
            "reasoning": "predictive"}
for split in ("train", "valid"):
    json.dump({v: {"metadata": {}, "mc_question": [{"id": 0, **question}]} for v in videos},
              open(f"perceptiontest/mc_question_{split}.json", "w"))
for task, options in (("count", "ab"), ("order", "abcd")):
    json.dump([{"video": v + ".mp4", "question": "what", "candidates": list(options), "answer": "b"}
               for v in videos], open(f"mvbench/{task}.json", "w"))
END
  for name in intentqa egoschema perceptiontest mvbench; do
    exits 0 bovila "$root/input/$name.toml" "${sizes[@]}" --set "data.folder=$name" \
      --set "data.features=$features" --check
    ! grep "no features" said
    exits 0 bovila "$root/input/$name.toml" "${sizes[@]}" --set "data.folder=$name" \
      --set "data.features=$features" --eval --output "out-$name"
    case $name in
      intentqa) says "(CW " ", TN " ", TP " "; TP&TN " ;;
      perceptiontest) says "(physics " ", predictive " ;;
      mvbench) says " of 4 questions (count " ", order " ;;
      egoschema) says " of 1 question, mean" && lacks "data.train_split and data.val_split are both" ;;
    esac
  done
}

test_features_of_another_width_are_trained_on_and_told_from_the_checkpoint() {
  inputs star
  mkdir frames
  python3 - "$mini/data/star" <<'END'
import json, struct, sys
videos = {q["video_id"] for s in ("train", "val") for q in json.load(open(f"{sys.argv[1]}/STAR_{s}.json"))}
for number, video in enumerate(sorted(videos)):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 96), }".ljust(117) + "\n"
    values = [((number * 31 + i * 7) % 13 - 6) / 6 for i in range(8 * 96)]
    with open(f"frames/{video}.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack(f"<{len(values)}f", *values))
END
  "$bin/pth2h5" frames features >/dev/null 2>&1
  deck+=(--set train.epochs=1)
  exits 0 ranks 2 "${deck[@]}" --set data.features=features
  exits 0 bovila "${deck[@]}" --set data.features=features --set data.normalize_frames=true --output unit
  exits 2 bovila "${deck[@]}" --eval
  says "data.features (contents): "
  exits 2 bovila "${deck[@]}" --eval --despite-differences
  says "'visual_proj.weight' has shape [48, 96], this model's has [48, 768]"
}

# hide_answers DATASET KEY FROM TO: a copy of the annotations, with one split without the key.
hide_answers() {
  cp -r "$mini/data/$1" data
  python3 - "$mini/data/$1/$3" "data/$4" "$2" <<'END'
import json, sys
with open(sys.argv[2], 'w') as out:
    for line in open(sys.argv[1]):
        question = json.loads(line)
        del question[sys.argv[3]]
        print(json.dumps(question), file=out)
END
}

test_tvqa_test_split_without_answers_is_scored() {
  inputs tvqa
  hide_answers tvqa answer_idx tvqa_val.jsonl tvqa_test_public.jsonl
  deck+=(--set data.folder=data --set data.val_split=test_public)
  exits 0 ranks 2 "${deck[@]}" --eval
  says_once "accuracy unknown (the split hides its answers)"
  holds "len(load('out/eval.json')) == 12"
  holds "not any('ans' in q for q in load('out/eval.json'))"
  # The same predictions as for the split with answers.
  exits 0 bovila "${deck[@]}" --set data.val_split=val --eval --output known
  holds "[q['pre'] for q in load('out/eval.json')] == [q['pre'] for q in load('known/eval.json')]"
  holds "all('ans' in q for q in load('known/eval.json'))"
}

test_vlep_test_split_without_answers_is_scored() {
  inputs vlep
  hide_answers vlep answer vlep_dev_release.jsonl vlep_test_release.jsonl
  exits 0 bovila "${deck[@]}" --set data.folder=data --set data.val_split=test --eval
  says "accuracy unknown (the split hides its answers)"
  holds "not any('ans' in q for q in load('out/eval.json'))"
}

test_training_on_a_split_without_answers_is_refused() {
  inputs tvqa
  hide_answers tvqa answer_idx tvqa_train.jsonl tvqa_train.jsonl
  exits 2 ranks 2 "${deck[@]}" --set data.folder=data
  says_once "a split that hides its answers can be scored with --eval, not trained on"
}

test_validation_on_a_split_without_answers_records_no_accuracy() {
  inputs tvqa
  hide_answers tvqa answer_idx tvqa_val.jsonl tvqa_val.jsonl
  exits 0 bovila "${deck[@]}" --set data.folder=data --set train.epochs=1
  holds "'val_acc' not in lines('out/log.txt')[0]"
  holds "'train_loss' in lines('out/log.txt')[0]"
}

run_tests "data sets"
