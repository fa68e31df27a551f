"""What SmolLM2 is taught before it sees the demo's frames (tools/demo_smollm.sh). It is a small
model that knows neither the prompt nor the pictures:

    smollm_lessons.py questions DATA FOLDER
        annotations for two lessons without pictures, from DATA/STAR_{train,val}.json.
        FOLDER/named: the question names its answer: "Shown last is five. Which digit ...";
        FOLDER/words: the question lists digits, which a made-up video shows in this order:
        "Shown are two, nine, five. Which digit ..."
    smollm_lessons.py projection DATA LLAMA LEARNT.pth START.pth
        START.pth is LEARNT.pth (of tools/ckpt2pth) with another visual_proj, and no temporal_emb:
        the least squares fit of frames to the embeddings of the words that they show. Which ones do
        is known from training questions alone: the answer to "first" is shown in the first three
        seconds, that to "last" in the last three. DATA/clipvitl14.pth holds the frames.

Questions need Python alone, the projection PyTorch too.
"""
import json
import os
import pickle
import random
import sys

sys.dont_write_bytecode = True  # the folder of the program is not ours to write to
from output_place import Refused, holds_text, output_place, whole_file  # noqa: E402

DIGITS = "zero one two three four five six seven eight nine".split()
NAMED = {"Interaction": "Shown is", "Sequence": "Shown last is", "Prediction": "Shown first is",
         "Feasibility": "Never shown is"}
SECONDS = 3   # a digit is shown so long, or longer
RIDGE = 1.0   # keeps the fit from the frames' 704 dimensions without a pixel


class LessonError(Exception):
    """Of the files: said without a traceback."""


def read_questions(data, split):
    path = os.path.join(data, f"STAR_{split}.json")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise LessonError(f"{path}: expected the demo's annotations: {error}") from error


def kind(question):
    return question["question_id"].split("_")[0]


def options(question):
    return [choice["choice"] for choice in question["choices"]]


def shown_digits(question, rng):
    """Three digits, in order, to which the answer is the only right one of the options."""
    answer = question["answer"]
    wrong = [digit for digit in options(question) if digit != answer]
    if kind(question) == "Interaction":
        digits = [answer] + rng.sample(sorted(set(DIGITS) - set(options(question))), 2)
        rng.shuffle(digits)
        return digits
    if kind(question) == "Feasibility":
        return rng.sample(wrong, 3)
    others = rng.sample(wrong, 2)
    return others + [answer] if kind(question) == "Sequence" else [answer] + others


def read_tensors(path):
    import torch
    try:
        return torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise LessonError(f"{path}: expected a file of tensors: {error}") from error


def entry(tensors, name, path):
    try:
        return tensors[name]
    except (KeyError, IndexError, TypeError) as error:
        raise LessonError(f"{path}: expected '{name}' in it, got none") from error


def write_lessons(data, folder):
    for split in ("train", "val"):
        rng = random.Random(0)
        questions = read_questions(data, split)
        facts = {"named": [f"{NAMED[kind(one)]} {one['answer']}." for one in questions],
                 "words": [f"Shown are {', '.join(shown_digits(one, rng))}." for one in questions]}
        for lesson, texts in facts.items():
            os.makedirs(os.path.join(folder, lesson), exist_ok=True)
            told = json.dumps([{**question, "question": f"{text} {question['question']}"}
                               for question, text in zip(questions, texts)])
            place = output_place(os.path.join(folder, lesson, f"STAR_{split}.json"),
                                 "this lesson", lambda path, told=told: holds_text(path, told))
            with whole_file(place) as file:
                file.write(told.encode())


def read_vocabulary(path):
    """Token -> id."""
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file)["model"]["vocab"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LessonError(f"{path}: expected a Hugging Face tokenizer with a vocabulary of token "
                          f"-> id in model.vocab: {error!r}") from error


def word_embeddings(llama):
    """[10, D]: of the digits' words behind a blank, one token each."""
    vocabulary = read_vocabulary(os.path.join(llama, "tokenizer.json"))
    missing = [digit for digit in DIGITS if f"\u0120{digit}" not in vocabulary]
    if missing:
        raise LessonError(f"{llama}: expected a token for each digit's word, got none for "
                          f"{', '.join(missing)}")
    path = os.path.join(llama, "consolidated.00.pth")
    embeddings = entry(read_tensors(path), "tok_embeddings.weight", path)
    return embeddings.float()[[vocabulary[f"\u0120{d}"] for d in DIGITS]]


def labelled_frames(data):
    """Frames [N, 768] of training videos and which digit each shows [N]."""
    import torch
    features = read_tensors(os.path.join(data, "clipvitl14.pth"))
    answers = {(one["video_id"], kind(one)): one for one in read_questions(data, "train")}
    frames, labels = [], []
    for (video, which), question in answers.items():
        end = round(question["end"]) + 1
        rows = {"Prediction": slice(0, SECONDS), "Sequence": slice(end - SECONDS, end)}.get(which)
        if rows is None:
            continue
        frames.append(features[video][rows].float())
        labels += [DIGITS.index(question["answer"])] * len(frames[-1])
    return torch.cat(frames), torch.tensor(labels)


def write_start(data, llama, learnt, start):
    place = output_place(start, sources=[learnt])
    import torch
    frames, labels = labelled_frames(data)
    words = word_embeddings(llama)[labels]
    checkpoint = read_tensors(learnt)
    model = entry(checkpoint, "model", learnt)
    shape = entry(model, "visual_proj.weight", learnt).shape
    covariance = frames.T @ frames + RIDGE * torch.eye(frames.shape[1])
    fit = torch.linalg.solve(covariance, frames.T @ words).T.contiguous()
    if shape != fit.shape:
        raise LessonError(f"{learnt}: expected visual_proj.weight of {list(fit.shape)}, got "
                          f"{list(shape)}")
    model["visual_proj.weight"] = fit
    model["temporal_emb.weight"] = torch.zeros_like(entry(model, "temporal_emb.weight", learnt))
    with whole_file(place) as file:
        torch.save(checkpoint, file)
    print(f"visual_proj fits {len(labels)} frames of training videos to {len(DIGITS)} words")


def main(arguments):
    commands = {"questions": (write_lessons, 2), "projection": (write_start, 4)}
    command, count = commands.get(arguments[0] if arguments else "", (None, 0))
    if arguments == ["--help"]:
        print(__doc__)
        return 0
    if command is None or len(arguments) != 1 + count or not all(arguments):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        command(*arguments[1:])
    except (LessonError, Refused, OSError, ImportError) as error:
        print(f"smollm_lessons.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
