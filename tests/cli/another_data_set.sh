#!/usr/bin/env bash
# What README.md promises of another form of annotations: one file with two definitions, a line in
# config/datasets.h and a deck. The file is written here, compiled with a copy of the two tables that
# know the data sets, linked before the library, and a question of it is read by its deck.
# Uses the build folder's own compiler and flags.
. "$(dirname "$0")/helpers.bash"
build=$(realpath "$bin/..")

# its_file: src/data/sets/quiz.cpp, for lines "video|question|answer|another".
its_file() {
  cat <<'END'
// Quizzes: {split}.txt, a question a line, two options. Feeds data/annotations.h.
#include <fstream>

#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "bovila/text/text.h"
#include "src/data/sets/annotation_file.h"

namespace bovila {

constexpr TypeName kQuizTypes[] = {"long", "short"};
extern const QuestionForm quiz_form{.types = {.order = kQuizTypes}};

std::vector<Sample> read_quiz(const AnnotationSource& source) {
  FileProblems problems(fmt::format("{}/{}.txt", source.folder, source.split), "line");
  SampleCollector samples(problems, "answer");
  read_lines(problems, [&](const std::string& line, int64_t place) {
    std::vector<std::string> parts(1);
    for (const char c : line) {
      if (c == '|') parts.emplace_back();
      else parts.back() += c;
    }
    if (parts.size() != 4) return problems.add(place, "expected four parts");
    Sample sample;
    sample.video_id = parts[0];
    sample.question = normalize_question(parts[1]);
    sample.options = {parts[2], parts[3]};
    sample.answer = 0;
    sample.types = {parts[1].size() > 9 ? "long" : "short"};
    sample.clip = {{sample.video_id, 0, FrameSpan::kToEnd}};
    samples.add(place, /*has_answer=*/true, std::move(sample));
  });
  return samples.finish();
}

}  // namespace bovila
END
}

# reader: a program that reads a deck, and prints the questions of its training split.
reader() {
  cat <<'END'
#include <iostream>

#include "bovila/config/deck.h"
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"

int main(int argc, char** argv) try {
  const bovila::Deck deck = bovila::read_deck(argv[1], {argv + 2, argv + argc});
  const bovila::DataConfig& data = deck.config.data;
  for (const bovila::Sample& sample : bovila::read_annotations(data, data.train_split)) {
    std::cout << sample.question_id << " " << sample.video_id << " " << sample.question << " "
              << sample.options.at(0) << " " << sample.types.at(0) << "\n";
  }
  for (const auto& type : bovila::find_annotation_reader(data.dataset).form->types.order) {
    std::cout << type.name << "\n";
  }
} catch (const bovila::UserError& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
END
}

# compile SOURCE OBJECT: as the build compiles, from the tree that is here, without optimising.
compile() {
  local command
  command=$(python3 - "$build/compile_commands.json" "$root" <<'END'
import json, sys
commands = json.load(open(sys.argv[1]))
found = next(c["command"] for c in commands if c["file"].endswith("tools/sets2jsonl.cpp"))
words = found.split()
del words[words.index("-o"):]
print(*[word.replace(sys.argv[2], ".") if word.startswith("-I") else "-O0" if word == "-O2" else word
        for word in words])
END
)
  $command -c "$1" -o "$2"
}

# link OBJECT...: what sets2jsonl is linked with, behind these: the first definition counts.
link() {
  local command
  command=$(ninja -C "$build" -t commands bin/sets2jsonl | tail -1)
  command=${command#: && }
  command=${command% && :}
  command=${command/CMakeFiles\/sets2jsonl.dir\/tools\/sets2jsonl.cpp.o/$(printf "$PWD/%s " "$@")}
  command=${command/-o bin\/sets2jsonl/-o $PWD/reader -Wl,--allow-multiple-definition}
  (cd "$build" && $command)
}

test_another_form_of_annotations_is_one_file_a_line_and_a_deck() {
  local source objects=()
  mkdir -p src/config src/data/sets
  cp -r "$root/include" .
  cp "$root/src/config/keys.cpp" src/config
  cp "$root/src/data/annotations.cpp" src/data
  cp "$root"/src/data/sets/*.h src/data/sets
  its_file >src/data/sets/quiz.cpp
  reader >reader.cpp
  sed -i 's|^  X(star, 4, false) .*|&\n  X(quiz, 2, false) /* quizzes */ \\|' include/bovila/config/datasets.h
  for source in src/config/keys.cpp src/data/annotations.cpp src/data/sets/quiz.cpp reader.cpp; do
    objects+=("$(basename "$source" .cpp).o")
    compile "$source" "${objects[-1]}" &
  done
  wait
  link "${objects[@]}"
  mkdir quiz
  printf 'V1|who IS it|a man|a child\nV2|what|a cup|a pan\n' >quiz/train.txt
  sed 's|^dataset = .*|dataset = "quiz"|; s|^folder = "data/star"|folder = "quiz"|' "$root/input/star.toml" >quiz.toml
  exits 0 ./reader quiz.toml "model.llama=$mini/llama/mini" "data.features=$(features star)"
  cat >expected <<'END'
0 V1 Who is it? a man short
1 V2 What? a cup short
long
short
END
  cmp said expected
  echo "V1|who" >>quiz/train.txt
  exits 2 ./reader quiz.toml "model.llama=$mini/llama/mini" "data.features=$(features star)"
  says_once "line 3: expected four parts"
  exits 2 ./reader quiz.toml data.dataset=quizz
  says "(star, quiz, dramaqa, " 'did you mean "quiz"?'
}

run_tests "another data set"
