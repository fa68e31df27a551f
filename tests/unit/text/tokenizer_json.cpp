// tokenizer.json: what each step does, which tokens begin and end a text, and that every key is
// followed or named in an error.
#include <functional>
#include <nlohmann/json.hpp>

#include "bovila/data/prompt.h"
#include "bovila/text/tokenizer.h"
#include "tests/unit/temp_folder.h"

using namespace bovila;
using nlohmann::json;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

using TokenizerJsonIds = std::vector<int32_t>;
using TokenizerJsonBegins = std::vector<int64_t>;

/// GPT-2's alphabet of the bytes 0..255, written down anew.
std::string byte_character(int byte) {
  int code_point = byte;
  if (byte <= 0x20) code_point = 0x100 + byte;
  if (byte >= 0x7F && byte <= 0xA0) code_point = 0x121 + byte - 0x7F;
  if (byte == 0xAD) code_point = 0x143;
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

json byte_level(bool add_prefix_space) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}};
}

json added(const std::string& content, int id, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

/// By bytes: byte b has the id b, then "he", "hel", " w", then <|endoftext|>.
json by_bytes() {
  json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[byte_character(byte)] = byte;
  vocab["he"] = 256;
  vocab["hel"] = 257;
  vocab["\u0120w"] = 258;
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", json::array({added("<|endoftext|>", 259, true)})},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level(false)},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"vocab", vocab},
            {"merges", {"h e", "he l", "\u0120 w"}}}}};
}

/// By characters, as LLaMA-2: <unk>, <s>, </s>, the bytes, then U+2581 (259), "a", "b", U+2581 "a".
json by_characters() {
  json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = 3 + byte;
  vocab["\u2581"] = 259;
  vocab["a"] = 260;
  vocab["b"] = 261;
  vocab["\u2581a"] = 262;
  json file = by_bytes();
  file["added_tokens"] = {added("<unk>", 0, true), added("<s>", 1, true), added("</s>", 2, true)};
  file["normalizer"] = json::parse(R"({"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "\u2581"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]})");
  file["pre_tokenizer"] = nullptr;
  file["decoder"] = json::parse(R"({"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})");
  file["model"] = {{"type", "BPE"},    {"unk_token", "<unk>"},
                   {"fuse_unk", true}, {"byte_fallback", true},
                   {"vocab", vocab},   {"merges", json::array({json::array({"\u2581", "a"})})}};
  return file;
}

json metaspace(const std::string& scheme) {
  return {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", scheme}};
}

/// The file after a change to it.
json changed(json file, const std::function<void(json&)>& change) {
  change(file);
  return file;
}

std::unique_ptr<Tokenizer> tokenizer_json_load(const json& file, const std::string& config = "") {
  const TempFolder folder;
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  return load_tokenizer(folder.write("tokenizer.json", file.dump()));
}

std::string error_with(const json& file, const std::function<void(json&)>& change,
                       const std::string& config = "") {
  return error_of([&] { tokenizer_json_load(changed(file, change), config); });
}

std::string tokenizer_json_error_of_bytes(std::string_view bytes) {
  const TempFolder folder;
  const std::string path = folder.write("tokenizer.json", bytes);
  const std::string message = error_of([&] { load_tokenizer(path); });
  CHECK((message.empty() || contains(message, path)));
  return message;
}

/// TokenizerJsonIds of a text after a change to the file.
TokenizerJsonIds ids_with(const json& file, const std::function<void(json&)>& change,
                          const std::string& text) {
  return tokenizer_json_load(changed(file, change))->encode(text).ids;
}

}  // namespace

TEST_CASE("tokenizer.json: by bytes") {
  const auto tokenizer = tokenizer_json_load(by_bytes());
  CHECK(tokenizer->vocab_size() == 260);
  CHECK(tokenizer->newline() == 10);
  const Encoding encoding = tokenizer->encode("hello w\u00E9");
  CHECK(encoding.ids == TokenizerJsonIds{257, 'l', 'o', 258, 0xC3, 0xA9});
  CHECK(encoding.begin == TokenizerJsonBegins{0, 3, 4, 5, 7, 8, 9});
  CHECK(tokenizer->decode(encoding.ids) == "hello w\u00E9");
  CHECK(tokenizer->decode({'a', 259, 0xC3}) == "a\uFFFD");
  CHECK_THROWS_AS(tokenizer->decode({260}), ProgramError);
}

