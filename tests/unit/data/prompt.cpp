// Prompts: positions that do not depend on words, and dialogues that are cut. The published ids are
// in tests/golden/tokens.cpp.
#include "bovila/data/prompt.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;

namespace {

constexpr int64_t kMaxFeats = 6;

const Tokenizer& prompt_tokenizer() {
  static const auto loaded =
      load_tokenizer(BOVILA_SOURCE_DIR "/tests/golden/mini/llama/tokenizer.model");
  return *loaded;
}

Sample sample() {
  Sample made;
  made.question = "What did the boy do?";
  made.options = {"Hold the door", "Eat the bag", "The book."};
  made.answer = 1;
  return made;
}

std::string decode(const Prompt& prompt, int64_t first, int64_t last) {
  const auto begin = prompt.tokens.begin();
  return prompt_tokenizer().decode({begin + first, begin + last});
}

/// What the labels say, without <eos>.
std::string label_text(const Prompt& prompt) {
  CHECK(prompt.tokens.back() == prompt_tokenizer().eos());
  return decode(prompt, prompt.label_start, prompt.size() - 1);
}

std::string question_text(const Prompt& prompt) {
  return decode(prompt, prompt.question_start, prompt.question_start + prompt.question_len);
}

PromptBuilder builder(int64_t max_seq_len = 160) {
  return {prompt_tokenizer(), kMaxFeats, max_seq_len};
}

}  // namespace

TEST_CASE("prompt: the parts of a VQA prompt stand where SPEC 3 has them") {
  const Prompt prompt = builder().vqa(sample(), 2);
  CHECK(prompt.tokens.front() == prompt_tokenizer().bos());
  CHECK(decode(prompt, 1, prompt.video_start) ==
        "Instruction: Predict the answer based on the video and question.\nVideo:");
  for (int64_t i = 0; i < kMaxFeats; ++i) CHECK(prompt.tokens[prompt.video_start + i] == 0);
  CHECK(prompt.tokens[prompt.video_start + kMaxFeats] == prompt_tokenizer().newline());
  CHECK(decode(prompt, prompt.video_start + kMaxFeats + 1, prompt.size() - 1) ==
        "Question: What did the boy do?\nChoices: \n(A) Hold the door\n(B) Eat the bag\n"
        "(C) The book.\nAnswer: The answer is (C)");
  CHECK(prompt.size() - prompt.label_start == 4);
  CHECK(label_text(prompt) == "(C)");
  CHECK(question_text(prompt) == "What did the boy do?\n");
  CHECK(prompt.num_cut_tokens == 0);
}

TEST_CASE("prompt: the parts of a VAQ prompt stand where SPEC 3 has them") {
  const Prompt prompt = builder().vaq(sample());
  CHECK(decode(prompt, 1, prompt.video_start) ==
        "Instruction: Predict the question based on the video and answer.\nVideo:");
  CHECK(decode(prompt, prompt.video_start + kMaxFeats + 1, prompt.size() - 1) ==
        "Choices: \n(A) Hold the door\n(B) Eat the bag\n(C) The book.\n"
        "Answer: The answer is (B)\nQuestion: What did the boy do?");
  CHECK(label_text(prompt) == "What did the boy do?");
}

TEST_CASE("prompt: a QAV prompt ends with the video's slots, which its labels are") {
  const Prompt prompt = builder().qav(sample());
  CHECK(decode(prompt, 1, prompt.video_start) ==
        "Instruction: Predict the video based on the question and answer.\n"
        "Question: What did the boy do?\nChoices: \n(A) Hold the door\n(B) Eat the bag\n"
        "(C) The book.\nAnswer: The answer is (B)\nVideo:");
  CHECK(prompt.label_start == prompt.video_start);
  REQUIRE(prompt.size() == prompt.video_start + kMaxFeats + 1);
  for (int64_t i = 0; i < kMaxFeats; ++i) CHECK(prompt.tokens[prompt.video_start + i] == 0);
  CHECK(prompt.tokens.back() == prompt_tokenizer().eos());
}

TEST_CASE("prompt: a QAV prompt's dialogue loses its tail until the prompt fits") {
  Sample made = sample();
  made.about_dialogue = true;
  made.dialogue = "one two three four five six seven eight nine ten";
  const Prompt whole = builder(500).qav(made);
  CHECK(decode(whole, 1, whole.video_start).find("the dialogue, question and answer.") !=
        std::string::npos);
  for (int64_t cut = 0; cut <= 5; ++cut) {
    const Prompt prompt = builder(whole.size() - cut).qav(made);
    CHECK(prompt.size() == whole.size() - cut);
    CHECK(prompt.num_cut_tokens == cut);
    CHECK(prompt.video_start == whole.video_start - cut);
  }
}

TEST_CASE("prompt: lines of context stand before the question, or before what is given of it") {
  Sample made = sample();
  made.context = "Caption: A man runs.\n";
  const PromptBuilder prompts = builder(500);
  const Prompt vqa = prompts.vqa(made, 1);
  CHECK(decode(vqa, vqa.video_start + kMaxFeats + 1, vqa.question_start) ==
        "Caption: A man runs.\nQuestion:");
  CHECK(question_text(vqa) == "What did the boy do?\n");
  CHECK(label_text(vqa) == "(B)");
  const Prompt vaq = prompts.vaq(made);
  CHECK(decode(vaq, vaq.video_start + kMaxFeats + 1, vaq.label_start)
            .starts_with("Caption: A man runs.\nChoices: \n(A)"));
  CHECK(label_text(vaq) == "What did the boy do?");
  const Prompt qav = prompts.qav(made);
  CHECK(decode(qav, 1, qav.video_start).find("\nCaption: A man runs.\nQuestion:") !=
        std::string::npos);
}

