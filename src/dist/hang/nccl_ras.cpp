// Lines of text over TCP: who speaks, how long to wait for others, the question, and an answer that
// ends with the connection. NCCL may hang itself: each call has what is left of one limit.
#include "bovila/dist/hang/nccl_ras.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "bovila/core/descriptor.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kDefaultAddress = "localhost:28028";
constexpr const char* kProtocol = "CLIENT PROTOCOL 2\n";
/// How long NCCL waits for processes that do not answer it, in seconds; 5 where not said.
constexpr const char* kTimeout = "TIMEOUT 3\n";
constexpr const char* kQuestion = "VERBOSE STATUS\n";
constexpr size_t kLongest = 1 << 20;  // bytes of an answer: thousands of ranks

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

/// Of "host:port" or "[::1]:port".
Addresses addresses_of(const std::string& address) {
  const auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  const auto port = colon == std::string::npos ? std::string() : address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const bool is_found = getaddrinfo(host.c_str(), port.c_str(), &hints, &found) == 0;
  return {is_found ? found : nullptr, freeaddrinfo};
}

class Connection {
 public:
  Connection(const addrinfo& address, Clock::time_point limit)
      : socket_(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
        limit_(limit) {
    int error = 0;
    socklen_t size = sizeof(error);
    is_open_ = socket_.id >= 0 &&
               (connect(socket_.id, address.ai_addr, address.ai_addrlen) == 0 ||
                (errno == EINPROGRESS && is_ready(POLLOUT) &&
                 getsockopt(socket_.id, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0));
  }

  bool is_open() const { return is_open_; }

  /// Words that a socket's buffer holds.
  bool say(const std::string& words) {
    return is_ready(POLLOUT) && send(socket_.id, words.data(), words.size(), MSG_NOSIGNAL) ==
                                    static_cast<ssize_t>(words.size());
  }

  /// Up to the end of a line, or of the connection where that is earlier.
  std::string hear_line() {
    std::string line;
    while (!line.ends_with('\n') && hear(line, 1)) {
    }
    return line;
  }

  std::string hear_all() {
    std::string text;
    while (text.size() < kLongest && hear(text, kLongest - text.size())) {
    }
    return text;
  }

 private:
  bool is_ready(short event) {
    using std::chrono::milliseconds;
    const auto left = std::chrono::duration_cast<milliseconds>(limit_ - Clock::now()).count();
    pollfd asked{socket_.id, event, 0};
    return left > 0 && poll(&asked, 1, static_cast<int>(left)) == 1;
  }

  bool hear(std::string& text, size_t most) {
    std::array<char, 4096> bytes{};
    if (!is_ready(POLLIN)) return false;
    const auto count = recv(socket_.id, bytes.data(), std::min(most, bytes.size()), 0);
    if (count <= 0) return false;
    text.append(bytes.data(), static_cast<size_t>(count));
    return true;
  }

  Descriptor socket_;
  Clock::time_point limit_;
  bool is_open_ = false;
};

}  // namespace

std::string nccl_ras_status(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  const auto stated = environment("NCCL_RAS_ADDR");
  const auto addresses = addresses_of(stated.empty() ? kDefaultAddress : stated);
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    Connection ras(*address, end);
    if (!ras.is_open()) continue;
    if (!ras.say(kProtocol) || !ras.hear_line().starts_with("SERVER PROTOCOL ")) return "";
    if (!ras.say(kTimeout) || ras.hear_line() != "OK\n" || !ras.say(kQuestion)) return "";
    return ras.hear_all();
  }
  return "";
}

}  // namespace bovila