TEST_CASE("tokenizer.json: every byte comes back") {
  const auto tokenizer = tokenizer_json_load(by_bytes());
  for (const std::string text : {"", " ", "\n\r\t\v\x7F", "\u00A0\u00AD\u00FF", "\U0010FFFF"}) {
    const Encoding encoding = tokenizer->encode(text);
    CHECK(encoding.begin.back() == std::ssize(text));
    CHECK(tokenizer->decode(encoding.ids) == text);
  }
  const std::string nul("a\0b", 3);
  CHECK(tokenizer->encode(nul).ids == TokenizerJsonIds{'a', 0, 'b'});
  CHECK(tokenizer->encode("\xFF.").begin == TokenizerJsonBegins{0, 1, 1, 1, 2});
}

TEST_CASE("tokenizer.json: a text's words never become special tokens, others they do") {
  const auto add = [](json& file) { file["added_tokens"].push_back(added("lo w", 260, false)); };
  CHECK(tokenizer_json_load(by_bytes())->encode("<|endoftext|>").ids.size() == 13);
  const Encoding encoding = tokenizer_json_load(changed(by_bytes(), add))->encode("hello wow");
  CHECK(encoding.ids == TokenizerJsonIds{257, 260, 'o', 'w'});
  CHECK(encoding.begin == TokenizerJsonBegins{0, 3, 7, 8, 9});
  CHECK(tokenizer_json_load(changed(by_bytes(), add))->decode({260, 259}) == "lo w");
}

TEST_CASE("tokenizer.json: no added token begins inside a special one's name") {
  const auto add = [](json& file) {
    file["added_tokens"].push_back(added("text|>", 260, false));
    file["added_tokens"].push_back(added("text|>!", 261, false));
  };
  CHECK(ids_with(by_bytes(), add, "<|endoftext|>").size() == 13);
  CHECK(ids_with(by_bytes(), add, "text|>") == TokenizerJsonIds{260});
  CHECK(ids_with(by_bytes(), add, "text|>!") == TokenizerJsonIds{261});
}

TEST_CASE("tokenizer.json: ByteLevel's prefix and pattern") {
  const auto prefix = [](json& file) { file["pre_tokenizer"] = byte_level(true); };
  const auto tokenizer = tokenizer_json_load(changed(by_bytes(), prefix));
  CHECK(tokenizer->encode("we w").ids == TokenizerJsonIds{258, 'e', 258});
  CHECK(tokenizer->encode("we w").begin == TokenizerJsonBegins{0, 1, 2, 4});
  CHECK(tokenizer->encode(" we").ids == TokenizerJsonIds{258, 'e'});
  const auto no_pattern = [](json& file) { file["pre_tokenizer"]["use_regex"] = false; };
  CHECK(ids_with(by_bytes(), no_pattern, "x  w") == TokenizerJsonIds{'x', ' ', 258});
  const auto no_space = [](json& file) {
    file["model"]["vocab"]["x\u0120"] = 259;
    file["model"]["merges"] = {"x \u0120"};
    file["added_tokens"] = {added("</s>", 260, true)};
  };
  CHECK(ids_with(by_bytes(), no_space, "x y") ==
        TokenizerJsonIds{'x', ' ', 'y'});  // "x" and " y" are words
}

