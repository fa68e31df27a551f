// Which form a tokenizer's file has. A name does not tell: tokenizer.model is SentencePiece's or
// tiktoken's.
#include "bovila/text/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bovila/core/error.h"
#include "src/text/tokenizer_forms.h"

namespace bovila {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

bool consists_of(std::string_view text, std::string_view letters) {
  return !text.empty() && text.find_first_not_of(letters) == std::string_view::npos;
}

bool is_json_object(std::string_view bytes) {
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && bytes[first] == '{';
}

bool is_tiktoken(std::string_view bytes) {
  std::string_view line = bytes.substr(0, bytes.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t space = line.find(' ');
  return space != std::string_view::npos && consists_of(line.substr(0, space), kBase64) &&
         consists_of(line.substr(space + 1), kDigits);
}

}  // namespace

int64_t Encoding::token_at(int64_t offset) const {
  const auto end = std::upper_bound(begin.begin() + 1, begin.end(), offset);
  return end - begin.begin() - 1;
}

std::string read_tokenizer_file(const std::string& path) {
  if (!std::filesystem::exists(path)) throw UserError("{} is missing. {}", path, kTokenizerHint);
  if (std::filesystem::is_directory(path)) {
    throw UserError("{}: expected a file, got a folder. {}", path, kTokenizerHint);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw UserError("{} cannot be read: check its permissions. {}", path, kTokenizerHint);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  const std::string bytes = read_tokenizer_file(path);
  if (is_json_object(bytes)) return load_tokenizer_json(path, bytes);
  if (is_tiktoken(bytes)) return load_tiktoken(path, bytes);
  return load_sentencepiece(path, bytes);
}

std::string find_tokenizer_file(const std::string& folder) {
  for (const char* name : {"tokenizer.model", "tokenizer.json"}) {
    const std::filesystem::path file = std::filesystem::path(folder) / name;
    if (std::filesystem::exists(file)) return file;
  }
  return "";
}

}  // namespace bovila
