// A folder of golden numbers: the settings of a run, its inputs and what the published code gave.
// Fed by tests/golden/mini or any folder of that form (environment variable BOVILA_GOLDEN).
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bovila/config/config.h"
#include "bovila/core/hdf5.h"
#include "bovila/data/dataset.h"
#include "bovila/dist/communicator.h"
#include "bovila/dist/libtorch.h"
#include "bovila/features/feature_store.h"
#include "bovila/model/bovila.h"
#include "bovila/text/tokenizer.h"

namespace golden {

/// The folder that is tested.
std::string folder();
/// Names of its runs that start so ("star": "star", "star-nogate", ...), in order of name. Those of
/// Flipped-VQA are "flipped-nextqa", ...
std::vector<std::string> runs_of(const std::string& first);

/// expected-<run>.h5, opened, with the settings in our words.
class Run {
 public:
  explicit Run(const std::string& name);

  const std::string& name() const { return name_; }
  const bovila::Config& config() const { return config_; }
  int64_t num_micro_batches() const;
  int64_t num_steps() const;
  std::vector<int64_t> rows(int64_t micro) const;
  /// An attribute of /train/micro{k}; none when the run has no such term.
  std::optional<double> loss(int64_t micro, const std::string& name) const;
  double step_number(int64_t step, const std::string& name) const;
  bool has(const std::string& path) const;
  bool has_attribute(const std::string& path, const std::string& name) const;
  torch::Tensor read(const std::string& path) const;  // fp32 or int64
  std::vector<std::string> list(const std::string& path) const;
  double attribute(const std::string& path, const std::string& name) const;

 private:
  std::string name_;
  bovila::hdf5::Handle file_;
  bovila::Config config_;
};

/// The parts of the program that a run needs, made from the folder's files.
struct Parts {
  std::unique_ptr<bovila::Tokenizer> tokenizer;
  std::unique_ptr<bovila::FeatureStore> features;
  std::unique_ptr<bovila::Dataset> train, val;
};
Parts make_parts(const Run& run);

/// The tiny LLaMA with the run's start values, all of it on `device`; of `group`, where there is
/// one, each rank has its part.
bovila::Bovila make_model(const Run& run, const bovila::Tokenizer& tokenizer,
                          const bovila::WeightTypes& types = torch::kFloat32,
                          torch::Device device = torch::kCPU,
                          bovila::Communicator* group = nullptr);

}  // namespace golden