TEST_CASE("tokenizer.json: Split and Digits before ByteLevel") {
  const auto sequence = [](const json& step) {
    return [step](json& file) {
      file["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers", json::array({step, byte_level(true)})}};
    };
  };
  // The prefix shows where the words are.
  const json each = {{"type", "Digits"}, {"individual_digits", true}};
  CHECK(ids_with(by_bytes(), sequence(each), "a12") ==
        TokenizerJsonIds{' ', 'a', ' ', '1', ' ', '2'});
  const json all = {{"type", "Digits"}, {"individual_digits", false}};
  CHECK(ids_with(by_bytes(), sequence(all), "12b") == TokenizerJsonIds{' ', '1', '2', ' ', 'b'});
  const json isolated = {
      {"type", "Split"}, {"pattern", {{"Regex", "b+"}}}, {"behavior", "Isolated"}};
  CHECK(ids_with(by_bytes(), sequence(isolated), "abbc") ==
        TokenizerJsonIds{' ', 'a', ' ', 'b', 'b', ' ', 'c'});
  json removed = isolated;
  removed["behavior"] = "Removed";
  removed["invert"] = true;
  CHECK(ids_with(by_bytes(), sequence(removed), "abbc") == TokenizerJsonIds{' ', 'b', 'b'});
  json text = isolated;
  text["pattern"] = {{"String", "+."}};
  CHECK(ids_with(by_bytes(), sequence(text), "a+.b") ==
        TokenizerJsonIds{' ', 'a', ' ', '+', '.', ' ', 'b'});
}

TEST_CASE("tokenizer.json: words that are tokens, merges as pairs, dropped bytes") {
  const auto no_merges = [](json& file) { file["model"]["merges"] = json::array(); };
  CHECK(ids_with(by_bytes(), no_merges, "hel") == TokenizerJsonIds{'h', 'e', 'l'});
  const auto whole = [](json& file) {
    file["model"]["merges"] = json::array();
    file["model"]["ignore_merges"] = true;
  };
  CHECK(ids_with(by_bytes(), whole, "hel") == TokenizerJsonIds{257});
  const auto pairs = [](json& file) {
    file["model"]["merges"] = json::parse(R"([["h", "e"], ["he", "l"]])");
  };
  CHECK(ids_with(by_bytes(), pairs, "hel w") == TokenizerJsonIds{257, ' ', 'w'});
  const auto no_q = [](json& file) {
    file["model"]["vocab"].erase("q");
    file["model"]["vocab"]["<|endoftext|>"] = 259;
  };
  CHECK(ids_with(by_bytes(), no_q, "aqb") == TokenizerJsonIds{'a', 'b'});
}

TEST_CASE("tokenizer.json: by characters with byte fallback") {
  const auto tokenizer = tokenizer_json_load(by_characters());
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->newline() == 13);
  const Encoding encoding = tokenizer->encode("ab a\n\u00E9");
  CHECK(encoding.ids == TokenizerJsonIds{262, 261, 262, 13, 3 + 0xC3, 3 + 0xA9});
  CHECK(encoding.begin == TokenizerJsonBegins{0, 1, 2, 4, 5, 6, 7});
  CHECK(tokenizer->decode(encoding.ids) == "ab a\n\u00E9");
  CHECK(tokenizer->encode("").ids.empty());
  CHECK(tokenizer->encode("<s>").ids.size() == 4);
}

TEST_CASE("tokenizer.json: Metaspace's prefix") {
  const auto scheme = [](const std::string& name) {
    return [name](json& file) {
      file["normalizer"] = nullptr;
      file["pre_tokenizer"] = metaspace(name);
      file["decoder"] = metaspace(name);
      file["added_tokens"].push_back(added("<x>", 263, false));
    };
  };
  CHECK(ids_with(by_characters(), scheme("always"), "a<x>a") == TokenizerJsonIds{262, 263, 262});
  CHECK(ids_with(by_characters(), scheme("first"), "a<x>a") == TokenizerJsonIds{262, 263, 260});
  CHECK(ids_with(by_characters(), scheme("never"), "a<x>a") == TokenizerJsonIds{260, 263, 260});
  CHECK(ids_with(by_characters(), scheme("always"), " a  a") == TokenizerJsonIds{262, 259, 262});
  CHECK(tokenizer_json_load(changed(by_characters(), scheme("first")))->decode({262, 262}) ==
        "a a");
  CHECK(tokenizer_json_load(changed(by_characters(), scheme("never")))->decode({262, 262}) ==
        " a a");
  const auto old_style = [&](json& file) {
    scheme("never")(file);
    file["pre_tokenizer"].erase("prepend_scheme");
    file["pre_tokenizer"]["add_prefix_space"] = true;
  };
  CHECK(ids_with(by_characters(), old_style, "a") == TokenizerJsonIds{262});
  const auto in_one = [&](json& file) {
    scheme("always")(file);
    file["pre_tokenizer"]["split"] = false;
    file["model"]["vocab"]["a\u2581"] = 263;
    file["added_tokens"] = json::array();
    file["model"]["merges"] = json::parse(R"([["a", "\u2581"]])");
  };
  CHECK(ids_with(by_characters(), in_one, "a a") == TokenizerJsonIds{259, 263, 260});
}

