// One communicator where each rank holds the model alone, three where they hold it together.
#include "src/main/run_ranks.h"

namespace bovila {

RunRanks::RunRanks(MpiCommunicator& all, MpiCommunicator& node, int64_t tensor_parallel)
    : all_(all), node_(node) {
  if (tensor_parallel > 1) groups_.emplace(all, node, tensor_parallel);
}

void RunRanks::start_nccl(torch::Device device) {
  if (!device.is_cuda()) return;
  nccl_ = std::make_unique<NcclCommunicator>(all_, device);
  if (!groups_) return;
  data_nccl_ = std::make_unique<NcclCommunicator>(groups_->data(), device);
  tensor_nccl_ = std::make_unique<NcclCommunicator>(groups_->tensor(), device);
  NcclCommunicator* const each[] = {nccl_.get(), data_nccl_.get(), tensor_nccl_.get()};
  for (NcclCommunicator* one : each) {
    for (NcclCommunicator* other : each) {
      if (one != other) one->wait_also_for(*other);
    }
  }
}

void RunRanks::note_in(CollectiveRecord& record) {
  const auto note = [&](const std::string& name, MpiCommunicator& host, NcclCommunicator* nccl) {
    std::vector<int> members;
    for (const auto& rank : host.all_gather(std::to_string(all_.rank()))) {
      members.push_back(std::stoi(rank));
    }
    host.record_in(record, {name, members});
    if (nccl != nullptr) nccl->record_in(record, {name + " over NCCL", members});
  };
  note("all ranks", all_, nccl_.get());
  note("a node's ranks", node_, nullptr);
  if (!groups_) return;
  note("a group's ranks", groups_->tensor(), tensor_nccl_.get());
  note("ranks of one part", groups_->data(), data_nccl_.get());
  note("a node's ranks of one part", groups_->node_data(), nullptr);
}

RankGrid RunRanks::grid() {
  Communicator& all = nccl_ ? static_cast<Communicator&>(*nccl_) : all_;
  if (!groups_) return all;
  if (nccl_) return {all, *data_nccl_, *tensor_nccl_};
  return {all, groups_->data(), groups_->tensor()};
}

}  // namespace bovila
