// A text on its way to its tokens: what normalizers made of it, each byte with the byte of the
// original that it stands for. Fed by BpeTokenizer; its pieces feed src/text/bpe.h.
#pragma once

#include <unicode/normalizer2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bovila {

/// UTF-8, always valid.
struct AlignedText {
  std::string text;
  /// text.size() + 1 entries, never falling: where in the original a byte comes from; the last one
  /// is where the original ends.
  std::vector<int64_t> origin;

  bool empty() const { return text.empty(); }
  AlignedText slice(size_t begin, size_t end) const;
  /// Puts a text before this one that stands for no byte of the original.
  void prepend(std::string_view prefix);
};

/// The text with every ill-formed part replaced by U+FFFD.
/// @throws UserError when it is longer than 512 MiB.
AlignedText align(std::string_view text);

/// `from` is not empty.
AlignedText replace_all(const AlignedText& text, std::string_view from, std::string_view to);

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

/// Brings a text into a Unicode form. Characters younger than Unicode 9 stay as they are, as in the
/// tokenizers library, whose tables end there. Thread-safe after construction.
class UnicodeNormalizer {
 public:
  explicit UnicodeNormalizer(UnicodeForm form);
  AlignedText operator()(const AlignedText& text) const;

 private:
  std::shared_ptr<const icu::UnicodeSet> known_;
  std::shared_ptr<const icu::Normalizer2> rules_;
};

}  // namespace bovila
