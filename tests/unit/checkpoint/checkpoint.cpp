// Proves src/checkpoint/checkpoint.cpp and the files it writes: a state comes back bit for bit, and
// whatever is damaged is refused with folder, file and reason.
#include "bovila/checkpoint/checkpoint.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "bovila/core/durable_file.h"
#include "bovila/core/hdf5.h"
#include "tests/unit/checkpoint/checkpoint_helpers.h"

using namespace bovila;
using namespace bovila::testing;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

/// A checkpoint of step 100 to be damaged.
struct Saved {
  TemporaryFolder temporary;
  fs::path root = temporary / "out/checkpoints";
  fs::path folder = checkpoint_folder(root, 100);
  Saved() { save_checkpoint(root, make_state(100)); }

  std::string error() const {
    return error_of([&] { load_checkpoint(folder); });
  }
  std::string text(const std::string& name) const { return read_text(folder / name); }
  Json json(const std::string& name) const { return Json::parse(text(name)); }
  /// The error after a member of progress.json was set, and the manifest made to agree.
  std::string error_with(const std::string& member, const Json& value) const {
    Json progress = json("progress.json");
    const std::string before = text("progress.json");
    progress[Json::json_pointer(member)] = value;
    reseal(folder, "progress.json", progress.dump());
    const std::string message = error();
    reseal(folder, "progress.json", before);
    return message;
  }
  /// The error after a member of the manifest was set.
  std::string manifest_error_with(const std::string& member, const Json& value) const {
    const std::string before = text("manifest.json");
    Json manifest = Json::parse(before);
    manifest[Json::json_pointer(member)] = value;
    put(folder / "manifest.json", manifest.dump());
    const std::string message = error();
    put(folder / "manifest.json", before);
    return message;
  }
};

const std::string kNames[] = {"state.h5", "progress.json", "deck.toml", "build.json",
                              "manifest.json"};

}  // namespace

TEST_CASE("a state comes back bit for bit, with its arrays in their order") {
  const Saved saved;
  CHECK(same(load_checkpoint(saved.folder), make_state(100)));
  CHECK(same(load_checkpoint(saved.folder / ""), make_state(100)));
  CHECK(load_checkpoint(saved.folder).find("adamw/first_moment")->shape ==
        std::vector<int64_t>{12});
  CHECK(load_checkpoint(saved.folder).find("adamw") == nullptr);
  CHECK(num_entries(saved.folder) == 5);
  CHECK(num_entries(saved.root) == 1);
}

TEST_CASE("NaN with its payload, infinities, the largest step and empty arrays come back") {
  const TemporaryFolder temporary;
  const double odd_nan = std::bit_cast<double>(uint64_t{0xfff8000000000123});
  TrainState state;
  state.step = INT64_MAX;
  state.loss_sums = {odd_nan, INFINITY, -INFINITY, 0.1 + 0.2};
  state.best_accuracy = NAN;
  state.arrays = {{"scalar", {}, {std::bit_cast<float>(0x7fc00123U)}},
                  {"empty", {3, 0}, {}},
                  {"adamw/first_moment", {2}, {-0.0F, INFINITY}}};
  save_checkpoint(temporary / "c", state);
  CHECK(same(load_checkpoint(temporary / "c/step-9223372036854775807"), state));
  CHECK(list_checkpoints(temporary / "c") == std::vector<int64_t>{INT64_MAX});
}

TEST_CASE("equal states give equal bytes, whenever they are written") {
  const Saved saved;
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 keeps times in seconds
  save_checkpoint(saved.temporary / "again", make_state(100));
  for (const std::string& name : kNames) {
    CHECK(saved.text(name) == read_text(saved.temporary / "again/step-00000100/" + name));
  }
}

TEST_CASE("the arrays are an HDF5 file with parameters and moments in their groups") {
  const Saved saved;
  const hdf5::Handle file = hdf5::open_file((saved.folder / "state.h5").string());
  CHECK(hdf5::list(file.get(), "/") == std::vector<std::string>{"adamw", "parameters"});
  CHECK(hdf5::describe(file.get(), "parameters/layers.0.attention.gate1").shape ==
        std::vector<int64_t>{1, 12, 1, 1});
}

