// Items in order, errors in their place, no thread left behind.
#include "bovila/data/prefetcher.h"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace bovila;

TEST_CASE("items come in order and end with none, again and again") {
  int made = 0;
  Prefetcher<int> items(
      [&]() -> std::optional<int> { return made < 5 ? std::optional(made++) : std::nullopt; }, 2);
  for (int i = 0; i < 5; ++i) CHECK(items.next() == i);
  CHECK_FALSE(items.next());
  CHECK_FALSE(items.next());
}

TEST_CASE("an error of the producer arrives after the items before it") {
  int made = 0;
  Prefetcher<int> items(
      [&]() -> std::optional<int> {
        if (made == 2) throw std::runtime_error("torn page");
        return made++;
      },
      8);
  CHECK(items.next() == 0);
  CHECK(items.next() == 1);
  CHECK_THROWS_WITH(items.next(), "torn page");
}

TEST_CASE("no more than the capacity is made ahead, and an unread queue can be left") {
  std::atomic<int> made = 0;
  {
    Prefetcher<int> items([&]() -> std::optional<int> { return made++; }, 3);
    CHECK(items.next() == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(made <= 5);
  }
  const int at_end = made;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(made == at_end);
}
