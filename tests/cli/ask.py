"""ask.py DATASET FOLDER: the questions of a golden folder's validation split as lines for
`bovila answer`. Dialogues are those of the golden prompts. Used by answer.sh."""
import json
import sys

dataset, folder = sys.argv[1:]
data = f"{folder}/data/{dataset}/"


def lines(name):
    return [json.loads(line) for line in open(data + name)]


def dialogues(tokens):
    prompts = json.load(open(f"{folder}/tokens-{tokens}.json"))["val"]
    return [p["text"].get("d_text", "Dialogue: \n")[len("Dialogue: "):-1] for p in prompts]


def star():
    for q in json.load(open(data + "STAR_val.json")):
        choices = sorted(q["choices"], key=lambda choice: choice["choice_id"])
        yield dict(video=q["video_id"], question=q["question"], start=q["start"], end=q["end"],
                   options=[choice["choice"] for choice in choices])


def dramaqa():
    for q in json.load(open(data + "AnotherMissOhQA_val_set.json")):
        first, last = q["shot_contained"][0], q["shot_contained"][-1]
        shots = [f"{q['vid'][:-4]}{shot:04}" for shot in range(first, last + 1)]
        yield dict(video=shots if q["vid"].endswith("0000") else q["vid"], question=q["que"],
                   options=q["answers"], allow_missing=True)


def vlep():
    for q, said in zip(lines("vlep_dev_release.jsonl"), dialogues("vlep")):
        yield dict(video=q["vid_name"], start=q["ts"][0], end=q["ts"][1], options=q["events"],
                   dialogue=said)


def tvqa():
    for q, said in zip(lines("tvqa_val.jsonl"), dialogues("tvqa-sub")):
        times = {} if "nan" in q["ts"] else dict(zip(("start", "end"), map(float, q["ts"].split("-"))))
        yield dict(video=q["vid_name"], question=q["q"], options=[q[f"a{i}"] for i in range(5)],
                   dialogue=said.removeprefix(" "), **times)


for number, question in enumerate(globals()[dataset]()):
    print(json.dumps(dict(question, id=number)))
