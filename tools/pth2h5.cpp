// pth2h5 FILE DIR: a features .pth, a folder of .npy files, an HDF5 file with a dataset a video, or
// a feature set, into a sharded HDF5 feature set; --with adds others to it; --verify proves one,
// --list shows one (or a .pth).
// Fed by the published features or tools/extract_features.py; feeds features/feature_store.h.
// Memory: the largest video, twice where several sources have it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include "bovila/core/build_info.h"
#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/live_line.h"
#include "bovila/core/log.h"
#include "bovila/core/output_place.h"
#include "bovila/features/feature_store.h"
#include "bovila/features/feature_writer.h"
#include "bovila/features/hdf5_source.h"
#include "bovila/features/merged_source.h"
#include "bovila/features/npy.h"
#include "bovila/features/pth_source.h"
#include "bovila/files/pth.h"
#include "src/main/values.h"

namespace {

using namespace bovila;

constexpr double kMegabyte = 1e6;
constexpr int64_t kMaxShards = 512;  // each rank opens them all: well below the usual 1024 files

/// "1234 of 20480 MB, 512 MB/s, ETA 38 s": live on a terminal, every few seconds elsewhere.
class ByteProgress {
 public:
  ByteProgress(std::string what, int64_t total) : what_(std::move(what)), total_(total) {}
  ByteProgress(const ByteProgress&) = delete;
  ByteProgress& operator=(const ByteProgress&) = delete;
  ~ByteProgress() {
    if (live_) live_line::clear();  // an error's message starts its own line
  }

  void add(int64_t bytes) { show(done_ + bytes); }

  void show(int64_t done) {
    done_ = done;
    const auto now = Clock::now();
    const bool last = done_ >= total_;
    if (!last && now - shown_ < (live_ ? kLiveEvery : kLogEvery)) return;
    shown_ = now;
    const double rate = static_cast<double>(done_) / std::max(seconds(now - start_), 1e-3);
    const double left = static_cast<double>(total_ - done_) / std::max(rate, 1.0);
    const auto text = fmt::format("{}: {:.1f} of {:.1f} MB, {:.0f} MB/s, ETA {:.0f} s", what_,
                                  static_cast<double>(done_) / kMegabyte,
                                  static_cast<double>(total_) / kMegabyte, rate / kMegabyte, left);
    if (live_ && !last) return live_line::show(text);
    if (live_) live_line::clear();
    std::fprintf(stderr, "%s\n", text.c_str());
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::duration kLiveEvery = std::chrono::milliseconds(200);
  static constexpr Clock::duration kLogEvery = std::chrono::seconds(5);
  static double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

  std::string what_;
  int64_t total_;
  int64_t done_ = 0;
  bool live_ = live_line::is_possible();
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
};

/// True when `folder` already holds this source in so many shards; an error when it holds something
/// else.
bool is_there(const std::string& folder, const std::string& identity, int64_t num_shards) {
  if (!std::filesystem::exists(folder)) return false;
  if (std::filesystem::is_directory(folder) && std::filesystem::is_empty(folder)) return false;
  std::string problem = "it was made from another file";
  try {
    const FeatureStore store(folder);
    if (store.source() == identity) {
      if (store.num_shards() == std::min(num_shards, store.num_videos())) return true;
      problem = "it has " + counted(store.num_shards(), "shard");
    }
  } catch (const UserError& error) {
    problem = error.what();
  }
  throw UserError("{} is there already and is not this feature set ({}); use --force to replace it",
                  folder, problem);
}

void write(const FeatureSource& source, const OutputPlace& place, int64_t num_shards, bool force) {
  for (const std::string& note : source.notes) std::cerr << note << "\n";
  int64_t total = 0;
  for (const VideoFrames& video : source.videos) {
    total += video.num_frames * source.dim * (source.half ? 2 : 4);
  }
  ByteProgress progress("converting", total);
  write_feature_set(place.path, source, num_shards, force, [&](int64_t n) { progress.add(n); });
  std::cerr << counted(source.videos.size(), "video") << " in " << place.shown << "\n";
}

/// A feature set, a folder of .npy files, an HDF5 file or a .pth, by what is there.
FeatureSource open_source(const std::string& path) {
  if (std::filesystem::exists(path + "/index.json")) return set_source(path);
  if (std::filesystem::is_directory(path)) return npy_source(path);
  return is_hdf5_file(path) ? hdf5_source(path) : pth_source(path);
}

void convert(const std::vector<std::string>& paths, const std::string& folder, int64_t num_shards,
             bool force) {
  // Refuses before the work what is no feature set; is_there() tells one set from another.
  const auto place =
      output_place(folder, feature_set_product(), /*replace=*/true, {paths.begin(), paths.end()});
  std::vector<FeatureSource> sources;
  for (const std::string& path : paths) sources.push_back(open_source(path));
  const FeatureSource source = merged_source(std::move(sources), paths);
  if (!force && is_there(place.path, source.identity, num_shards)) {
    std::cerr << place.shown << " is there already, made from this: nothing to do\n";
  } else {
    write(source, place, num_shards, force);
  }
}

void verify(const std::string& folder) {
  std::optional<ByteProgress> progress;
  const int64_t num_videos = verify_feature_set(folder, [&](int64_t done, int64_t total) {
    if (!progress) progress.emplace("verifying", total);
    progress->show(done);
  });
  std::cout << folder << ": " << counted(num_videos, "video") << ", every byte as it was written\n";
}

void list(const std::string& path) {
  if (is_hdf5_file(path)) {
    for (const VideoFrames& video : hdf5_source(path).videos) {
      std::cout << video.name << "\t" << video.num_frames << "\n";
    }
    return;
  }
  if (std::filesystem::is_regular_file(path)) {
    for (const PthTensor& video : PthFile(path).tensors()) {
      std::cout << video.name << "\t" << (video.shape.empty() ? 0 : video.shape[0]) << "\n";
    }
    return;
  }
  const FeatureStore store(path);
  for (const std::string& name : store.names()) {
    std::cout << name << "\t" << *store.num_frames(name) << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): CLI11's, by a wrong option
  CLI::App app("Converts video features to sharded HDF5");
  app.set_version_flag("--version", program_text());
  std::string file, folder, verified, listed;
  std::vector<std::string> others;
  int64_t shards = 8;
  bool force = false;
  add_path(
      app, "FILE", file,
      "features: a .pth dict of name -> [frames, width], a folder of NAME.npy files, an HDF5 file "
      "with a dataset a video, or a feature set");
  add_path(app, "DIR", folder, "feature set to make");
  add_values(app, "--with", others, "further features, of the same width, for the same set");
  app.add_option("--shards", shards, "number of HDF5 files")
      ->check(CLI::Range(int64_t{1}, kMaxShards));
  app.add_flag("--force", force, "replace a feature set that is there");
  add_path(app, "--verify", verified, "check every byte of a feature set");
  add_path(app, "--list", listed,
           "print names and frame counts of a feature set, a .pth or an HDF5 file");
  try {
    parse_values(app, argc, argv);
    const bool looks = !verified.empty() || !listed.empty();
    if (!looks && (file.empty() || folder.empty())) {
      throw CLI::RequiredError("FILE and DIR, or --verify DIR, or --list DIR");
    }
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError);
  }
  try {
    if (!verified.empty()) verify(verified);
    if (!listed.empty()) list(listed);
    if (!file.empty()) {
      for (std::string& other : others) other = expand_path(other);
      others.insert(others.begin(), file);
      convert(others, folder, shards, force);
    }
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    std::cerr << "pth2h5: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    std::cerr << "pth2h5: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kFailure);
  }
}
