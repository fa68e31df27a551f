// A server of a test's own that speaks as NCCL's RAS service does, or not.
#include "bovila/dist/hang/nccl_ras.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "bovila/core/descriptor.h"

using namespace bovila;
using std::chrono::milliseconds;

namespace {

std::string line_from(int client) {
  std::string line;
  char byte = 0;
  while (!line.ends_with('\n') && recv(client, &byte, 1, 0) == 1) line += byte;
  return line;
}

void say(int client, const std::string& words) {
  CHECK(send(client, words.data(), words.size(), MSG_NOSIGNAL) == std::ssize(words));
}

/// Listens at a port that the system chooses, which NCCL_RAS_ADDR names meanwhile, and has one
/// client be talked to.
class Server {
 public:
  explicit Server(std::function<void(int client)> talk) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = reinterpret_cast<sockaddr*>(&place);
    socklen_t size = sizeof(place);
    REQUIRE(bind(socket_.id, address, size) == 0);
    REQUIRE(listen(socket_.id, 1) == 0);
    REQUIRE(getsockname(socket_.id, address, &size) == 0);
    const auto name = fmt::format("127.0.0.1:{}", ntohs(place.sin_port));
    setenv("NCCL_RAS_ADDR", name.c_str(), 1);
    thread_ = std::thread([this, talk = std::move(talk)] {
      const Descriptor client(accept(socket_.id, nullptr, nullptr));
      talk(client.id);
    });
  }
  ~Server() {
    thread_.join();
    unsetenv("NCCL_RAS_ADDR");
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  Descriptor socket_;
  std::thread thread_;
};

/// Up to the question.
void greet(int client) {
  CHECK(line_from(client) == "CLIENT PROTOCOL 2\n");
  say(client, "SERVER PROTOCOL 3\n");
  CHECK(line_from(client) == "TIMEOUT 3\n");
  say(client, "OK\n");
  CHECK(line_from(client) == "VERBOSE STATUS\n");
}

}  // namespace

TEST_CASE("NCCL's answer is taken whole") {
  std::string answer;
  for (int rank = 0; rank < 1000; ++rank) answer += fmt::format("  Rank {} -- GPU 0\n", rank);
  const Server server([&](int client) {
    greet(client);
    say(client, answer.substr(0, 7));
    std::this_thread::sleep_for(milliseconds(50));
    say(client, answer.substr(7));
  });
  CHECK(nccl_ras_status(milliseconds(20000)) == answer);
}

TEST_CASE("what came within the limit stands") {
  const Server server([&](int client) {
    greet(client);
    say(client, "Job summary\n");
    CHECK(line_from(client).empty());  // until the other side has had enough
  });
  const auto begun = std::chrono::steady_clock::now();
  CHECK(nccl_ras_status(milliseconds(1000)) == "Job summary\n");
  CHECK(std::chrono::steady_clock::now() - begun < milliseconds(10000));
}

TEST_CASE("who is no RAS service has said nothing") {
  SUBCASE("it speaks another language") {
    const Server server([&](int client) {
      line_from(client);
      say(client, "HTTP/1.1 400 Bad Request\n");
    });
    CHECK(nccl_ras_status(milliseconds(20000)).empty());
  }
  SUBCASE("it knows no time limit") {
    const Server server([&](int client) {
      line_from(client);
      say(client, "SERVER PROTOCOL 2\n");
      line_from(client);
      say(client, "ERROR\n");
    });
    CHECK(nccl_ras_status(milliseconds(20000)).empty());
  }
  SUBCASE("it hangs up") {
    const Server server([](int) {});
    CHECK(nccl_ras_status(milliseconds(20000)).empty());
  }
  SUBCASE("it never says a word") {
    const Server server([&](int client) {
      line_from(client);
      CHECK(line_from(client).empty());
    });
    CHECK(nccl_ras_status(milliseconds(300)).empty());
  }
}

TEST_CASE("nobody listens, or the address is none") {
  for (const char* address : {"127.0.0.1:1", "[::1]:1", "127.0.0.1", ":", "no such host:28028"}) {
    CAPTURE(address);
    setenv("NCCL_RAS_ADDR", address, 1);
    CHECK(nccl_ras_status(milliseconds(2000)).empty());
  }
  unsetenv("NCCL_RAS_ADDR");
}
