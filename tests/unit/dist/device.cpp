// Which rank gets which device, decided from what the ranks see; no GPU is needed for that.
#include "bovila/dist/device.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <doctest/doctest.h>

#include "bovila/core/error.h"

using namespace bovila;

namespace {

using Nodes = std::vector<int>;

RankView sees(const std::string& host, const std::vector<std::string>& devices) {
  RankView view;
  view.host = host;
  view.devices = devices;
  if (devices.empty()) view.why_none = "no CUDA-capable device is detected";
  return view;
}

std::string error_of(DeviceRequest request, const std::vector<RankView>& ranks,
                     const Nodes& nodes) {
  try {
    assign_devices(request, ranks, nodes);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("LibTorch's kernels for GPUs are loaded when asked for") {
  const auto has_kernel = [] {
    return c10::Dispatcher::singleton()
        .findSchemaOrThrow("aten::mm", "")
        .hasKernelForDispatchKey(c10::DispatchKey::CUDA);
  };
  CHECK_FALSE(has_kernel());
  load_cuda();
  CHECK(has_kernel());
}

TEST_CASE("kernels for GPUs that cannot be loaded are named, with what to do") {
  CHECK_THROWS_WITH_AS(load_cuda("libtorch_not_there.so"),
                       doctest::Contains("cannot load LibTorch's kernels for GPUs: "
                                         "libtorch_not_there.so: cannot open shared object file"),
                       UserError);
  CHECK_THROWS_WITH_AS(load_cuda("libtorch_not_there.so"),
                       doctest::Contains("set run.device = \"cpu\""), UserError);
}

TEST_CASE("where all ranks see all devices, a rank's device is its local rank") {
  const auto view = sees("n1", {"a", "b", "c", "d"});
  for (const auto request : {DeviceRequest::kAuto, DeviceRequest::kCuda}) {
    CHECK(assign_devices(request, {view, view, view, view}, {0, 0, 0, 0}) == Nodes{0, 1, 2, 3});
    CHECK(assign_devices(request, {view, view}, {0, 0}) == Nodes{0, 1});
    CHECK(assign_devices(request, {view}, {0}) == Nodes{0});
  }
}

TEST_CASE("local ranks count within a node, however the ranks lie on the nodes") {
  const auto one = sees("n1", {"a", "b"}), two = sees("n2", {"c", "d"});
  CHECK(assign_devices(DeviceRequest::kCuda, {one, one, two, two}, {0, 0, 2, 2}) ==
        Nodes{0, 1, 0, 1});
  CHECK(assign_devices(DeviceRequest::kCuda, {one, two, one, two}, {0, 1, 0, 1}) ==
        Nodes{0, 0, 1, 1});
}

TEST_CASE("a launcher that shows each rank one device of its own is understood") {
  CHECK(assign_devices(DeviceRequest::kCuda, {sees("n1", {"a"}), sees("n1", {"b"})}, {0, 0}) ==
        Nodes{0, 0});
}

TEST_CASE("ranks bound in groups share their group's devices out") {
  const auto left = sees("n1", {"a", "b"}), right = sees("n1", {"c", "d"});
  CHECK(assign_devices(DeviceRequest::kCuda, {left, left, right, right}, {0, 0, 0, 0}) ==
        Nodes{0, 1, 0, 1});
}

TEST_CASE("without any device auto is the CPU, and cpu is it with devices too") {
  const auto none = sees("n1", {}), some = sees("n1", {"a"});
  CHECK(assign_devices(DeviceRequest::kAuto, {none, none}, {0, 0}) == Nodes{kNoDevice, kNoDevice});
  CHECK(assign_devices(DeviceRequest::kCpu, {some, none}, {0, 1}) == Nodes{kNoDevice, kNoDevice});
  CHECK(assign_devices(DeviceRequest::kCpu, {some, some}, {0, 0}) == Nodes{kNoDevice, kNoDevice});
}

TEST_CASE("cuda without any device is an error with CUDA's reason, and counts both") {
  const auto none = sees("n1", {});
  CHECK(error_of(DeviceRequest::kCuda, {none, none}, {0, 0}) ==
        "run.device = \"cuda\", but no rank sees a CUDA device (no CUDA-capable device is "
        "detected): node n1 has 0 CUDA devices for 2 ranks. Start on nodes with GPUs (Slurm: "
        "--gpus-per-node), or set run.device = \"cpu\"");
}

TEST_CASE("more ranks than devices on a node is an error that counts both") {
  const auto view = sees("n1", {"a", "b"});
  for (const auto request : {DeviceRequest::kAuto, DeviceRequest::kCuda}) {
    CHECK(error_of(request, {view, view, view, view}, {0, 0, 0, 0}) ==
          "node n1 has 2 CUDA devices for 4 ranks: start one rank a device (Slurm: "
          "--ntasks-per-node=2, mpirun: --map-by ppr:2:node)");
  }
  const auto full = sees("n0", {"c", "d"});
  CHECK(error_of(DeviceRequest::kCuda, {full, full, view, view, view}, {0, 0, 2, 2, 2})
            .starts_with("node n1 has 2 CUDA devices for 3 ranks: "));
}

TEST_CASE("two ranks that see the same single device are an error") {
  const auto view = sees("n1", {"a"});
  CHECK(error_of(DeviceRequest::kCuda, {view, view}, {0, 0})
            .starts_with("node n1 has 1 CUDA device for 2 ranks: "));
  CHECK(error_of(DeviceRequest::kCuda, {view, sees("n1", {"b", "c"}), view}, {0, 0, 0}) ==
        "node n1 has 3 CUDA devices for 3 ranks, but ranks 0 and 2 are bound to the same one, a: "
        "let every rank see all devices of its node, or one of its own (Slurm: --gpus-per-task=1)");
}

TEST_CASE("one device under two node names, as in two containers, is found too") {
  CHECK(error_of(DeviceRequest::kCuda, {sees("c1", {"a"}), sees("c2", {"a"})}, {0, 1})
            .starts_with("node c2 has 1 CUDA device for 1 rank, but ranks 0 and 1 are bound to the "
                         "same one, a: "));
}

TEST_CASE("devices on some nodes only is an error that names the rank, the node and all counts") {
  const auto with = sees("n1", {"a", "b"}), without = sees("n2", {});
  for (const auto request : {DeviceRequest::kAuto, DeviceRequest::kCuda}) {
    CHECK(error_of(request, {with, with, without}, {0, 0, 2}) ==
          "rank 2 on node n2 sees no CUDA device (no CUDA-capable device is detected), others do: "
          "node n1 has 2 CUDA devices for 2 ranks, node n2 has 0 CUDA devices for 1 rank. Start "
          "one rank a device on every node, or set run.device = \"cpu\"");
  }
}

TEST_CASE("of very many nodes only the first are listed") {
  std::vector<RankView> ranks(100, sees("n", {}));
  Nodes nodes(100);
  for (int i = 0; i < 100; ++i) nodes[static_cast<size_t>(i)] = i;
  const std::string message = error_of(DeviceRequest::kCuda, ranks, nodes);
  CHECK(message.find("and 92 more nodes") != std::string::npos);
  CHECK(message.size() < 800);
}