TEST_CASE("prompt: the deck's instructions take the published ones' place") {
  Config config;
  config.model.max_feats = kMaxFeats;
  config.prompt.vqa = "Look{dialogue}and say.";
  config.prompt.vaq = "Ask.";
  config.prompt.qav = "{dialogue}{dialogue}Show.";
  const PromptBuilder prompts(prompt_tokenizer(), config);
  Sample made = sample();
  const auto first_line = [&](const Prompt& prompt) {
    const std::string text = decode(prompt, 1, prompt.size());
    return text.substr(0, text.find('\n'));
  };
  CHECK(first_line(prompts.vqa(made, 0)) == "Lookand say.");
  CHECK(first_line(prompts.vaq(made)) == "Ask.");
  CHECK(first_line(prompts.qav(made)) == "Show.");
  made.about_dialogue = true;
  CHECK(first_line(prompts.vqa(made, 0)) == "Lookdialogue, and say.");
  CHECK(first_line(prompts.qav(made)) == "dialogue, dialogue, Show.");
}

TEST_CASE("prompt: a question is as long as the longest of the prompts that it is trained with") {
  Config config;
  config.model.max_feats = kMaxFeats;
  config.model.max_seq_len = 500;
  Sample made = sample();
  const PromptBuilder two(prompt_tokenizer(), config);
  config.loss.qav = 1;
  const PromptBuilder three(prompt_tokenizer(), config);
  CHECK_FALSE(two.with_qav());
  CHECK(three.with_qav());
  CHECK(two.measure(made).tokens == std::max(two.vqa(made, 1).size(), two.vaq(made).size()));
  CHECK(three.measure(made).tokens == std::max(two.measure(made).tokens, two.qav(made).size()));
  made.answer.reset();
  CHECK(three.measure(made).tokens == two.vqa(made, 0).size());
  CHECK_FALSE(three.measure(made).is_cut);
}

TEST_CASE("prompt: words of the prompt inside a question or an option move no position") {
  for (const std::string words :
       {"Question: what?", "Answer: The answer is (A)?", "Question:?",
        "Is\nAnswer: The answer is (B)\nQuestion: it?", "\u00E9\U0001F600?",
        "Choices: \n(A) Answer: The answer is?", "?"}) {
    Sample made = sample();
    made.question = words;
    made.options = {words, "Answer: The answer is", ""};
    const Prompt vqa = builder(500).vqa(made, 0);
    CHECK(label_text(vqa) == "(A)");
    CHECK(question_text(vqa) == words + "\n");
    CHECK(label_text(builder(500).vaq(made)) == words);
  }
}

TEST_CASE("prompt: a data set with dialogues says so also where one has none") {
  Sample made = sample();
  made.about_dialogue = true;
  Prompt prompt = builder().vqa(made, 0);
  CHECK(decode(prompt, 1, prompt.video_start) ==
        "Instruction: Predict the answer based on the dialogue, video and question.\nVideo:");
  CHECK(decode(prompt, prompt.video_start + kMaxFeats + 1, prompt.question_start) == "Question:");
  made.dialogue = "";
  prompt = builder().vqa(made, 0);
  CHECK(decode(prompt, prompt.video_start + kMaxFeats + 1, prompt.question_start) ==
        "Dialogue: \n Question:");
}

TEST_CASE("prompt: a dialogue's tail is cut until the prompt fits, question and answer are whole") {
  Sample made = sample();
  made.about_dialogue = true;
  made.dialogue = "one two three four five six seven eight nine ten";
  const Prompt whole = builder(500).vqa(made, 1);
  for (int64_t cut = 0; cut <= 10; ++cut) {
    const Prompt prompt = builder(whole.size() - cut).vqa(made, 1);
    CHECK(prompt.size() == whole.size() - cut);
    CHECK(prompt.num_cut_tokens == cut);
    CHECK(label_text(prompt) == "(B)");
    CHECK(question_text(prompt) == "What did the boy do?\n");
    CHECK(prompt.question_start == whole.question_start - cut);
    CHECK(prompt.tokens[prompt.question_start] == whole.tokens[whole.question_start]);
  }
  const Prompt vaq = builder(builder(500).vaq(made).size() - 3).vaq(made);
  CHECK(vaq.num_cut_tokens == 3);
  CHECK(label_text(vaq) == "What did the boy do?");
}

TEST_CASE("prompt: nothing but a dialogue is cut, so a prompt may come out over-long") {
  Sample made = sample();
  const Prompt plain = builder(10).vqa(made, 0);
  CHECK(plain.size() == builder(500).vqa(made, 0).size());
  CHECK(plain.num_cut_tokens == 0);
  made.dialogue = "one two three";
  const Prompt cut = builder(10).vqa(made, 0);
  CHECK(cut.size() == plain.size());
  CHECK(cut.num_cut_tokens == builder(500).vqa(made, 0).size() - plain.size());
  CHECK(label_text(cut) == "(A)");
}

TEST_CASE("prompt: options that are not there and hidden answers are refused") {
  Sample made = sample();
  CHECK_THROWS_AS(builder().vqa(made, 3), ProgramError);
  CHECK_THROWS_AS(builder().vqa(made, -1), ProgramError);
  made.answer.reset();
  CHECK_THROWS_AS(builder().vaq(made), ProgramError);
}
