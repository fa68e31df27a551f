// NCCL's non-blocking interface, polled.
#include "bovila/dist/nccl_handle.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <future>
#include <thread>

#include "bovila/core/error.h"
#include "bovila/core/log.h"
#include "bovila/dist/agreement.h"
#include "bovila/dist/gpu_checks.h"
#include "bovila/dist/polling.h"

namespace bovila {
namespace {

constexpr double kMaxStart_s = 120;  // a thousand ranks need less than one minute
constexpr auto kMaxAbort = std::chrono::seconds(10);
constexpr const char* kStarting = "starting NCCL (ncclCommInitRankConfig)";

/// Collective: rank 0's new id, or its error, on all ranks.
ncclUniqueId share_id(Communicator& host) {
  ncclUniqueId id{};
  run_together(host, [&] {
    if (host.rank() == 0) NCCL_CHECK(ncclGetUniqueId(&id));
  });
  const std::string bytes = host.broadcast(std::string(id.internal, sizeof(id.internal)), 0);
  std::memcpy(id.internal, bytes.data(), sizeof(id.internal));
  return id;
}

ncclResult_t async_state(ncclComm_t comm) {
  ncclResult_t state = ncclSuccess;
  NCCL_CHECK(ncclCommGetAsyncError(comm, &state));
  return state;
}

}  // namespace

NcclHandle::NcclHandle(MpiCommunicator& host)
    : host_(host), num_exceptions_(std::uncaught_exceptions()) {
  const ncclUniqueId id = share_id(host);
  // Half: a rank that failed at once waits for the others' news as long as for any collective.
  const double limit_s = std::min(host.timeout_s() / 2, kMaxStart_s);
  bool came = true;
  const LocalError error = run_local([&] { came = start(id, limit_s); });
  try {
    agree(host_, error);  // first: where one rank failed, the others' waiting is no news
    run_together(host_, [&] {
      if (!came) throw ProgramError(waited_in_vain(host_.who(), limit_s, kStarting));
    });
  } catch (const AgreedError&) {
    abort();
    throw;
  } catch (const std::exception&) {  // a rank has died: nothing can be agreed with it
    abort();
    if (came) throw;
    throw ProgramError(waited_in_vain(host_.who(), limit_s, kStarting));
  }
}

NcclHandle::~NcclHandle() {
  if (!comm_) return;
  std::uncaught_exceptions() > num_exceptions_ ? abort() : finish();
}

bool NcclHandle::start(const ncclUniqueId& id, double limit_s) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclResult_t state = ncclCommInitRankConfig(&comm_, host_.size(), id, host_.rank(), &config);
  const bool came = poll_until(limit_s, [&] {
    if (state == ncclInProgress) state = async_state(comm_);
    return state != ncclInProgress;
  });
  if (came && state != ncclSuccess) {
    throw ProgramError("{}: NCCL {} failed in {}: {}", host_.who(), nccl_version(), kStarting,
                       nccl_reason(state));
  }
  return came;
}

void NcclHandle::launch(const std::string& what,
                        const std::function<ncclResult_t(ncclComm_t)>& call) {
  BOVILA_CHECK(comm_, "{}: {} is not possible, NCCL was aborted after an earlier error",
               host_.who(), what);
  const ncclResult_t status = call(comm_);
  if (status != ncclSuccess && status != ncclInProgress) fail(what, status);
  wait(what, [] { return true; });
}

void NcclHandle::wait(const std::string& what, const std::function<bool()>& done) {
  BOVILA_CHECK(comm_, "{}: {} will not end, NCCL was aborted after an earlier error", host_.who(),
               what);
  const bool came = poll_until(host_.timeout_s(), [&] {
    host_.notes().turn();
    const ncclResult_t state = async_state(comm_);
    if (state == ncclInProgress) return false;
    if (state != ncclSuccess) fail(what, state);
    return done();
  });
  if (came) return;
  host_.notes().give_up();  // first: aborting takes its time
  abort();
  throw ProgramError(waited_in_vain(host_.who(), host_.timeout_s(), what));
}

void NcclHandle::fail(const std::string& what, ncclResult_t state) {
  const std::string reason = nccl_reason(state);  // aborting may leave another last message
  abort();
  throw ProgramError("{}: NCCL failed in {}: {}", host_.who(), what, reason);
}

void NcclHandle::finish() noexcept {
  ncclResult_t state = ncclCommFinalize(comm_);
  const bool came = poll_until(host_.timeout_s(), [&] {
    if (state == ncclInProgress && ncclCommGetAsyncError(comm_, &state) != ncclSuccess) return true;
    return state != ncclInProgress;
  });
  if (came && state == ncclSuccess) {
    ncclCommDestroy(comm_);
    comm_ = nullptr;
    return;
  }
  log::warn("{}: NCCL did not end in order ({}); aborting it", host_.who(),
            ncclGetErrorString(state));
  abort();
}

void NcclHandle::abort() noexcept {
  if (!comm_) return;
  // ncclCommAbort joins NCCL's threads, which may themselves wait for a dead peer (NCCL issue
  // 1777): in a thread of its own that is left behind when it does not come back.
  auto promise = std::make_shared<std::promise<void>>();
  auto ended = promise->get_future();
  std::thread([comm = comm_, promise] {
    ncclCommAbort(comm);
    promise->set_value();
  }).detach();
  comm_ = nullptr;
  if (ended.wait_for(kMaxAbort) != std::future_status::ready) {
    log::warn("{}: ncclCommAbort did not return within {} s", host_.who(), kMaxAbort.count());
  }
}

}  // namespace bovila