TEST_CASE("tokenizer.json: unknown characters") {
  const auto unknown = [](bool fuse) {
    return [fuse](json& file) {
      file["model"]["byte_fallback"] = false;
      file["model"]["fuse_unk"] = fuse;
      file["model"]["vocab"]["\n"] = 263;
    };
  };
  CHECK(ids_with(by_characters(), unknown(true), "\u00E9\u00E9b") == TokenizerJsonIds{259, 0, 261});
  CHECK(ids_with(by_characters(), unknown(false), "\u00E9\u00E9b") ==
        TokenizerJsonIds{259, 0, 0, 261});
}

TEST_CASE("tokenizer.json: Unicode forms") {
  const auto form = [](const std::string& name) {
    return [name](json& file) { file["normalizer"] = {{"type", name}}; };
  };
  const std::string composed = "\u00E9\uFB01";
  CHECK(ids_with(by_bytes(), form("NFC"), composed) ==
        TokenizerJsonIds{0xC3, 0xA9, 0xEF, 0xAC, 0x81});
  CHECK(ids_with(by_bytes(), form("NFD"), composed) ==
        TokenizerJsonIds{'e', 0xCC, 0x81, 0xEF, 0xAC, 0x81});
  CHECK(ids_with(by_bytes(), form("NFKC"), composed) == TokenizerJsonIds{0xC3, 0xA9, 'f', 'i'});
  CHECK(ids_with(by_bytes(), form("NFKD"), composed) ==
        TokenizerJsonIds{'e', 0xCC, 0x81, 'f', 'i'});
}

TEST_CASE("tokenizer.json: begin and end come from the configuration beside it") {
  const auto more = [](json& file) { file["added_tokens"].push_back(added("<b>", 260, true)); };
  const json file = changed(by_bytes(), more);
  const auto both = tokenizer_json_load(
      file, R"({"bos_token": {"content": "<b>"}, "eos_token": "<|endoftext|>"})");
  CHECK(both->bos() == 260);
  CHECK(both->eos() == 259);
  const auto none = tokenizer_json_load(file, R"({"bos_token": null, "eos_token": "<b>"})");
  CHECK(none->bos() == 260);  // without a begin token the end token parts texts
  CHECK(none->eos() == 260);
}

TEST_CASE("tokenizer.json: begin and end come from the post-processor, then from usual names") {
  const json step = json::parse(R"({"type": "TemplateProcessing", "single": [
      {"SpecialToken": {"id": "<b>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
      {"SpecialToken": {"id": "<e>", "type_id": 0}}], "pair": [], "special_tokens": {}})");
  const auto with = [&](const json& processor) {
    return tokenizer_json_load(changed(by_bytes(), [&](json& file) {
      file["added_tokens"].push_back(added("<b>", 260, true));
      file["added_tokens"].push_back(added("<e>", 261, true));
      file["post_processor"] = processor;
    }));
  };
  CHECK(with(step)->bos() == 260);
  CHECK(with(step)->eos() == 261);
  const json sequence = {{"type", "Sequence"},
                         {"processors", json::array({byte_level(true), step})}};
  CHECK(with(sequence)->bos() == 260);
  CHECK(with(nullptr)->bos() == 259);
  CHECK(with(nullptr)->eos() == 259);
  CHECK(tokenizer_json_load(by_characters())->bos() == 1);
}