TEST_CASE("a state that is further in the evaluation after a step, or beyond it, takes its place") {
  const Saved saved;
  TrainState state = make_state(100);
  const auto is_written = [&] { return save_checkpoint(saved.root, state); };
  CHECK_FALSE(is_written());
  state.scores.push_back({9, {1}, {0}});
  CHECK(is_written());
  CHECK_FALSE(is_written());
  CHECK(same(load_checkpoint(saved.folder), state));
  state.scores.clear();
  CHECK_FALSE(is_written());
  ++state.epoch;
  state.position = 0;
  CHECK(is_written());
  CHECK(same(load_checkpoint(saved.folder), state));
  CHECK_FALSE(save_checkpoint(saved.root, make_state(100)));
  CHECK(list_checkpoints(saved.root).size() == 1);
}

TEST_CASE("a valid checkpoint of the same step is left alone, an invalid one is replaced") {
  const Saved saved;
  TrainState other = make_state(100);
  other.loss_scale = 1;
  CHECK_FALSE(save_checkpoint(saved.root, other));
  CHECK(same(load_checkpoint(saved.folder), make_state(100)));
  put(saved.folder / "deck.toml", "");
  CHECK(save_checkpoint(saved.root, other));
  CHECK(same(load_checkpoint(saved.folder), other));
  fs::remove_all(saved.folder);
  put(saved.folder, "a file");
  CHECK(save_checkpoint(saved.root, other));
  CHECK(same(load_checkpoint(saved.folder), other));
  CHECK(num_entries(saved.root) == 1);
}

TEST_CASE("a save removes what killed ones left, but nothing of a living writer or of the user") {
  const Saved saved;
  const fs::path dead = saved.root / ".step-00000090.01234567.tmp";
  const fs::path half_deleted = saved.root / ".step-00000080.deleted";
  const fs::path users = saved.root / ".step-x.deleted";
  for (const fs::path& folder : {dead, half_deleted, users}) {
    fs::create_directory(folder);
    put(folder / "state.h5", "half");
  }
  const TempFolder living(checkpoint_folder(saved.root, 95));
  save_checkpoint(saved.root, make_state(101));
  CHECK_FALSE(fs::exists(dead));
  CHECK_FALSE(fs::exists(half_deleted));
  CHECK(fs::exists(users));
  CHECK(fs::exists(living.path()));
}

TEST_CASE("a checkpoint whose writer was killed right after its rename is whole") {
  const Saved saved;
  put(saved.folder / ".lock", "");
  CHECK(saved.error() == "no error");
}

TEST_CASE("a state that cannot be stored is an error, and nothing is written") {
  const TemporaryFolder temporary;
  const auto error_with = [&](auto change) -> std::string {
    TrainState state = make_state(1);
    change(state);
    try {
      save_checkpoint(temporary / "c", state);
    } catch (const ProgramError& error) {
      return error.what();
    }
    return "no error";
  };
  using State = TrainState;
  CHECK(contains(error_with([](State& s) { s.arrays[0].values.pop_back(); }), "11 values for a"));
  CHECK(contains(error_with([](State& s) { s.arrays[0].shape = {-1}; }), "a shape of -1"));
  CHECK(contains(error_with([](State& s) { s.arrays[0].shape = {1LL << 62, 4}; }), "shape of -1"));
  CHECK(contains(error_with([](State& s) { s.arrays[1].name = s.arrays[0].name; }), "two have"));
  for (const char* name : {"", "a b", "a//b", "/a", "a/", "./a", ".", "parameters/a", "a\n"}) {
    CHECK(
        contains(error_with([&](State& s) { s.arrays[0].name = name; }), "cannot have this name"));
  }
  CHECK(contains(error_with([](State& s) { s.step = -1; }), "checkpoint of step -1"));
  CHECK(contains(error_with([](State& s) { s.identity["a"] = "\xff"; }), "UTF-8"));
  CHECK_FALSE(fs::exists(temporary / "c"));
}

TEST_CASE("a place that cannot be written to is an error with the system's reason") {
  const TemporaryFolder temporary;
  temporary.write("file", "");
  CHECK_THROWS_WITH_AS(save_checkpoint(temporary / "file/c", make_state(1)),
                       doctest::Contains("Not a directory"), ProgramError);
  CHECK_THROWS_WITH_AS(save_checkpoint(temporary / "file", make_state(1)),
                       doctest::Contains("Not a directory"), ProgramError);
  CHECK_THROWS_AS(save_checkpoint("/proc/c", make_state(1)), ProgramError);
}

// --- damage ----------------------------------------------------------------------------------

