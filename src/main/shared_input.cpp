// A chunk at a time: a letter says whether more may come, the bytes follow it.
#include "src/main/shared_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace bovila {
namespace {

constexpr char kMore = '+', kEnd = '.';
constexpr size_t kChunkBytes = 1 << 16;

}  // namespace

std::string SharedInput::read_some(bool& is_end) const {
  pollfd wanted{source_, POLLIN, 0};
  const int ready = poll(&wanted, 1, static_cast<int>(beat_s_ * 1000));
  if (ready == 0 || (ready < 0 && errno == EINTR)) return "";
  std::string bytes(kChunkBytes, '\0');
  const ssize_t count = read(source_, bytes.data(), bytes.size());
  if (count < 0 && errno == EINTR) return "";
  is_end = count <= 0;
  bytes.resize(is_end ? 0 : static_cast<size_t>(count));
  return bytes;
}

SharedInput::int_type SharedInput::underflow() {
  chunk_.clear();
  for (bool is_end = false; chunk_.empty() && !is_end;) {
    std::string sent;
    if (ranks_.rank() == 0) {
      sent = read_some(is_end);
      sent.insert(sent.begin(), is_end ? kEnd : kMore);
    }
    sent = ranks_.broadcast(sent, 0);
    is_end = sent.front() == kEnd;
    chunk_ = sent.substr(1);
  }
  if (chunk_.empty()) return traits_type::eof();
  setg(chunk_.data(), chunk_.data(), chunk_.data() + chunk_.size());
  return traits_type::to_int_type(chunk_.front());
}

}  // namespace bovila
