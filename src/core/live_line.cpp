// One text, one mutex, and two sequences that every terminal knows.
#include "bovila/core/live_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "bovila/core/system.h"

namespace bovila::live_line {
namespace {

constexpr int kUsualColumns = 80;

std::mutex mutex;
std::string shown;  // "": there is no line

int columns_of_terminal() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUsualColumns;
}

void draw() {
  const auto text = fitting(shown, columns_of_terminal());
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(text.size()), text.data());
}

}  // namespace

bool is_possible() {
  return isatty(STDERR_FILENO) != 0 && environment("TERM") != "dumb";
}

void show(const std::string& text) {
  const std::lock_guard lock(mutex);
  shown = text;
  draw();
}

void clear() {
  const std::lock_guard lock(mutex);
  if (shown.empty()) return;
  shown.clear();
  draw();
}

std::string_view fitting(std::string_view text, int columns) {
  int used = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool continues = (byte & 0xc0) == 0x80;
    used += continues ? 0 : byte < 0x80 ? 1 : 2;
    if (used >= columns) return text.substr(0, at);
  }
  return text;
}

Above::Above() {
  mutex.lock();
  if (!shown.empty()) std::fputs("\r\033[K", stderr);
}

Above::~Above() {
  if (!shown.empty()) draw();
  mutex.unlock();
}

}  // namespace bovila::live_line
