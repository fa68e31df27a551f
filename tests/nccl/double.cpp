// NCCL's functions over MPI. PMPI_ names reach MPI itself, past the watch below.
#include "tests/nccl/double.h"

#include <mpi.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "bovila/dist/polling.h"

namespace {

constexpr int kPolls = 3;        // polls for which each call that does not block is in progress
constexpr size_t kNumLines = 4;  // communicators of all ranks between two resets
constexpr size_t kIdBytes = 128;

struct Work {
  ncclComm_t comm;
  cudaStream_t stream;
  void* target;
  std::vector<char> bytes;  // what MPI works on; stays where it is while MPI does
  size_t count;
  ncclDataType_t type;
  int divisor;
  MPI_Request request = MPI_REQUEST_NULL;
  bool joined = false;
  bool done = false;
};

}  // namespace

struct ncclComm {
  MPI_Comm line = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  int polls = kPolls;  // left until the last call is no longer in progress
  bool starting = true;
  bool finalized = false;
  MPI_Request start = MPI_REQUEST_NULL;
  std::vector<char> highest, id;
};

namespace {

struct State {
  std::mutex mutex;
  NcclDouble what;
  std::vector<MPI_Comm> lines;
  size_t next_line = 0;
  int num_ids = 0;
  std::set<ncclComm_t> alive;
  std::vector<std::shared_ptr<Work>> in_flight;
  std::vector<std::shared_ptr<Work>> left_behind;  // MPI may still write to their bytes
  bool followed = false;
};

State& state() {
  static State state;
  return state;
}

void violation(const std::string& text) {
  state().what.violations.push_back(text);
}

/// Notes the call; what it shall return.
ncclResult_t called(const std::string& name, const std::string& detail = "") {
  const std::lock_guard lock(state().mutex);
  state().what.calls.push_back(detail.empty() ? name : name + " " + detail);
  return name == state().what.failing_call ? state().what.failure : ncclSuccess;
}

/// Asked by the thread that aborts.
bool never_aborts() {
  const std::lock_guard lock(state().mutex);
  return state().what.never_aborts;
}

void require_idle(ncclComm_t comm, const char* name) {
  if (!state().alive.contains(comm))
    return violation(std::string(name) + " on a dead communicator");
  if (comm->polls > 0) violation(std::string(name) + " while another call is in progress");
}

bool is_complete(MPI_Request& request) {
  int done = 0;
  PMPI_Test(&request, &done, MPI_STATUS_IGNORE);
  return done != 0;
}

size_t size_of(ncclDataType_t type) {
  return type == ncclFloat32 ? 4 : 8;
}

MPI_Datatype mpi_type(ncclDataType_t type) {
  return type == ncclFloat32 ? MPI_FLOAT : type == ncclFloat64 ? MPI_DOUBLE : MPI_INT64_T;
}

template <typename T>
void divide(std::vector<char>& bytes, int divisor) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, &bytes[at], sizeof(T));
    value /= static_cast<T>(divisor);
    std::memcpy(&bytes[at], &value, sizeof(T));
  }
}

/// The GPU's side of a collective: true when the result is in its place.
bool progress(Work& work) {
  if (work.done) return true;
  if (!work.joined || !is_complete(work.request)) return false;
  if (work.divisor != 1) {
    work.type == ncclFloat32 ? divide<float>(work.bytes, work.divisor)
                             : divide<double>(work.bytes, work.divisor);
  }
  std::memcpy(work.target, work.bytes.data(), work.bytes.size());
  return work.done = true;
}

std::shared_ptr<Work> enqueue(const void* source, void* target, size_t count, ncclDataType_t type,
                              ncclComm_t comm, cudaStream_t stream) {
  if (!state().followed) violation("a collective that does not wait for the compute stream");
  state().followed = false;
  auto work = std::make_shared<Work>();
  work->comm = comm;
  work->stream = stream;
  work->target = target;
  work->bytes.assign(static_cast<const char*>(source),
                     static_cast<const char*>(source) + count * size_of(type));
  work->count = count;
  work->type = type;
  work->divisor = 1;
  work->joined = !state().what.skips_work;
  state().in_flight.push_back(work);
  comm->polls = kPolls;
  return work;
}

class HostStream final : public bovila::CommStream {
 public:
  cudaStream_t get() const override {
    return reinterpret_cast<cudaStream_t>(const_cast<HostStream*>(this));
  }
  void follow_compute() override { state().followed = true; }
  void lead_compute() override {
    for (ncclComm_t comm : state().alive) require_idle(comm, "an event after the launch");
    polls_after_done_ = 0;
    bovila::poll_until(state().what.patience_s, [&] { return have_ended(); });
  }
  bool is_done() override {
    while (state().what.hangs_in_poll) std::this_thread::sleep_for(std::chrono::seconds(1));
    if (!have_ended()) return false;
    if (++polls_after_done_ < kPolls) return false;
    std::erase_if(state().in_flight, [&](auto& work) { return work->stream == get(); });
    return true;
  }

 private:
  bool have_ended() const {
    return std::ranges::all_of(
        state().in_flight, [&](auto& work) { return work->stream != get() || progress(*work); });
  }

  int polls_after_done_ = 0;
};

void watch(const char* name) {
  if (!state().in_flight.empty()) violation(std::string(name) + " while NCCL is in flight");
}

}  // namespace

NcclDouble& nccl_double() {
  return state().what;
}

void reset_nccl_double(const std::vector<MPI_Comm>& spans) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.what = {};
  s.lines = spans.empty() ? std::vector<MPI_Comm>(kNumLines, MPI_COMM_WORLD) : spans;
  for (MPI_Comm& line : s.lines) PMPI_Comm_dup(line, &line);
  s.next_line = 0;
  s.alive.clear();
  for (auto& work : s.in_flight) s.left_behind.push_back(work);
  s.in_flight.clear();
  s.followed = false;
}