TEST_CASE("every file that is missing, cut short, emptied or lengthened is named") {
  for (const std::string& name : kNames) {
    const Saved saved;
    const fs::path path = saved.folder / name;
    const std::string whole = saved.text(name);
    for (const std::string& text : {std::string(), whole.substr(0, whole.size() / 2),
                                    whole.substr(0, whole.size() - 2), whole + "x"}) {
      put(path, text);
      CHECK(contains(saved.error(), path.string()));
    }
    fs::remove(path);
    CHECK(contains(saved.error(), path.string() + ": is missing"));
    fs::create_directory(path);
    CHECK(contains(saved.error(), path.string() + ": is no plain file"));
    fs::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK(contains(saved.error(), path.string() + ": is no plain file"));
  }
}

TEST_CASE("a file of another size says both sizes") {
  const Saved saved;
  put(saved.folder / "deck.toml", "x");
  CHECK(saved.error() == (saved.folder / "deck.toml").string() +
                             ": expected 19 bytes, got 1: it was cut short or changed");
}

TEST_CASE("one flipped bit anywhere is found") {
  const Saved saved;
  for (const std::string& name : kNames) {
    const std::string whole = saved.text(name);
    size_t num_found = 0;
    std::fstream file(saved.folder / name, std::ios::binary | std::ios::in | std::ios::out);
    const auto set = [&](size_t i, char byte) {
      file.seekp(static_cast<std::streamoff>(i)).put(byte).flush();
    };
    for (size_t i = 0; i < whole.size(); ++i) {
      set(i, static_cast<char>(whole[i] ^ (1 << (i % 8))));
      num_found += contains(saved.error(), saved.folder.string()) ? 1 : 0;
      set(i, whole[i]);
    }
    CHECK(num_found == whole.size());
    CHECK(saved.error() == "no error");
  }
}

TEST_CASE("another version is refused with the bovila that reads it, as far as that is known") {
  const Saved saved;
  const std::string manifest = (saved.folder / "manifest.json").string();
  put(saved.folder / "build.json", "{\"version\": \"0.7.1\", \"git\": \"abc\"}");
  CHECK(saved.manifest_error_with("/format_version", 5) ==
        manifest +
            ": expected format version 2 to 4, got 5: it was written by bovila 0.7.1; use that one "
            "to go on from it");
  for (const char* build : {"", "{}", "[]", "{\"version\": 1}"}) {
    put(saved.folder / "build.json", build);
    CHECK(contains(saved.manifest_error_with("/format_version", 5), "by a newer bovila; use"));
  }
  CHECK(contains(saved.manifest_error_with("/format_version", 1), "by an older bovila"));
  CHECK(contains(saved.manifest_error_with("/format_version", "1"),
                 "'format_version': expected an integer from 0, got \"1\""));
  put(manifest, "{\"format_version\": 7, \"shards\": []}");
  CHECK(contains(saved.error(), "by a newer bovila"));
}

TEST_CASE("checkpoints of versions 2 and 3, which did not tell who wrote them, are read") {
  for (const int version : {2, 3}) {
    const Saved saved;
    TrainState expected = make_state(100);
    expected.build.clear();
    if (version == 2) {  // it did not count skipped steps
      Json progress = saved.json("progress.json");
      progress.erase("skipped_in_a_row");
      progress.erase("num_skipped");
      reseal(saved.folder, "progress.json", progress.dump());
      expected.skipped_in_a_row = expected.num_skipped = 0;
    }
    fs::remove(saved.folder / "build.json");
    Json manifest = saved.json("manifest.json");
    manifest["format_version"] = version;
    manifest["files"].erase("build.json");
    put(saved.folder / "manifest.json", manifest.dump());
    CHECK(same(load_checkpoint(saved.folder), expected));
  }
}

TEST_CASE("who wrote a checkpoint is a list of texts") {
  const Saved saved;
  for (const auto& [text, problem] : std::vector<std::pair<std::string, std::string>>{
           {"x", "build.json: expected JSON"},
           {"[]", "build.json: expected an object, got []"},
           {"{\"version\": 2}", "build.json: 'version': expected a string"}}) {
    reseal(saved.folder, "build.json", text);
    CHECK(contains(saved.error(), problem));
  }
}

