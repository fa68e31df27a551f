#!/usr/bin/env python3
"""Writes annotations of TVQA's real size in its own format: make_tvqa.py FOLDER [QUESTIONS [VIDEOS]].

122,039 training questions about 21,793 videos, each with an .srt of 40 subtitles; a hundredth of that to
validate. Texts are random words of the lengths that TVQA has (a question of 13 words, answers of 5)."""
import json
import os
import random
import sys

WORDS = ("the a to of and what is does when after before says Sheldon Leonard Penny House Castle Ted Robin "
         "door table phone coffee bottle laughs walks opens takes holds why where kitchen office").split()


def text(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def question(rng, number, video):
    start = rng.uniform(0, 50)
    row = {f"a{i}": text(rng, rng.randint(2, 8)) for i in range(5)}
    row.update(q=text(rng, rng.randint(8, 18)), qid=number, show_name="Friends", vid_name=video,
               answer_idx=rng.randrange(5), ts=f"{start:.2f}-{start + rng.uniform(1, 15):.2f}")
    return json.dumps(row)


def subtitles(rng):
    lines = []
    for i in range(40):
        lines += [str(i + 1), f"00:00:{i:02},000 --> 00:00:{i + 1:02},500", text(rng, 8), ""]
    return "\n".join(lines)


def main():
    folder = sys.argv[1]
    questions = int(sys.argv[2]) if len(sys.argv) > 2 else 122039
    videos = int(sys.argv[3]) if len(sys.argv) > 3 else 21793
    rng = random.Random(1)
    os.makedirs(f"{folder}/tvqa_subtitles", exist_ok=True)
    names = [f"s{i % 10:02}e{i // 10 % 25:02}_seg{i // 250:03}_clip_{i:05}" for i in range(videos)]
    for name in names:
        with open(f"{folder}/tvqa_subtitles/{name}.srt", "w", encoding="utf-8") as file:
            file.write(subtitles(rng))
    for split, count in (("train", questions), ("val", max(questions // 100, 1))):
        with open(f"{folder}/tvqa_{split}.jsonl", "w", encoding="utf-8") as file:
            for number in range(count):
                file.write(question(rng, number, rng.choice(names)) + "\n")


if __name__ == "__main__":
    main()