TEST_CASE("tokenizer.json: begin and end that are missing are errors") {
  const auto other = [](json& file) { file["added_tokens"] = {added("<x>", 259, true)}; };
  CHECK(contains(error_with(by_bytes(), other), "does not say which token ends a text"));
  const auto keep = [](json&) {};
  CHECK(contains(error_with(by_bytes(), keep, R"({"bos_token": "<b>"})"),
                 "no token \"<b>\", which begins a text"));
  CHECK(contains(error_with(by_bytes(), keep, R"({"eos_token": "<e>"})"),
                 "no token \"<e>\", which ends a text"));
  CHECK(contains(error_with(by_bytes(), keep, R"({"eos_token": 3})"),
                 "tokenizer_config.json: eos_token is 3, expected a text"));
  CHECK(contains(error_with(by_bytes(), keep, R"({"eos_token)"),
                 "tokenizer_config.json is not valid JSON"));
  CHECK(contains(error_with(by_bytes(), keep, "[]"), "expected a JSON object"));
  const auto no_feed = [](json& file) {
    file["model"]["vocab"].erase("\u010A");
    file["model"]["vocab"]["<|endoftext|>"] = 259;
  };
  CHECK(contains(error_with(by_bytes(), no_feed), "no token for a line feed"));
}

TEST_CASE("tokenizer.json: what is not implemented is an error that names it") {
  const std::tuple<const char*, const char*, const char*> changes[] = {
      {"/surprise", "1", "surprise is 1, expected nothing there: this key is not implemented"},
      {"/model", "null", "model is null, expected a model with its vocabulary"},
      {"/model", "[]", "model is a list, expected an object"},
      {"/model/type", R"("Unigram")", "model.type is \"Unigram\", expected \"BPE\""},
      {"/model/type", "null", "model.type is null, expected \"BPE\""},
      {"/model/dropout", "0.1", "model.dropout is 0.1, expected null"},
      {"/model/continuing_subword_prefix", R"("##")", "model.continuing_subword_prefix is \"##\""},
      {"/model/end_of_word_suffix", R"("</w>")", "model.end_of_word_suffix is \"</w>\""},
      {"/model/surprise", "true", "model.surprise is true"},
      {"/model/unk_token", R"("<u>")", "model.unk_token is \"<u>\", expected a token"},
      {"/model/unk_token", "7", "model.unk_token is 7, expected a text"},
      {"/model/byte_fallback", "true", "model.byte_fallback is true, expected false after"},
      {"/model/fuse_unk", "1", ""},
      {"/model/ignore_merges", "1", "model.ignore_merges is 1, expected true or false"},
      {"/model/vocab", "[]", "model.vocab is a list, expected an object of tokens"},
      {"/model/vocab/a", "1.5", "model.vocab.a is 1.5, expected a whole number"},
      {"/model/vocab/a", "-1", "model.vocab.a is -1, expected an id from 0"},
      {"/model/vocab/a", "1048576", "expected an id from 0 to 16642"},
      {"/model/vocab/a", "18446744073709551615", "expected a small number"},
      {"/model/vocab/b", "97", "expected an id of its own: \"a\" has it"},
      {"/model/merges", "null", "model.merges is null, expected a list of merges"},
      {"/model/merges", "{}", "model.merges is an object, expected a list"},
      {"/model/merges/1", R"("h x")", "model.merges[1] is \"h x\", expected two tokens that are"},
      {"/model/merges/1", R"("hx")", "model.merges[1] is \"hx\", expected two tokens"},
      {"/model/merges/1", R"(["h"])", "model.merges[1] is a list, expected two tokens"},
      {"/model/merges/1", R"(["h", 1])", "model.merges[1][1] is 1, expected a text"},
      {"/model/merges/1", "5", "model.merges[1] is 5, expected a text"},
      {"/model/merges/1", R"("h \u4E2D")", "expected two tokens in ByteLevel's alphabet"},
      {"/added_tokens", "{}", "added_tokens is an object, expected a list"},
      {"/added_tokens/0", "1", "added_tokens[0] is 1, expected an object"},
      {"/added_tokens/0/id", "300", "added_tokens[0].id is 300, expected 259, the next one"},
      {"/added_tokens/0/content", R"("a")", "added_tokens[0].id is 259, expected 97"},
      {"/added_tokens/0/content", R"("")", "expected at least one character"},
      {"/added_tokens/0/surprise", "1", "added_tokens[0].surprise is 1"},
      {"/normalizer", R"({"type": "Lowercase"})", "normalizer.type is \"Lowercase\", expected"},
      {"/normalizer", R"({})", "normalizer.type is null, expected a text"},
      {"/normalizer", R"({"type": "NFC", "x": 1})", "normalizer.x is 1"},
      {"/normalizer", R"({"type": "Prepend"})", "normalizer.prepend is null"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"Regex": "a"}, "content": "b"})",
       "normalizer.pattern.Regex is \"a\", expected nothing there"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"String": ""}, "content": "b"})",
       "normalizer.pattern.String is \"\", expected at least one character"},
      {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Nmt"}]})",
       "normalizer.normalizers[0].type is \"Nmt\""},
      {"/pre_tokenizer", R"({"type": "Whitespace"})", "pre_tokenizer.type is \"Whitespace\""},
      {"/pre_tokenizer/use_regex", "0", "pre_tokenizer.use_regex is 0, expected true or false"},
      {"/pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})",
       "pre_tokenizer.pretokenizers[1].type is \"Digits\", expected no step after ByteLevel"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "MergedWithNext"})",
       "pre_tokenizer.behavior is \"MergedWithNext\", expected \"Isolated\""},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Removed"})",
       "pre_tokenizer.behavior is \"Removed\""},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "\\w"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex is \"\\\\w\", expected a pattern that is known here"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": "a", "behavior": "Isolated"})",
       "pre_tokenizer.pattern is \"a\", expected an object"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "ab"})",
       "pre_tokenizer.replacement is \"ab\", expected one character"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "x"})",
       "pre_tokenizer.prepend_scheme is \"x\", expected \"always\""},
      {"/decoder", R"({"type": "WordPiece"})", "decoder.type is \"WordPiece\", expected a decoder"},
      {"/decoder", R"({"type": "Strip", "content": " ", "start": 2, "stop": 0})",
       "decoder.type is \"Strip\""},
      {"/post_processor", R"({"type": "BertProcessing"})",
       "post_processor.type is \"BertProcessing\""},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": [
          {"SpecialToken": {"id": "<b>"}}, {"SpecialToken": {"id": "<b>"}}]})",
       "post_processor.single[1] is an object, expected one token before the text"},
  };
  for (const auto& [place, value, what] : changes) {
    CAPTURE(place);
    CAPTURE(value);
    const std::string message = error_with(by_bytes(), [&, at = place, to = value](json& file) {
      file[json::json_pointer(at)] = json::parse(to);
    });
    CAPTURE(message);
    CHECK((std::string_view(what).empty() || contains(message, what)));
    CHECK((std::string_view(what).empty() || contains(message, "tokenizer.json: ")));
  }
}