TEST_CASE("a manifest that is garbage is refused") {
  const Saved saved;
  const auto error_with = [&](const std::string& text) {
    put(saved.folder / "manifest.json", text);
    return saved.error();
  };
  CHECK(contains(error_with("garbage"), "manifest.json: expected JSON"));
  CHECK(contains(error_with(std::string(4096, '\0')), "manifest.json: expected JSON"));
  CHECK(contains(error_with("[]"), "manifest.json: expected an object, got []"));
  CHECK(contains(error_with("{}"), "manifest.json: 'format_version' is missing"));
  CHECK(contains(error_with(std::string(100000, '[')), "manifest.json: expected JSON"));
  CHECK(contains(error_with(std::string(100000, '[') + std::string(100000, ']')), "expected JSON"));
  CHECK(contains(error_with(std::string((1 << 20) + 1, ' ')), "manifest.json: is no manifest"));
}

TEST_CASE("a manifest with wrong members is refused") {
  const Saved saved;
  CHECK(contains(saved.manifest_error_with("/step", -1), "'step': expected an integer from 0"));
  CHECK(contains(saved.manifest_error_with("/step", 1.5), "got 1.5"));
  CHECK(contains(saved.manifest_error_with("/step", 18446744073709551615U), "expected an integer"));
  CHECK(contains(saved.manifest_error_with("/step", 101), "its folder says step 100"));
  CHECK(contains(saved.manifest_error_with("/extra", 1), "\"extra\" is unknown"));
  CHECK(
      contains(saved.manifest_error_with("/files", Json::array()), "'files': expected an object"));
  CHECK(contains(saved.manifest_error_with("/files/..~1x", 1), "\"../x\" is unknown"));
  CHECK(
      contains(saved.manifest_error_with("/files/state.h5", 1), "'state.h5': expected an object"));
  CHECK(
      contains(saved.manifest_error_with("/files/state.h5", Json::object()), "'size' is missing"));
  CHECK(contains(saved.manifest_error_with("/files/state.h5/sha256", "ab"), "is no SHA-256"));
  CHECK(contains(saved.manifest_error_with("/files/state.h5/size", INT64_MAX), "cut short"));
  Json manifest = saved.json("manifest.json");
  manifest["files"].erase("deck.toml");
  put(saved.folder / "manifest.json", manifest.dump());
  CHECK(contains(saved.error(), "'deck.toml' is missing"));
}

TEST_CASE("files that the manifest does not list change nothing, hidden ones and others") {
  const Saved saved;
  for (const char* name : {"._state.h5", ".nfs000000000001", ".state.h5.Xy12ab", ".lock",
                           "notes.txt", "state.h5.bak"}) {
    put(saved.folder / name, "mine");
  }
  fs::create_directory(saved.folder / "previous");
  CHECK(saved.error() == "no error");
}

TEST_CASE("progress with wrong types is refused, also when its hash is right") {
  const Saved saved;
  CHECK(contains(saved.error_with("/step", 101), "it says step 101, the manifest step 100"));
  CHECK(
      contains(saved.error_with("/epoch", "1"), "'epoch': expected an integer from 0, got \"1\""));
  CHECK(contains(saved.error_with("/position", -1), "'position': expected an integer from 0"));
  CHECK(contains(saved.error_with("/num_ranks", 0), "'num_ranks': expected an integer from 1"));
  CHECK(contains(saved.error_with("/best_step", -2), "'best_step': expected an integer from -1"));
  CHECK(contains(saved.error_with("/adamw_steps", true), "got true"));
  CHECK(contains(saved.error_with("/skipped_in_a_row", -1), "expected an integer from 0"));
  CHECK(contains(saved.error_with("/num_skipped", "1"), "expected an integer from 0"));
  CHECK(contains(saved.error_with("/loss_scale", nullptr), "'loss_scale': expected a number"));
  CHECK(contains(saved.error_with("/loss_scale", "bits:123"), "expected a number"));
  CHECK(contains(saved.error_with("/loss_scale", "bits:000000000000000x"), "expected a number"));
  CHECK(contains(saved.error_with("/loss_sums", 1), "'loss_sums': expected a list"));
  CHECK(contains(saved.error_with("/loss_sums/0", "x"), "'loss_sums': expected a number"));
  CHECK(contains(saved.error_with("/scores", 1), "'scores': expected a list"));
  CHECK(contains(saved.error_with("/scores/0/row", -1), "'row': expected an integer from 0"));
  CHECK(contains(saved.error_with("/scores/0/loss", {1}),
                 "'scores': row 3 has 1 losses and 2 uncertainties"));
  CHECK(contains(saved.error_with("/scores/0", {{"row", 0}}), "'loss' is missing"));
  CHECK(contains(saved.error_with("/identity", 1), "'identity': expected an object"));
  CHECK(contains(saved.error_with("/identity/model.llama", 1), "expected a string, got 1"));
  CHECK(contains(saved.error_with("/surprise", 1), "\"surprise\" is unknown"));
  CHECK(contains(saved.error_with("", Json::array()), "expected an object"));
  reseal(saved.folder, "progress.json", "{}");
  CHECK(contains(saved.error(), "progress.json: 'step' is missing"));
}

