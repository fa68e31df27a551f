// EgoSchema's questions.json, and the same bytes as its subset_answers.json.
#include "bovila/core/error.h"
#include "bovila/data/annotations.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_egoschema(std::string_view bytes) {
  put("questions.json", bytes);
  put("subset_answers.json", bytes);
  try {
    read_annotations("egoschema", folder(), "subset", false);
  } catch (const UserError&) {  // as answers; as questions they may be right
  }
  read_annotations("egoschema", folder(), "test", false);
}

}  // namespace bovila::fuzz
