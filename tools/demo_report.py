"""What the demo learned, as text. Called by tools/demo.sh; python3's standard library only.

    demo_report.py accuracy NAME=PREDICTIONS.json...         a line for each question type
    demo_report.py questions STAR_val.json PREDICTIONS.json  a question of each type, its options
"""
import json
import sys

TYPES = {1: "Interaction", 2: "Sequence", 3: "Prediction", 4: "Feasibility"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def percent_right(predictions):
    if not predictions:
        return "-"
    right = sum(entry["pre"] == entry["ans"] for entry in predictions)
    return f"{100 * right / len(predictions):.1f}"


def show_accuracy(columns):
    runs = [(name, read(path)) for name, path in (column.split("=", 1) for column in columns)]
    print("  " + "question type".ljust(14) + "".join(name.rjust(9) for name, _ in runs))
    for number, name in [*TYPES.items(), (None, "all")]:
        cells = [percent_right([e for e in run if number in (None, e["qtype"])]) for _, run in runs]
        print("  " + name.ljust(14) + "".join(cell.rjust(9) for cell in cells))
    cells = [f"{sum(e['u'] for e in run) / len(run):.3f}" for _, run in runs]
    print("  " + "uncertainty".ljust(14) + "".join(cell.rjust(9) for cell in cells) + "   (mean)")


def show_questions(annotations, predictions):
    """The middle question of each type: not chosen by its outcome."""
    for number, name in TYPES.items():
        of_type = [entry for entry in predictions if entry["qtype"] == number]
        if not of_type:
            continue
        answer = of_type[len(of_type) // 2]
        question = annotations[answer["qid"]]
        print(f"  {name}, video {answer['vid']}: {question['question']}")
        choices = sorted(question["choices"], key=lambda choice: choice["choice_id"])
        for letter, choice in zip("ABCDE", choices):
            notes = ["the right answer"] * (letter == answer["ans"])
            if letter == answer["pre"]:
                notes.append(f"the model's answer, uncertainty {answer['u']:.3f}")
            print(f"    ({letter}) {choice['choice']:<10}{'; '.join(notes)}".rstrip())


def main(words):
    if len(words) >= 2 and words[0] == "accuracy":
        show_accuracy(words[1:])
    elif len(words) == 3 and words[0] == "questions":
        show_questions(read(words[1]), read(words[2]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"demo_report: {error.filename}: {error.strerror}")
