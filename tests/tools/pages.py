"""What the pages for users say, for the tests that compare it with what is there:

    pages.py list              the pages: every .md beside README.md and in folders of sources
    pages.py code PAGE...      their code: one line of an indented block or one `span` a line
    pages.py commands PAGE...  the commands of their blocks, a continued one in one line, and those
                               in tables; PAGE#HEADING: of this part, PAGE#-HEADING: of all others
    pages.py links             links that lead to no file or heading, headings that stand twice,
                               pages that no link leads to from README.md
    pages.py messages          messages in headings of input/troubleshooting.md, without the name
                               of another program behind them, that no source has

A page of what was, CHANGELOG.md, is none of these. Standard library only; run from anywhere.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("include", "input", "jobs", "src", "tests", "tools")
COMMAND = re.compile(r"(?:(?:build/bin|jobs|tests|tools)/|"
                     r"(?:bovila|kill|ls|make|mkdir|mpirun|sbatch|srun|tensorboard) ).*")
TROUBLESHOOTING = "input/troubleshooting.md"
WORDS = 3      # of a message, one after the other, in a source
FILLED_IN = 2  # words at an end of a message that no source need have


def pages():
    found = list(ROOT.glob("*.md"))
    for folder in FOLDERS:
        found += (ROOT / folder).rglob("*.md")
    names = sorted(str(path.relative_to(ROOT)) for path in found)
    return [name for name in names if name != "CHANGELOG.md"]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def is_code(line):
    return line.startswith("    ")


def prose_of(page):
    return "\n".join(line for line in text_of(page).splitlines() if not is_code(line))


def spans(prose):
    """A span may go on in the next line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def code(page):
    return [line for line in text_of(page).splitlines() if is_code(line)] + spans(prose_of(page))


def parts(page):
    """Heading of the second level -> its text."""
    first, *others = re.split(r"^## ", text_of(page), flags=re.MULTILINE)
    return {"": first} | {part.split("\n", 1)[0]: part for part in others}


def commands(page):
    page, _, wanted = page.partition("#")
    found = parts(page)
    if wanted.startswith("-"):
        del found[wanted[1:]]
    elif wanted:
        found = {wanted: found[wanted]}
    for line in "\n".join(found.values()).replace("\\\n", "").splitlines():
        if is_code(line) and COMMAND.fullmatch(line.strip()):
            yield line.strip()
        elif in_table := re.fullmatch(r"\|.*\| `(mpirun .*)` \|", line):
            yield in_table[1]


def anchors(page):
    """As GitHub names headings."""
    headings = re.findall(r"^#+ (.*)", prose_of(page), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def links(page):
    """(link as written, page or file that it leads to, anchor)"""
    for link in re.findall(r"\]\(([^)]+)\)", prose_of(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        yield link, target.resolve(), anchor


def wrong_links():
    known = {ROOT / page: page for page in pages()}
    leads_to = {page: set() for page in known.values()}
    for page in leads_to:
        names = anchors(page)
        yield from (f"{page}: two headings #{name}" for name in set(names) if names.count(name) > 1)
        for link, target, anchor in links(page):
            if target in known:
                leads_to[page].add(known[target])
            if not target.exists():
                yield f"{page}: {link}"
            elif anchor and (target not in known or anchor not in anchors(known[target])):
                yield f"{page}: {link}: no such heading"
    reached, ahead = set(), ["README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += leads_to[page]
    yield from (f"{page}: no link leads there" for page in leads_to if page not in reached)


def source_texts():
    """Texts that the program may print, with {} for what is filled in."""
    for folder in ("src", "tools"):
        for path in [*(ROOT / folder).rglob("*.cpp"), *(ROOT / folder).rglob("*.h")]:
            for literals in re.findall(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*',
                                       path.read_text(encoding="utf-8")):
                joined = re.sub(r'(?<!\\)"\s*(?<!\\)"', "", literals)[1:-1]
                yield re.sub(r"\{[^}]*\}", "{}", joined.replace('\\"', '"').replace("\\n", " "))
    for path in [*ROOT.glob("tools/*.py"), ROOT / "tools/report", ROOT / "tools/sweep"]:
        for literals in re.findall(r'f?"(?:[^"\\\n]|\\.)+"(?:\s*f?"(?:[^"\\\n]|\\.)+")*',
                                   path.read_text(encoding="utf-8")):
            joined = re.sub(r'"\s*f?"', "", literals)
            yield re.sub(r"\{[^}]*\}", "{}", joined.removeprefix("f").strip('"'))
    for path in [ROOT / "CMakeLists.txt", *ROOT.glob("jobs/*.*sh"), *ROOT.glob("tools/*.sh")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.lstrip().startswith("#"):
                yield re.sub(r"\$\{[^}]*\}|\$\w+", "{}", line)


def words_of(text):
    return [word for part in text.split() if (word := part.strip("\"'.,:;()[]"))]


def is_word(pattern, word):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("{}"))), word)


def unknown_words(wanted, texts):
    """Words that are in no row of WORDS which stands in a text, at least two of them as such. Of
    those at the beginning and at the end two may be filled in."""
    size = min(len(wanted), WORDS)
    known = set()
    for text in texts:
        have = words_of(text)
        for place in range(len(have) - size + 1):
            patterns = have[place:place + size]
            if sum(1 for pattern in patterns if re.sub(r"\{\}|\W", "", pattern)) < 2:
                continue
            for start in range(len(wanted) - size + 1):
                if all(map(is_word, patterns, wanted[start:start + size])):
                    known |= set(range(start, start + size))
    if known:
        known |= {*range(FILLED_IN), *range(len(wanted) - FILLED_IN, len(wanted))}
    return [word for number, word in enumerate(wanted) if number not in known]


def unknown_messages():
    texts = list(source_texts())
    for heading in re.findall(r"^### (.*)", text_of(TROUBLESHOOTING), flags=re.MULTILINE):
        if re.search(r"\([A-Z][\w ]+\)$", heading):
            continue
        for message in spans(heading):
            fragments = [words for part in message.split("...") if len(words := words_of(part)) > 1]
            if not fragments:
                yield f"{message}: too short to be looked for"
            for words in fragments:
                if unknown := unknown_words(words, texts):
                    yield f"{message}: {' '.join(unknown)}"


def main(what, *names):
    if what == "list":
        print(*pages(), sep="\n")
    elif what == "code":
        print(*(line for name in names for line in code(name)), sep="\n")
    elif what == "commands":
        print(*(line for name in names for line in commands(name)), sep="\n")
    elif what == "links":
        print(*wrong_links(), sep="\n")
    elif what == "messages":
        print(*unknown_messages(), sep="\n")
    else:
        sys.exit(f"expected list, code, commands, links or messages, got {what!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