std::unique_ptr<bovila::CommStream> make_host_stream() {
  return std::make_unique<HostStream>();
}

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSystemError   ? "unhandled system error"
         : result == ncclRemoteError ? "remote process exited or there was a network error"
         : result == ncclInProgress  ? "NCCL operation in progress"
                                     : "no error";
}

const char* ncclGetLastError(ncclComm_t) {
  return "said by the double";
}

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id->internal, 'a' + state().num_ids++ % 26, kIdBytes);
  return called("ncclGetUniqueId");
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config->blocking != 0) violation("a communicator that blocks");
  const ncclResult_t result = called("ncclCommInitRankConfig");
  if (result != ncclSuccess) return result;
  if (state().what.signal_at_start != 0) std::raise(state().what.signal_at_start);
  auto* made = new ncclComm;
  made->line = state().lines.at(state().next_line++);
  made->rank = rank;
  made->size = size;
  made->id.assign(id.internal, id.internal + kIdBytes);
  made->highest.resize(kIdBytes);
  if (!state().what.skips_start) {
    PMPI_Iallreduce(made->id.data(), made->highest.data(), kIdBytes, MPI_CHAR, MPI_MAX, made->line,
                    &made->start);
  }
  state().alive.insert(made);
  *comm = made;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  if (!state().alive.contains(comm)) violation("a poll of a dead communicator");
  *result = ncclInProgress;
  if (state().what.async_failure != ncclSuccess) {
    *result = state().what.async_failure;
    return ncclSuccess;
  }
  if (comm->starting) {
    if (state().what.skips_start || !is_complete(comm->start)) return ncclSuccess;
    comm->starting = false;
    if (comm->highest != comm->id) violation("ranks with different ids");
  }
  if (comm->finalized && state().what.never_finalizes) return ncclSuccess;
  if (comm->polls > 0) --comm->polls;
  if (comm->polls == 0) *result = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* source, void* target, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  const ncclResult_t result = called("ncclAllReduce", std::to_string(count));
  if (result != ncclSuccess) return result;
  require_idle(comm, "ncclAllReduce");
  auto work = enqueue(source, target, count, type, comm, stream);
  if (op == ncclAvg) work->divisor = comm->size;
  if (work->joined) {
    PMPI_Iallreduce(MPI_IN_PLACE, work->bytes.data(), static_cast<int>(count), mpi_type(type),
                    op == ncclMax ? MPI_MAX : MPI_SUM, comm->line, &work->request);
  }
  return ncclInProgress;
}

ncclResult_t ncclBroadcast(const void* source, void* target, size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  const ncclResult_t result = called("ncclBroadcast", std::to_string(count));
  if (result != ncclSuccess) return result;
  require_idle(comm, "ncclBroadcast");
  auto work = enqueue(source, target, count, type, comm, stream);
  if (work->joined) {
    PMPI_Ibcast(work->bytes.data(), static_cast<int>(count), mpi_type(type), root, comm->line,
                &work->request);
  }
  return ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const ncclResult_t result = called("ncclCommFinalize");
  if (result != ncclSuccess) return result;
  require_idle(comm, "ncclCommFinalize");
  comm->finalized = true;
  comm->polls = kPolls;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  require_idle(comm, "ncclCommDestroy");
  if (!comm->finalized) violation("ncclCommDestroy before ncclCommFinalize");
  int mpi_has_ended = 0;
  MPI_Finalized(&mpi_has_ended);
  if (mpi_has_ended) violation("ncclCommDestroy after MPI_Finalize");
  state().alive.erase(comm);
  return called("ncclCommDestroy");
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  called("ncclCommAbort");
  while (never_aborts()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const std::lock_guard lock(state().mutex);
  state().alive.erase(comm);  // not deleted: MPI may still write to its start
  std::erase_if(state().in_flight, [&](auto& work) {
    if (work->comm != comm) return false;
    state().left_behind.push_back(work);
    return true;
  });
  return ncclSuccess;
}

// The watch before MPI.

int MPI_Iallreduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op op,
                   MPI_Comm comm, MPI_Request* request) {
  watch("MPI_Iallreduce");
  return PMPI_Iallreduce(send, receive, count, type, op, comm, request);
}

int MPI_Ibcast(void* buffer, int count, MPI_Datatype type, int root, MPI_Comm comm,
               MPI_Request* request) {
  watch("MPI_Ibcast");
  return PMPI_Ibcast(buffer, count, type, root, comm, request);
}

int MPI_Ibarrier(MPI_Comm comm, MPI_Request* request) {
  watch("MPI_Ibarrier");
  return PMPI_Ibarrier(comm, request);
}

int MPI_Iallgather(const void* send, int send_count, MPI_Datatype send_type, void* receive,
                   int receive_count, MPI_Datatype receive_type, MPI_Comm comm,
                   MPI_Request* request) {
  watch("MPI_Iallgather");
  return PMPI_Iallgather(send, send_count, send_type, receive, receive_count, receive_type, comm,
                         request);
}

int MPI_Iallgatherv(const void* send, int send_count, MPI_Datatype send_type, void* receive,
                    const int* receive_counts, const int* places, MPI_Datatype receive_type,
                    MPI_Comm comm, MPI_Request* request) {
  watch("MPI_Iallgatherv");
  return PMPI_Iallgatherv(send, send_count, send_type, receive, receive_counts, places,
                          receive_type, comm, request);
}

}  // extern "C"
