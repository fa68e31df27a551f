// SentencePiece's byte positions, how a file's form is known, and files that are none.
#include "bovila/text/tokenizer.h"

#include <algorithm>
#include <sstream>

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

const std::string kModel = BOVILA_SOURCE_DIR "/tests/golden/mini/llama/tokenizer.model";

std::string model_bytes() {
  std::ostringstream bytes;
  bytes << std::ifstream(kModel, std::ios::binary).rdbuf();
  return bytes.str();
}

std::string tokenizer_error_of_bytes(std::string_view bytes) {
  const TempFolder folder;
  const std::string path = folder.write("tokenizer.model", bytes);
  const std::string message = error_of([&] { load_tokenizer(path); });
  CHECK((message.empty() || contains(message, path)));
  return message;
}

/// A field of a protobuf message that holds bytes.
std::string field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number * 8 + 2), static_cast<char>(bytes.size())} + bytes;
}

std::string piece(const std::string& text, int type) {
  return field(1, field(1, text) + std::string{static_cast<char>(3 * 8), static_cast<char>(type)});
}

constexpr int kNormal = 1, kUnknown = 2, kControl = 3;

/// A model of the given pieces, with empty trainer and normalizer settings.
std::string tiny_model(const std::string& pieces) {
  return pieces + field(2, "") + field(3, "");
}

}  // namespace

TEST_CASE("tokenizer: knows its special tokens") {
  const auto tokenizer = load_tokenizer(kModel);
  CHECK(tokenizer->vocab_size() == 640);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->newline() == 13);
  CHECK(tokenizer->encode("a\n").ids.back() == 13);
}

TEST_CASE("tokenizer: tokens cover the text's bytes in order and decode to it") {
  const auto tokenizer = load_tokenizer(kModel);
  for (const std::string text : {"", " ", "Question: What?", "a  b\n\n", "na\u00EFve \U0001F600?",
                                 "<s></s>\t\u4E2D\u6587", "(A) Hold"}) {
    const Encoding encoding = tokenizer->encode(text);
    REQUIRE(encoding.begin.size() == encoding.ids.size() + 1);
    CHECK(encoding.begin.front() == 0);
    CHECK(encoding.begin.back() == std::ssize(text));
    CHECK(std::is_sorted(encoding.begin.begin(), encoding.begin.end()));
    CHECK(tokenizer->decode(encoding.ids) == text);
  }
}

TEST_CASE("tokenizer: a character without a piece has one token a byte") {
  const auto tokenizer = load_tokenizer(kModel);
  const std::string text = "x \U0001F600\U0001F600?";
  const Encoding encoding = tokenizer->encode(text);
  const int64_t first = encoding.token_at(2);
  for (int64_t byte = 0; byte < 8; ++byte) {
    CHECK(encoding.token_at(2 + byte) == first + byte);
    CHECK(encoding.begin[first + byte] == 2 + byte);
  }
}

TEST_CASE("tokenizer: token_at skips empty tokens and ends behind the last") {
  const Encoding encoding{{7, 8, 9}, {0, 0, 3, 5}};
  CHECK(encoding.token_at(0) == 1);
  CHECK(encoding.token_at(2) == 1);
  CHECK(encoding.token_at(3) == 2);
  CHECK(encoding.token_at(5) == 3);
}

TEST_CASE("tokenizer: any bytes are encoded") {
  const auto tokenizer = load_tokenizer(kModel);
  for (const std::string_view text :
       {std::string_view("a\0b", 3), std::string_view("\xFF\xE2\x82")}) {
    const Encoding encoding = tokenizer->encode(text);
    CHECK(encoding.begin.back() == std::ssize(text));
    CHECK(std::is_sorted(encoding.begin.begin(), encoding.begin.end()));
  }
}

TEST_CASE("tokenizer: a missing file and a folder are errors that name the deck's key") {
  CHECK(contains(error_of([] { load_tokenizer("/nowhere/tokenizer.model"); }),
                 "/nowhere/tokenizer.model is missing"));
  CHECK(contains(error_of([] { load_tokenizer("/"); }), "expected a file, got a folder"));
  CHECK(contains(error_of([] { load_tokenizer("/"); }), "model.tokenizer"));
}

TEST_CASE("tokenizer: a folder's file is found by its name, its form by its content") {
  const TempFolder folder;
  CHECK(find_tokenizer_file(folder.path()).empty());
  CHECK(find_tokenizer_file("/nowhere").empty());
  const std::string second = folder.write("tokenizer.json", model_bytes());
  CHECK(find_tokenizer_file(folder.path()) == second);
  CHECK(load_tokenizer(second)->vocab_size() == 640);
  const std::string first = folder.write("tokenizer.model", "");
  CHECK(find_tokenizer_file(folder.path()) == first);
}

TEST_CASE("tokenizer: a foreign or empty file is an error") {
  for (const std::string_view bytes : {"", "hello", "PK\x03\x04", "\x89HDF", "a b", "YQ== x"}) {
    CHECK(contains(tokenizer_error_of_bytes(bytes), "no SentencePiece model or not a whole one"));
  }
}

TEST_CASE("tokenizer: a file that is cut anywhere is an error") {
  const std::string bytes = model_bytes();
  for (size_t size = 0; size < bytes.size(); size += size + 200 < bytes.size() ? 97 : 1) {
    CHECK(!tokenizer_error_of_bytes(std::string_view(bytes).substr(0, size)).empty());
  }
}

TEST_CASE("tokenizer: a model with foreign bytes inside never crashes") {
  const std::string bytes = model_bytes();
  for (size_t at = 0; at < bytes.size(); at += 61) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(~changed[at]);
    CHECK_NOTHROW(tokenizer_error_of_bytes(changed));
  }
}

TEST_CASE("tokenizer: a model must have begin, end and line feed") {
  const std::string unknown = piece("<unk>", kUnknown);
  const std::string ends = piece("<s>", kControl) + piece("</s>", kControl);
  const std::string letter = piece("a", kNormal);
  CHECK(contains(tokenizer_error_of_bytes(tiny_model(unknown + letter)),
                 "begin or the end of a text"));
  CHECK(contains(tokenizer_error_of_bytes(tiny_model(unknown + ends + letter)),
                 "no piece for a line feed"));
  CHECK(tokenizer_error_of_bytes(tiny_model(unknown + ends + piece("\n", kNormal))).empty());
}
