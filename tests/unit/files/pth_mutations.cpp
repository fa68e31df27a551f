// Proves that no bytes crash the reader of .pth files: thousands of seeded mutations of each kind
// of file end in a UserError or are read, within bounded memory and time.
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <random>

#include "bovila/files/pth.h"
#include "tests/unit/files/pth_builder.h"

namespace {

using namespace bovila::test;
using bovila::PthFile;
using bovila::PthTensor;

constexpr int kMutations = 1200;  // of each kind and each of the two places

const std::string kNewDict = global("collections", "OrderedDict") + ")R";

std::string items(const std::vector<std::pair<std::string, std::string>>& pairs) {
  return dict(pairs).substr(1);
}

std::string parameter(const TensorSpec& spec) {
  return global("torch._utils", "_rebuild_parameter") + tuple({tensor(spec), "\x88", kNewDict}) +
         "R";
}

struct Kind {
  const char* name;
  std::string key;  // the dict of tensors in it
  std::string body;
};

std::vector<Kind> kinds() {
  const std::string half = tensor({.shape = {2, 3}, .type = "HalfStorage"});
  const std::string shared =
      tensor({.shape = {2, 2}, .key = "1", .storage_numel = 6, .offset = 1, .strides = {1, 2}});
  const std::string args =
      global("argparse", "Namespace") + ")\x81" +
      dict({{"max_feats", "K\x0a"},
            {"bias", std::string("G\x40\x0c\0\0\0\0\0\0", 9)},
            {"output_dir", global("pathlib", "PosixPath") + tuple({text("a")}) + "R"},
            {"dtype", global("torch", "float16")}}) +
      "b";
  const std::string model =
      kNewDict +
      items({{"gate", parameter({.shape = {1, 3, 1, 1}, .key = "1", .storage_numel = 6})},
             {"half", half}});
  const std::string optimizer =
      dict({{"state", "}K\x01" + dict({{"exp_avg", shared}, {"step", half}}) + "s"},
            {"param_groups", "](" + dict({{"betas", "K\x01K\x02\x86q\x07"}}) + "h\x07" + "e"}});
  return {
      {"features", "", dict({{"a", half}, {"b", shared}})},
      {"weights", "", kNewDict + items({{"w", shared}}) + dict({{"_metadata", kNewDict}}) + "b"},
      {"checkpoint", "model",
       dict({{"model", model},
             {"optimizer", optimizer},
             {"epoch", "K\x03"},
             {"scaler", dict({{"scale", integer(65536)}})},
             {"args", args}})}};
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  /// One to three of: a bit or byte changed, cut short, bytes inserted, removed or repeated, a
  /// length of 1 to 8 bytes made extreme.
  std::string operator()(std::string bytes) {
    for (uint64_t left = 1 + below(3); left > 0 && !bytes.empty(); --left) mutate(bytes);
    return bytes;
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }

  void mutate(std::string& bytes) {
    const size_t at = below(bytes.size());
    const size_t count = 1 + below(8);
    switch (below(7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        return;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        return;
      case 2:
        bytes.resize(at);
        return;
      case 3:
        for (size_t i = 0; i < count; ++i) bytes.insert(at, 1, static_cast<char>(below(256)));
        return;
      case 4:
        bytes.erase(at, count);
        return;
      case 5:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(64)));
        return;
      default: {
        constexpr uint64_t kExtremes[] = {0, UINT64_MAX, INT64_MAX, INT32_MAX, UINT32_MAX, 1 << 30};
        const std::string value = little(kExtremes[below(std::size(kExtremes))], 8);
        bytes.replace(at, count, value.substr(0, count));
      }
    }
  }

  std::mt19937 random_;
};

/// Reads all of a file. @return whether that worked; a UserError is the only other way out.
bool reads(const std::string& path, const std::string& key) {
  try {
    const PthFile file(path);
    for (const PthTensor& tensor : file.tensors(key)) {
      std::vector<std::byte> bytes(static_cast<size_t>(tensor.num_bytes()));
      file.read(tensor, bytes);
    }
    return true;
  } catch (const bovila::UserError& error) {
    CHECK(std::string_view(error.what()).size() > path.size());
    return false;
  }
}

/// In bytes, the most that this process ever had.
int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

std::string pth_mutations_slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("mutated files of every kind are read or refused, in bounded memory and time") {
  const Playground playground;
  const std::string path = playground / "f.pth";
  const std::vector<std::string> storages{std::string(12, '\1'), std::string(24, '\2')};
  const int64_t memory_before = peak_memory();
  std::chrono::duration<double> slowest{0};
  uint32_t seed = 1;
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    write_pth(path, kind.body, storages);
    REQUIRE(reads(path, kind.key));
    const std::string whole = pth_mutations_slurp(path);
    int num_read = 0;
    for (int i = 0; i < 2 * kMutations; ++i) {
      CAPTURE(i);
      Mutator mutate(seed++);
      std::filesystem::remove(path);  // file systems sync a file that takes another's place
      if (i % 2 == 0) {               // the zip
        std::ofstream(path, std::ios::binary) << mutate(whole);
      } else {  // the pickle, in a zip whose checksums are right
        write_zip(path, {{"a/data.pkl", mutate(pickle(kind.body))},
                         {"a/data/0", storages[0]},
                         {"a/data/1", storages[1]}});
      }
      const auto start = std::chrono::steady_clock::now();
      num_read += reads(path, kind.key) ? 1 : 0;
      slowest = std::max<std::chrono::duration<double>>(slowest,
                                                        std::chrono::steady_clock::now() - start);
    }
    CHECK(num_read > 0);               // harmless ones, in a name or between the zip's entries
    CHECK(num_read < kMutations / 2);  // most are not
  }
  CHECK(slowest.count() < 5);
  CHECK(peak_memory() - memory_before < int64_t{256} << 20);
}
