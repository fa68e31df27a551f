// pth2h5 FILE DIR: a features .pth, a folder of .npy files, or an HDF5 file with a dataset a video,
// into a sharded HDF5 feature set;
// --verify proves one, --list shows one (or a .pth).
// Fed by the published features or tools/extract_features.py; feeds features/feature_store.h.
// Memory: the largest video.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <set>

#include "bovila/core/build_info.h"
#include "bovila/core/counted.h"
#include "bovila/core/error.h"
#include "bovila/core/float16.h"
#include "bovila/core/live_line.h"
#include "bovila/core/log.h"
#include "bovila/core/output_place.h"
#include "bovila/features/feature_store.h"
#include "bovila/features/feature_writer.h"
#include "bovila/features/hdf5_source.h"
#include "bovila/features/npy.h"
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

void check_video(const PthFile& file, const PthTensor& video) {
  if (!is_floating_point(video.type)) {
    throw UserError("{}: video '{}' has elements of type {}, features are floating point",
                    file.path(), video.name, name_of(video.type));
  }
  if (video.shape.size() != 2 || video.shape[1] != kFeatureDim) {
    throw UserError("{}: video '{}' has shape [{}], features are [frames, {}]", file.path(),
                    video.name, fmt::join(video.shape, ", "), kFeatureDim);
  }
}

/// Reads a video and gives it the set's element type. @throws UserError for a value that is not
/// finite.
class VideoReader {
 public:
  VideoReader(const PthFile& file, bool half) : file_(file), half_(half) {}

  void read(const PthTensor& video, std::span<std::byte> out) {
    if (half_ || video.type == ElementType::kFloat32) {
      file_.read(video, out);
    } else {
      raw_.resize(static_cast<size_t>(video.num_bytes()));
      file_.read(video, raw_);
      convert(video, {reinterpret_cast<float*>(out.data()), out.size() / sizeof(float)});
    }
    require_finite_frames(out, half_, fmt::format("{}: video '{}'", file_.path(), video.name));
  }

 private:
  void convert(const PthTensor& video, std::span<float> out) {
    const auto halves = [&] {
      return std::span(reinterpret_cast<const uint16_t*>(raw_.data()), out.size());
    };
    switch (video.type) {
      case ElementType::kFloat16:
        return halves_to_floats(halves(), out);
      case ElementType::kBFloat16:
        return bfloat16s_to_floats(halves(), out);
      default:
        return doubles_to_floats({reinterpret_cast<const double*>(raw_.data()), out.size()}, out);
    }
  }

  const PthFile& file_;
  bool half_;
  std::vector<std::byte> raw_;
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

/// Reading a tensor that has its storage to itself verifies the file's checksum; storages that
/// several share are verified here, once each.
void verify_shared_storages(const PthFile& file, const std::vector<PthTensor>& videos) {
  std::set<std::string> verified;
  for (const PthTensor& video : videos) {
    if (file.spans_storage(video) || !verified.insert(video.storage).second) continue;
    file.verify_storage(video);
  }
}

void write(const FeatureSource& source, const OutputPlace& place, int64_t num_shards, bool force) {
  for (const std::string& note : source.notes) std::cerr << note << "\n";
  int64_t total = 0;
  for (const VideoFrames& video : source.videos) {
    total += video.num_frames * kFeatureDim * (source.half ? 2 : 4);
  }
  ByteProgress progress("converting", total);
  write_feature_set(place.path, source, num_shards, force, [&](int64_t n) { progress.add(n); });
  std::cerr << counted(source.videos.size(), "video") << " in " << place.shown << "\n";
}

void say_there(const OutputPlace& place) {
  std::cerr << place.shown << " is there already, made from this file: nothing to do\n";
}

void convert_source(const FeatureSource& source, const OutputPlace& place, int64_t num_shards,
                    bool force) {
  if (!force && is_there(place.path, source.identity, num_shards)) return say_there(place);
  write(source, place, num_shards, force);
}

void convert(const std::string& path, const std::string& folder, int64_t num_shards, bool force) {
  // Refuses before the work what is no feature set; is_there() tells one set from another.
  const auto place = output_place(folder, feature_set_product(), /*replace=*/true, {path});
  if (std::filesystem::is_directory(path)) {
    return convert_source(npy_source(path), place, num_shards, force);
  }
  if (is_hdf5_file(path)) return convert_source(hdf5_source(path), place, num_shards, force);
  const PthFile file(path);
  auto videos = file.tensors();
  std::vector<std::string> empty;
  for (const PthTensor& video : videos) {
    check_video(file, video);
    if (video.shape[0] == 0) empty.push_back(video.name);
  }
  std::erase_if(videos, [](const PthTensor& video) { return video.shape[0] == 0; });
  FeatureSource source;
  source.identity = file.identity();
  source.half = std::ranges::all_of(
      videos, [](const PthTensor& video) { return video.type == ElementType::kFloat16; });
  for (const PthTensor& video : videos) source.videos.push_back({video.name, video.shape[0]});
  note_left_out(source, empty, path);
  if (!force && is_there(place.path, file.identity(), num_shards)) return say_there(place);
  verify_shared_storages(file, videos);
  VideoReader reader(file, source.half);
  source.read = [&](size_t video, std::span<std::byte> out) { reader.read(videos[video], out); };
  write(source, place, num_shards, force);
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
  int64_t shards = 8;
  bool force = false;
  add_path(app, "FILE", file,
           "features: a .pth dict of name -> [frames, 768], a folder of NAME.npy files, or an HDF5 "
           "file with a dataset a video");
  add_path(app, "DIR", folder, "feature set to make");
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
    if (!file.empty()) convert(file, folder, shards, force);
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    std::cerr << "pth2h5: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    std::cerr << "pth2h5: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kFailure);
  }
}
