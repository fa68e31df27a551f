// JSON as Python's json.dump writes it: NaN, which JSON has not, stands for no number.
// Fed by annotation files; used by annotation_file.cpp.
#pragma once

#include <array>
#include <streambuf>
#include <string>
#include <string_view>

namespace bovila {

/// The bytes of `source`, of which every NaN outside of texts is given as null. Memory is one
/// buffer. `source` must outlive it.
class NanAsNull : public std::streambuf {
 public:
  explicit NanAsNull(std::streambuf& source) : source_(source) { setg(end(), end(), end()); }
  /// What was read last and what follows up to the end of the value: where a parser gave up.
  std::string place();
  bool is_at_end() { return underflow() == traits_type::eof(); }

 protected:
  int_type underflow() override;

 private:
  static constexpr size_t kKept = 256;  // of what was read, for place()
  static constexpr size_t kBuffer = 8192;

  char* end() { return buffer_.data() + kKept + kBuffer; }
  void put(char c);

  std::streambuf& source_;
  std::array<char, kKept + kBuffer> buffer_{};
  size_t size_ = 0;  // of what stands behind the kept part
  bool in_text_ = false, is_escaped_ = false;
};

/// The same of a whole text.
std::string nan_as_null(std::string_view text);

/// The part of `text` around `at` that a person would look for: from the key to the value's end.
std::string json_place(std::string_view text, size_t at);

}  // namespace bovila
