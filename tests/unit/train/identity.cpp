// Contents make an identity: where files lie, and how they are laid out, does not.
#include "bovila/train/identity.h"

#include <doctest/doctest.h>

using namespace bovila;

namespace {

Sample make_sample() {
  Sample sample;
  sample.question_id = "Interaction_1";
  sample.video_id = "V";
  sample.question = "What?";
  sample.options = {"a", "bc"};
  sample.answer = 1;
  sample.clip = {{"V", 0, 3}};
  return sample;
}

std::string identity_with(const std::function<void(Sample&)>& change) {
  std::vector<Sample> samples = {make_sample(), make_sample()};
  change(samples[1]);
  return samples_identity(samples);
}

}  // namespace

TEST_CASE("the same questions have the same identity, which tells how many there are") {
  const std::string identity = identity_with([](Sample&) {});
  CHECK(identity == identity_with([](Sample&) {}));
  CHECK(identity.starts_with("2 questions, SHA-256 "));
  CHECK(identity.size() == std::string("2 questions, SHA-256 ").size() + 64);
  CHECK(samples_identity({}).starts_with("0 questions"));
}

TEST_CASE("every field of a question is part of the identity") {
  const std::string same = identity_with([](Sample&) {});
  const std::function<void(Sample&)> changes[] = {
      [](Sample& s) { s.question_id = "Interaction_2"; },
      [](Sample& s) { s.video_id = "W"; },
      [](Sample& s) { s.question = "What?!"; },
      [](Sample& s) {
        s.options = {"ab", "c"};
      },
      [](Sample& s) { s.options.push_back(""); },
      [](Sample& s) { s.answer = 0; },
      [](Sample& s) { s.answer.reset(); },
      [](Sample& s) { s.question_type = 2; },
      [](Sample& s) { s.context = "Caption: A man.\n"; },
      [](Sample& s) { s.about_dialogue = true; },
      [](Sample& s) { s.dialogue = ""; },
      [](Sample& s) { s.clip[0].last = 4; },
      [](Sample& s) {
        s.clip.push_back({"V", 3, 3});
      },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    CAPTURE(i);
    CHECK(identity_with(changes[i]) != same);
  }
}
