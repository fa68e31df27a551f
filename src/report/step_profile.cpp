// LibTorch's own profiler, begun and ended between steps.
#include "bovila/report/step_profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>
#include <torch/cuda.h>

#include <cstdlib>

#include "bovila/core/log.h"
#include "bovila/dist/libtorch.h"

namespace bovila {
namespace {

namespace profiler = torch::autograd::profiler;

std::set<torch::profiler::impl::ActivityType> activities() {
  std::set<torch::profiler::impl::ActivityType> all{torch::profiler::impl::ActivityType::CPU};
  if (torch::cuda::is_available()) all.insert(torch::profiler::impl::ActivityType::CUDA);
  return all;
}

}  // namespace

StepProfile::StepProfile(std::filesystem::path file, int64_t num_steps)
    : file_(std::move(file)), num_steps_(num_steps) {}

StepProfile::~StepProfile() {
  if (is_tracing_) {
    finish();
  } else if (num_steps_ > 0 && steps_ < kFirstStep) {
    log::warn("no trace: steps are traced from the {}rd on, this run had {}", kFirstStep, steps_);
  }
}

void StepProfile::step_begins() {
  if (num_steps_ == 0) return;
  ++steps_;
  if (steps_ == kFirstStep) {
    const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO,
                                                       /*report_input_shapes=*/true);
    // Without a GPU Kineto reports its absence as an error; 5 leaves nothing but fatal ones.
    if (!torch::cuda::is_available()) {
      setenv("KINETO_LOG_LEVEL", "5", 0);  // NOLINT(concurrency-mt-unsafe): others read none now
    }
    profiler::prepareProfiler(config, activities());
    profiler::enableProfiler(config, activities());
    is_tracing_ = true;
  } else if (steps_ == kFirstStep + num_steps_) {
    finish();
  }
}

void StepProfile::finish() {
  is_tracing_ = false;
  try {
    const auto trace = profiler::disableProfiler();
    std::filesystem::remove(file_);
    trace->save(file_.string());
    if (!std::filesystem::exists(file_)) throw std::runtime_error("it was not written");
    log::info("a trace is in {}: open it in ui.perfetto.dev", file_.string());
  } catch (const std::exception& error) {
    log::warn("NO TRACE in {}: {}", file_.string(), error.what());
  }
}

}  // namespace bovila
