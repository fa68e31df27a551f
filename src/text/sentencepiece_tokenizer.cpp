// SentencePiece behind text/tokenizer.h. Its file is checked before it is loaded: the library takes
// one that was cut between two parts for a whole one with default settings, and tokens would
// differ.
#include <sentencepiece_processor.h>

#include <algorithm>

#include "bovila/core/error.h"
#include "src/text/tokenizer_forms.h"

namespace bovila {
namespace {

/// Walks the top-level fields of a protobuf message.
class FieldWalker {
 public:
  explicit FieldWalker(std::string_view bytes) : bytes_(bytes) {}

  /// Steps over one field; its number, or 0 at the end, or -1 when the bytes are no such message.
  int next() {
    if (bytes_.empty()) return 0;
    uint64_t key = 0;
    uint64_t size = 0;
    constexpr uint64_t kLengthDelimited = 2;  // what all parts of a model are
    if (!varint(key) || key % 8 != kLengthDelimited || !varint(size) || size > bytes_.size()) {
      return -1;
    }
    bytes_.remove_prefix(size);
    return static_cast<int>(std::min<uint64_t>(key / 8, INT32_MAX));
  }

 private:
  bool varint(uint64_t& value) {
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view bytes_;
};

/// True when pieces, trainer and normalizer settings (fields 1, 2, 3) are there and nothing is cut.
bool is_whole_model(std::string_view bytes) {
  FieldWalker walker(bytes);
  bool seen[4] = {};
  int field = 0;
  while ((field = walker.next()) > 0) {
    if (field < 4) seen[field] = true;
  }
  return field == 0 && seen[1] && seen[2] && seen[3];
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& path, const std::string& bytes) {
    if (!is_whole_model(bytes)) {
      throw UserError("{} ({} bytes) is no SentencePiece model or not a whole one. {}", path,
                      bytes.size(), kTokenizerHint);
    }
    const auto status = processor_.LoadFromSerializedProto(bytes);
    if (!status.ok()) throw UserError("{}: {}. {}", path, status.ToString(), kTokenizerHint);
    if (bos() < 0 || eos() < 0) {
      throw UserError("{} has no piece for the begin or the end of a text (<s>, </s>). {}", path,
                      kTokenizerHint);
    }
    newline_ = find_newline();
    if (newline_ < 0) {
      throw UserError("{} has no piece for a line feed, neither \"\\n\" nor <0x0A>. {}", path,
                      kTokenizerHint);
    }
  }

  Encoding encode(std::string_view text) const override {
    const auto encoded = processor_.EncodeAsImmutableProto(text);
    const auto pieces = encoded.pieces();  // pointers into `encoded`
    Encoding encoding;
    encoding.ids.reserve(pieces.size());
    encoding.begin.reserve(pieces.size() + 1);
    uint32_t span_begin = 0;
    for (const auto& piece : pieces) {
      // The bytes of a character that has no piece: all start where the character does, and only
      // the last spans it. Each stands for one byte.
      const auto id = static_cast<int32_t>(piece.id());
      const bool follows = !encoding.ids.empty() && processor_.IsByte(id) &&
                           processor_.IsByte(encoding.ids.back()) && piece.begin() == span_begin;
      span_begin = piece.begin();
      encoding.ids.push_back(id);
      encoding.begin.push_back(follows ? encoding.begin.back() + 1 : span_begin);
    }
    encoding.begin.push_back(static_cast<int64_t>(text.size()));
    // A normalizer that lengthens a character gives it more byte tokens than it has bytes.
    for (size_t i = pieces.size(); i > 0; --i) {
      encoding.begin[i - 1] = std::min(encoding.begin[i - 1], encoding.begin[i]);
    }
    return encoding;
  }

  std::string decode(const std::vector<int32_t>& ids) const override {
    for (int32_t id : ids) {
      BOVILA_CHECK(id >= 0 && id < vocab_size(), "token {} of {}", id, vocab_size());
    }
    return processor_.DecodeIds(ids);
  }

  int64_t vocab_size() const override { return processor_.GetPieceSize(); }
  int64_t prompt_vocab_size() const override {
    int size = processor_.GetPieceSize();
    const int kept = std::max({bos(), eos(), newline()}) + 1;
    while (size > kept && (processor_.IsControl(size - 1) || processor_.IsUnused(size - 1))) --size;
    return size;
  }
  int32_t bos() const override { return processor_.bos_id(); }
  int32_t eos() const override { return processor_.eos_id(); }
  int32_t newline() const override { return newline_; }

 private:
  int32_t find_newline() const {
    for (const char* piece : {"\n", "<0x0A>"}) {
      const int id = processor_.PieceToId(piece);
      if (id >= 0 && id != processor_.unk_id()) return id;
    }
    return -1;
  }

  sentencepiece::SentencePieceProcessor processor_;
  int32_t newline_ = -1;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(const std::string& path, const std::string& bytes) {
  return std::make_unique<SentencePieceTokenizer>(path, bytes);
}

}  // namespace bovila
