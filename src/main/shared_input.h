// Standard input for several processes that answer the same questions together: the first reads
// it, all get it. Used by src/main/answer.cpp.
#pragma once

#include <streambuf>
#include <string>

#include "bovila/dist/communicator.h"

namespace bovila {

/// What comes from file descriptor `source` of the first rank, on all ranks of `ranks`; reading is
/// collective. The first may wait for a person as long as it takes: it tells the others every
/// `beat_s` seconds, which has to be well within their time limit.
class SharedInput final : public std::streambuf {
 public:
  SharedInput(Communicator& ranks, int source, double beat_s)
      : ranks_(ranks), source_(source), beat_s_(beat_s) {}

 protected:
  int_type underflow() override;

 private:
  /// What has come, "" when nothing has within a beat; nothing more comes, or can be read: the end.
  /// For the first rank.
  std::string read_some(bool& is_end) const;

  Communicator& ranks_;
  int source_;
  double beat_s_;
  std::string chunk_;
};

/// Takes what is written and keeps nothing.
class NoOutput final : public std::streambuf {
 protected:
  int_type overflow(int_type character) override { return traits_type::not_eof(character); }
};

}  // namespace bovila