TEST_CASE("arrays that are not what progress says are refused") {
  const Saved saved;
  CHECK(contains(saved.error_with("/arrays/1/shape", {13}), "adamw/first_moment: its shape or"));
  CHECK(contains(saved.error_with("/arrays/1/shape", {3, 4}), "its shape or type"));
  CHECK(
      contains(saved.error_with("/arrays/1/shape", {-12}), "expected an integer from 0, got -12"));
  CHECK(contains(saved.error_with("/arrays/1/shape", 12), "'shape': expected a list"));
  CHECK(contains(saved.error_with("/arrays/1/name", "adamw/gone"), "expected a dataset, there is"));
  CHECK(contains(saved.error_with("/arrays/1/name", "/etc/x"), "a name that no array has"));
  CHECK(contains(saved.error_with("/arrays/1", 12), "'arrays'[1]: expected an object, got 12"));
  CHECK(contains(saved.error_with("/arrays/1/type", 1), "\"type\" is unknown"));
}

TEST_CASE(
    "arrays that are no HDF5, or of another kind, are refused, also when their hash is right") {
  const Saved saved;
  const std::string whole = saved.text("state.h5");
  for (const std::string& text : {std::string(), std::string("garbage"), std::string(9999, '\xff'),
                                  whole.substr(0, whole.size() / 2)}) {
    reseal(saved.folder, "state.h5", text);
    CHECK(contains(saved.error(), "state.h5: "));
  }
  std::string before_checksums = whole;
  before_checksums[8] = 0;  // the superblock's version
  reseal(saved.folder, "state.h5", before_checksums);
  CHECK(contains(saved.error(), "an HDF5 file with checksums (superblock 2 or later)"));
  const std::string path = saved.temporary / "other.h5";
  {
    const hdf5::Handle file = hdf5::create_file(path);
    const std::vector<int64_t> huge = {INT64_C(1) << 40};
    hdf5::create_dataset(file.get(), "adamw/first_moment", hdf5::Type::kInt64, {{12}});
    hdf5::create_dataset(file.get(), "adamw/second_moment", hdf5::Type::kFloat32, huge);
  }
  reseal(saved.folder, "state.h5", read_text(path));
  Json progress = saved.json("progress.json");
  progress["arrays"].erase(0);
  reseal(saved.folder, "progress.json", progress.dump());
  CHECK(contains(saved.error(), "adamw/first_moment: its shape or type"));
  progress["arrays"].erase(0);
  progress["arrays"][0]["shape"] = {INT64_C(1) << 40};
  reseal(saved.folder, "progress.json", progress.dump());
  CHECK(contains(saved.error(), "adamw/second_moment: it is larger than the file"));
}

TEST_CASE("what is no checkpoint is refused, with a hint where there is one near") {
  const Saved saved;
  const auto error_of_path = [](const fs::path& path) {
    return error_of([&] { load_checkpoint(path); });
  };
  CHECK(contains(error_of_path(saved.root / "step-1"), "expected a checkpoint's folder, there is"));
  CHECK(contains(error_of_path(saved.folder / "deck.toml"), "folder, got a file"));
  CHECK(contains(error_of_path(saved.root), "name one of the checkpoints " + saved.root.string()));
  CHECK(contains(error_of_path(saved.root.parent_path()),
                 "name one of the checkpoints " + saved.root.string()));
}

TEST_CASE("a renamed folder is refused under another step's name, and fine under a word") {
  const Saved saved;
  fs::rename(saved.folder, saved.root / "step-00000200");
  CHECK(contains(error_of([&] { load_checkpoint(saved.root / "step-00000200/"); }),
                 "its folder says step 200, its contents step 100: it was renamed"));
  fs::rename(saved.root / "step-00000200", saved.root / "good");
  CHECK(same(load_checkpoint(saved.root / "good"), make_state(100)));
}
