// The deck in a checkpoint, against that of the run that goes on from it.
#include "bovila/checkpoint/checkpoint_fit.h"
#include "bovila/config/dump.h"
#include "tests/fuzz/harness/files.h"

namespace bovila::fuzz {

void fuzz_checkpoint_deck(std::string_view bytes) {
  TrainState saved;
  saved.deck = bytes;
  saved.num_ranks = 2;
  require_fit("step-00000100", saved, {to_toml(Config{}), {}, 1});
}

}  // namespace bovila::fuzz
