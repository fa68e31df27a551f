// Real ranks choose their device on a machine that shows no GPU.
#include "bovila/dist/device.h"

#include <doctest/doctest.h>

#include <optional>

#include "bovila/dist/agreement.h"
#include "tests/mpi/session.h"

using namespace bovila;

namespace {

std::optional<AgreedError> error_of_choice(DeviceRequest request) {
  auto ranks = all_ranks();
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  try {
    choose_device(request, ranks, node);
  } catch (const AgreedError& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("auto and cpu are the CPU where no rank sees a GPU") {
  auto ranks = all_ranks();
  const MpiComm comm = test_session->node();
  MpiCommunicator node(comm.get(), 60);
  CHECK(choose_device(DeviceRequest::kAuto, ranks, node) == torch::Device(torch::kCPU));
  CHECK(choose_device(DeviceRequest::kCpu, ranks, node) == torch::Device(torch::kCPU));
}

TEST_CASE(
    "cuda where no rank sees a GPU is one agreed user's error that counts devices and ranks") {
  auto ranks = all_ranks();
  const auto error = error_of_choice(DeviceRequest::kCuda);
  REQUIRE(error);
  CHECK(error->code == ExitCode::kUserError);
  const std::string message = error->what();
  CAPTURE(message);
  CHECK(message.starts_with("run.device = \"cuda\", but no rank sees a CUDA device ("));
  CHECK(message.find(fmt::format("has 0 CUDA devices for {} rank", ranks.size())) !=
        std::string::npos);
  for (const auto& theirs : ranks.all_gather(message)) CHECK(theirs == message);
}

TEST_CASE("a process that sees no device knows CUDA's reason") {
  const RankView view = view_devices("n1");
  CHECK(view.host == "n1");
  CHECK(view.devices.empty());
  CHECK_FALSE(view.why_none.empty());
}
