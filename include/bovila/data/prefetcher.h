// Makes the next items in a background thread while the present one is used.
// Fed by any producer (reading and tokenising a batch); feeds data/batch_loader.h and
// evaluation/evaluator.h.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace bovila {

/// Calls `produce` in one thread until it returns none, at most `capacity` items ahead of next().
/// Items come in order. The destructor waits for the item in production and drops the rest.
template <typename Item>
class Prefetcher {
 public:
  Prefetcher(std::function<std::optional<Item>()> produce, size_t capacity)
      : produce_(std::move(produce)),
        capacity_(capacity > 0 ? capacity : 1),
        thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next item, or none after the last. Rethrows what `produce` threw, after the items before
  /// it.
  std::optional<Item> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || ended_; });
    if (ready_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return std::nullopt;
    }
    Item item = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return item;
  }

 private:
  void run(std::stop_token stop) {
    std::exception_ptr error;
    try {
      while (wait_for_room(stop)) {
        std::optional<Item> item = produce_();
        if (!item) break;
        const std::lock_guard lock(mutex_);
        ready_.push_back(std::move(*item));
        changed_.notify_all();
      }
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    error_ = error;
    ended_ = true;
    changed_.notify_all();
  }

  /// False when the owner is going away.
  bool wait_for_room(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return ready_.size() < capacity_; });
    return !stop.stop_requested();
  }

  std::function<std::optional<Item>()> produce_;
  size_t capacity_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Item> ready_;
  std::exception_ptr error_;
  bool ended_ = false;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace bovila
