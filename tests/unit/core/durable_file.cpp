// Proves core/durable_file.h: nothing half-written is ever visible, also after SIGKILL.
#include "bovila/core/durable_file.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "bovila/core/error.h"

namespace {

namespace fs = std::filesystem;

struct Playground {
  fs::path path = fs::temp_directory_path() / fmt::format("bovila-durable-{}", getpid());
  Playground() { fs::create_directory(path); }
  ~Playground() { fs::remove_all(path); }
  size_t num_entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), {}));
  }
};

std::string contents_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void put(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

/// Runs `action` in a child that is killed as soon as it has said that it is ready.
template <typename Action>
void kill_during(Action action) {
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  if (child == 0) {
    action([&] {
      if (write(ready[1], "x", 1) == 1) pause();
    });
    _exit(0);
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace

TEST_CASE("a durable file appears at commit, whole, and replaces an old one") {
  const Playground playground;
  const fs::path target = playground.path / "state.bin";
  put(target, "old");
  bovila::DurableFile file(target);
  file.write("ne");
  file.write("w");
  CHECK(contents_of(target) == "old");
  file.commit();
  CHECK(contents_of(target) == "new");
  CHECK(playground.num_entries() == 1);
  CHECK_THROWS_AS(file.write("more"), bovila::ProgramError);
  CHECK_THROWS_AS(file.commit(), bovila::ProgramError);
}

TEST_CASE("a durable file that is not committed leaves nothing") {
  const Playground playground;
  {
    bovila::DurableFile file(playground.path / "state.bin");
    file.write("half");
    CHECK(playground.num_entries() == 1);
  }
  CHECK(playground.num_entries() == 0);
}

TEST_CASE("files and folders get the modes that the umask leaves") {
  const Playground playground;
  const mode_t before = umask(0027);
  bovila::write_file_durably(playground.path / "file", "x");
  bovila::TempFolder folder(playground.path / "folder");
  folder.commit();
  umask(before);
  CHECK(fs::status(playground.path / "file").permissions() == fs::perms(0640));
  CHECK(fs::status(playground.path / "folder").permissions() == fs::perms(0750));
}

TEST_CASE("relative names and names with a trailing slash are fine") {
  const Playground playground;
  const fs::path before = fs::current_path();
  fs::current_path(playground.path);
  bovila::write_file_durably("plain", "x");
  bovila::TempFolder folder("folder/");
  put(folder.path() / "a", "1");
  folder.commit();
  CHECK(bovila::remove_leftovers("folder/").empty());
  fs::current_path(before);
  CHECK(contents_of(playground.path / "plain") == "x");
  CHECK(contents_of(playground.path / "folder" / "a") == "1");
}

TEST_CASE("a temporary folder appears at commit with all that is in it and no lock file") {
  const Playground playground;
  const fs::path target = playground.path / "set";
  bovila::TempFolder folder(target);
  fs::create_directory(folder.path() / "deep");
  put(folder.path() / "deep" / "file", "1");
  CHECK_FALSE(fs::exists(target));
  folder.commit();
  CHECK(contents_of(target / "deep" / "file") == "1");
  CHECK_FALSE(fs::exists(target / ".lock"));
  CHECK(playground.num_entries() == 1);
}

TEST_CASE("a folder is replaced only when that is asked for, and then the old one is gone") {
  const Playground playground;
  const fs::path target = playground.path / "set";
  fs::create_directory(target);
  put(target / "old", "1");
  {
    bovila::TempFolder folder(target);
    CHECK_THROWS_WITH_AS(folder.commit(), doctest::Contains("Directory not empty"),
                         bovila::ProgramError);
  }
  CHECK(fs::exists(target / "old"));
  bovila::TempFolder folder(target);
  put(folder.path() / "new", "2");
  folder.commit(true);
  CHECK_FALSE(fs::exists(target / "old"));
  CHECK(contents_of(target / "new") == "2");
  CHECK(playground.num_entries() == 1);
}

TEST_CASE("replacing a folder that is not there makes it") {
  const Playground playground;
  bovila::TempFolder folder(playground.path / "set");
  folder.commit(true);
  CHECK(fs::is_directory(playground.path / "set"));
}

TEST_CASE("what a killed writer leaves is not visible and is removed at the next run") {
  const Playground playground;
  const fs::path target = playground.path / "set";
  kill_during([&](const auto& ready) {
    const bovila::TempFolder folder(target);
    put(folder.path() / "shard", "half");
    ready();
  });
  kill_during([&](const auto& ready) {
    bovila::DurableFile file(target);
    file.write("half");
    ready();
  });
  CHECK_FALSE(fs::exists(target));
  CHECK(playground.num_entries() == 2);
  CHECK(bovila::remove_leftovers(target).size() == 2);
  CHECK(playground.num_entries() == 0);
}

TEST_CASE("a living writer's temporaries stay, and so do other targets' and the user's files") {
  const Playground playground;
  const fs::path target = playground.path / "set";
  const bovila::TempFolder folder(target);
  const bovila::DurableFile file(target);
  const bovila::DurableFile other(playground.path / "other");
  put(playground.path / ".set.notes.tmp", "mine");
  put(playground.path / ".set.0123456g.tmp", "mine");
  CHECK(bovila::remove_leftovers(target).empty());
  CHECK(playground.num_entries() == 5);
}

TEST_CASE(
    "an old folder that an exchange left behind is removed, or put back when it is the only one") {
  const Playground playground;
  const fs::path target = playground.path / "set";
  const fs::path exchanged = playground.path / ".set.01234567.tmp";
  const fs::path aside = playground.path / ".set.01234567.old";
  for (const fs::path& folder : {exchanged, aside}) {
    fs::create_directory(folder);
    put(folder / "data", "old");
  }
  CHECK(bovila::remove_leftovers(target) == std::vector<fs::path>{exchanged});
  CHECK(contents_of(target / "data") == "old");
  fs::create_directory(aside);
  CHECK(bovila::remove_leftovers(target) == std::vector<fs::path>{aside});
  CHECK(playground.num_entries() == 1);
}

TEST_CASE("an empty temporary folder, killed before its lock was made, is removed") {
  const Playground playground;
  fs::create_directory(playground.path / ".set.01234567.tmp");
  CHECK(bovila::remove_leftovers(playground.path / "set").size() == 1);
  CHECK(playground.num_entries() == 0);
}

TEST_CASE("errors name the path and the system's reason") {
  const Playground playground;
  const fs::path nowhere = playground.path / "missing" / "file";
  CHECK_THROWS_WITH_AS(bovila::DurableFile{nowhere},
                       doctest::Contains("missing: expected a folder"), bovila::ProgramError);
  CHECK_THROWS_WITH_AS(bovila::TempFolder{nowhere}, doctest::Contains("missing: expected a folder"),
                       bovila::ProgramError);
  CHECK_THROWS_WITH_AS(bovila::sync_file(nowhere), doctest::Contains("No such file"),
                       bovila::ProgramError);
  CHECK_THROWS_WITH_AS(bovila::sync_folder(nowhere), doctest::Contains("cannot open"),
                       bovila::ProgramError);
  CHECK_THROWS_WITH_AS(bovila::rename_durably(nowhere, playground.path / "x"),
                       doctest::Contains("cannot rename"), bovila::ProgramError);
  CHECK_THROWS_AS(bovila::write_file_durably("/", "x"), bovila::ProgramError);
  CHECK_THROWS_WITH_AS(bovila::write_file_durably("/dev/full/x", "x"),
                       doctest::Contains("expected a folder"), bovila::ProgramError);
}
