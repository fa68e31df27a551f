// Texts through a tokenizer and back. Fed by the targets about tokenizer files.
#pragma once

#include "bovila/core/error.h"
#include "bovila/text/tokenizer.h"

namespace bovila::fuzz {

inline void use(const Tokenizer& tokenizer) {
  for (const std::string_view text : {"Which digit is shown last?\n(A) two 12345 it's", "", " \n",
                                      "\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80 \xFF<s> \xCC\x88"}) {
    const Encoding encoding = tokenizer.encode(text);
    BOVILA_CHECK(encoding.begin.size() == encoding.ids.size() + 1, "{} begins of {} tokens",
                 encoding.begin.size(), encoding.ids.size());
    encoding.token_at(3);
    tokenizer.decode(encoding.ids);
  }
  tokenizer.decode({tokenizer.bos(), tokenizer.newline(), tokenizer.eos()});
}

}  // namespace bovila::fuzz