TEST_CASE("tokenizer.json: settings to cut and to pad texts change no token") {
  json file = by_bytes();
  file["truncation"] = {{"direction", "Right"}, {"max_length", 2}, {"stride", 0}};
  file["padding"] = {{"strategy", "BatchLongest"}, {"pad_id", 259}, {"pad_token", "<|endoftext|>"}};
  const auto plain = tokenizer_json_load(by_bytes()), set = tokenizer_json_load(file);
  CHECK(set->encode("hello world").ids == plain->encode("hello world").ids);
}

TEST_CASE("tokenizer.json: special tokens behind all others need no rows of a model") {
  CHECK(tokenizer_json_load(by_bytes())->prompt_vocab_size() ==
        260);  // <|endoftext|> ends each prompt
  json file = by_bytes();
  file["added_tokens"].push_back(added("<pad>", 260, true));
  file["added_tokens"].push_back(added("<mask>", 261, true));
  CHECK(tokenizer_json_load(file)->vocab_size() == 262);
  CHECK(tokenizer_json_load(file)->prompt_vocab_size() == 260);
  CHECK(tokenizer_json_load(file)->encode("<pad>").ids.size() == 5);
  file["added_tokens"].push_back(added("<found>", 262, false));
  CHECK(tokenizer_json_load(file)->prompt_vocab_size() == 263);
}

TEST_CASE("tokenizer.json: plain added tokens must be found as they are") {
  for (const char* key : {"single_word", "lstrip", "rstrip"}) {
    const auto add = [&](json& file) {
      file["added_tokens"].push_back(added("<x>", 260, false));
      file["added_tokens"][1][key] = true;
    };
    CHECK(contains(error_with(by_bytes(), add), fmt::format("added_tokens[1].{} is true", key)));
  }
  const auto normalized = [](json& file) {
    file["normalizer"] = {{"type", "NFC"}};
    file["added_tokens"].push_back(added("<x>", 260, false));
    file["added_tokens"][1]["normalized"] = true;
  };
  CHECK(contains(error_with(by_bytes(), normalized), "added_tokens[1].normalized is true"));
}

