// In the order that commands call it.
#include "src/main/set_up.h"

#include "bovila/config/dump.h"
#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/determinism.h"
#include "bovila/dist/device.h"
#include "bovila/dist/threads.h"
#include "bovila/model/product_speed.h"

namespace bovila {

Deck share_deck(const CommandLine& line, Communicator& ranks) {
  Deck deck;
  run_together(ranks, [&] {
    if (ranks.rank() == 0) deck = read_deck(line.deck, line.overrides);
  });
  const std::string resolved = ranks.broadcast(deck.resolved, 0);
  if (ranks.rank() != 0) deck = parse_deck(resolved, line.deck);
  if (ranks.rank() == 0 && !line.start.eval) {
    for (const std::string& warning : deck.warnings) log::warn("{}", warning);
  }
  return deck;
}

int set_up_threads(const RunConfig& config, Communicator& node, Communicator* group) {
  int threads = config.threads_per_rank > 0 ? static_cast<int>(config.threads_per_rank)
                                            : choose_threads(node);
  if (group != nullptr) threads = static_cast<int>(-group->max(-threads));
  torch::set_num_threads(threads);
  return threads;
}

torch::Device set_up_device(const RunConfig& config, Communicator& ranks, Communicator& node) {
  if (config.deterministic) make_deterministic();  // before the first use of a GPU
  at::globalContext().setAllowTF32CuBLAS(config.tf32);
  return choose_device(config.device, ranks, node);
}

void settle_precision(Deck& deck, torch::Device device, Communicator& ranks,
                      const std::string& saved_deck) {
  Precision& precision = deck.config.model.precision;
  if (precision != Precision::kAuto) return;
  if (!saved_deck.empty()) {
    precision = parse_deck(saved_deck, "the checkpoint's deck.toml").config.model.precision;
    deck.resolved = to_toml(deck.config);
    return;
  }
  std::string chosen = "bf16";
  if (device.is_cpu()) {
    run_together(ranks, [&] {
      if (ranks.rank() != 0) return;
      const ProductSpeed speed = measure_products();
      if (faster_type(speed) == torch::kFloat32) chosen = "fp32";
      log::info("model.precision is {}: products run at {:.0f} GFLOP/s in fp32, {:.0f} in bf16",
                chosen, speed.fp32, speed.bf16);
    });
    chosen = ranks.broadcast(chosen, 0);
  }
  precision = chosen == "fp32" ? Precision::kFp32 : Precision::kBf16;
  deck.resolved = to_toml(deck.config);
}

}  // namespace bovila
