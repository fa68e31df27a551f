// Thin owners around MPI's handles.
#include "bovila/dist/mpi_session.h"

#include <chrono>
#include <cstdlib>
#include <thread>

#include "bovila/core/error.h"

namespace bovila {

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw ProgramError("{} failed: {}", call, std::string(text, static_cast<size_t>(length)));
}

MpiComm::~MpiComm() {
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

MpiComm split_of(MPI_Comm comm, int color) {
  MPI_Comm part = MPI_COMM_NULL;
  MPI_CHECK(MPI_Comm_split(comm, color, /*key=*/0, &part));
  return MpiComm(part);
}

MpiSession::MpiSession(int* argc, char*** argv) {
  int provided = 0;
  MPI_CHECK(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided));
  BOVILA_CHECK(provided >= MPI_THREAD_FUNNELED, "this MPI cannot run beside other threads");
  MPI_CHECK(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  MPI_CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
  MPI_CHECK(MPI_Comm_size(MPI_COMM_WORLD, &size_));
}

MpiSession::~MpiSession() {
  MPI_Finalize();
}

MpiComm MpiSession::node() const {
  MPI_Comm node = MPI_COMM_NULL;
  MPI_CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node));
  return MpiComm(node);
}

std::string MpiSession::name() const {
  char host[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  MPI_CHECK(MPI_Get_processor_name(host, &length));
  return fmt::format("{}:{}", std::string(host, static_cast<size_t>(length)), rank_);
}

void MpiSession::abort(int exit_code) const {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace bovila