TEST_CASE("tokenizer.json: added tokens are numbered on from the vocabulary's size") {
  const auto hole = [](json& file) { file["model"]["vocab"].erase("q"); };
  CHECK(contains(error_with(by_bytes(), hole), "added_tokens[0].id is 259, expected 258"));
}

TEST_CASE("tokenizer.json: byte fallback needs all bytes") {
  const auto no_byte = [](json& file) { file["model"]["vocab"].erase("<0x7F>"); };
  CHECK(contains(error_with(by_characters(), no_byte), "false: <0x7F> is no token"));
}

TEST_CASE("tokenizer.json: sequences in one another end somewhere") {
  const auto error_at = [](int depth) {
    std::string deep;
    for (int i = 0; i < depth; ++i) deep += R"({"type":"Sequence","normalizers":[)";
    deep += R"({"type":"NFC"})";
    for (int i = 0; i < depth; ++i) deep += "]}";
    std::string bytes = by_bytes().dump();
    const std::string place = "\"normalizer\":null";
    return tokenizer_json_error_of_bytes(
        bytes.replace(bytes.find(place), place.size(), "\"normalizer\":" + deep));
  };
  CHECK(contains(error_at(20), "expected fewer sequences in one another"));
  CHECK(contains(error_at(100'000), "lists or objects more than 64 deep in one another"));
}

TEST_CASE("tokenizer.json: an id far beyond the others takes no memory") {
  const auto far = [](json& file) { file["model"]["vocab"]["far"] = 1'000'000; };
  CHECK(contains(error_with(by_bytes(), far), "model.vocab.far is 1000000, expected an id from 0"));
}

TEST_CASE("tokenizer.json: normalizers that lengthen a text without end are an error") {
  json file = by_bytes();
  json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::vector(40, twice)}};
  for (json& token : file["added_tokens"]) token["normalized"] = false;
  const auto tokenizer = tokenizer_json_load(file);
  CHECK(contains(error_of([&] { tokenizer->encode("a"); }),
                 "normalizers make more than 4160 bytes of a text of 1"));
}

TEST_CASE("tokenizer.json: a file that is cut or damaged anywhere never crashes") {
  const std::string bytes = by_bytes().dump();
  CHECK(contains(tokenizer_json_error_of_bytes("{\"version\": \"1.0\"}"),
                 "this is no tokenizer.json"));
  CHECK(contains(tokenizer_json_error_of_bytes("  {\"version\""), "is not valid JSON at byte"));
  CHECK(
      contains(tokenizer_json_error_of_bytes("{\"model\": 1e999}"), "a number that is too large"));
  for (size_t at = 1; at < bytes.size(); at += 13) {
    CHECK(!tokenizer_json_error_of_bytes(std::string_view(bytes).substr(0, at)).empty());
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK_NOTHROW(tokenizer_json_error_of_bytes(damaged));
    damaged[at] = '\xFF';
    CHECK(!tokenizer_json_error_of_bytes(damaged).empty());
  }
}

TEST_CASE("tokenizer.json: a prompt's labels are found by byte in another vocabulary") {
  const auto tokenizer = tokenizer_json_load(by_bytes());
  const PromptBuilder builder(*tokenizer, 2, 1024);
  Sample sample;
  sample.question = "Question: Answer: \u00E9?";
  sample.options = {"one", "two"};
  sample.answer = 1;
  const auto labels = [&](const Prompt& prompt) {
    return tokenizer->decode({prompt.tokens.begin() + prompt.label_start, prompt.tokens.end()});
  };
  CHECK(labels(builder.vqa(sample, 0)) == " (A)");
  CHECK(labels(builder.vaq(sample)) == " " + sample.question);
  CHECK(builder.vqa(sample, 0).tokens.front() == tokenizer->bos());
  CHECK(builder.vqa(sample, 0).tokens.back() == tokenizer->eos());
}
