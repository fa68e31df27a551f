// manifest.json, and a folder's files checked against it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/core/descriptor.h"
#include "bovila/core/error.h"
#include "bovila/core/hash.h"
#include "bovila/core/system.h"
#include "src/checkpoint/checkpoint_format.h"
#include "src/checkpoint/checkpoint_json.h"

namespace bovila::checkpoint_format {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSealedNames = {kArraysName, kDeckName, kProgressName, kBuildName};
constexpr int64_t kLastWithoutBuild = 3;
constexpr int64_t kMaxShortBytes = int64_t{1} << 20;
constexpr std::string_view kNamePrefix = "step-";

struct FileSeal {
  int64_t size = 0;
  std::string sha256;  // 64 lower-case hexadecimal digits
};
struct Manifest {
  int64_t step = 0;
  std::map<std::string, FileSeal> files;
};

FileSeal read_seal(const JsonObject& entry, const std::string& path, const std::string& name) {
  entry.allow_only({"size", "sha256"});
  FileSeal seal{entry.integer("size", 0), entry.text("sha256")};
  if (seal.sha256.size() != 64 ||
      seal.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw UserError("{}: '{}': 'sha256' is no SHA-256", path, name);
  }
  return seal;
}

[[noreturn]] void fail_to_read(const fs::path& path) {
  throw UserError("{}: cannot be read: {}", path.string(), system_message(errno));
}

/// A whole file. `check_size` may refuse its size before memory is taken for it.
template <typename CheckSize>
std::string read_file(const fs::path& path, CheckSize check_size) {
  // O_NONBLOCK: opening a pipe would wait for its writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.id < 0 && errno == ENOENT) throw UserError("{}: is missing", path.string());
  struct stat status {};
  if (file.id < 0 || fstat(file.id, &status) != 0) fail_to_read(path);
  if (!S_ISREG(status.st_mode)) throw UserError("{}: is no plain file", path.string());
  check_size(static_cast<int64_t>(status.st_size));
  std::string contents(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < contents.size()) {
    const ssize_t got = read(file.id, contents.data() + done, contents.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_read(path);
    if (got == 0) throw UserError("{}: became shorter while it was read", path.string());
    done += static_cast<size_t>(got);
  }
  return contents;
}

/// One that no hash tells the size of.
std::string read_short_file(const fs::path& path) {
  return read_file(path, [&](int64_t size) {
    if (size > kMaxShortBytes) throw UserError("{}: is no manifest: too long", path.string());
  });
}

/// "bovila 0.7.0", where a checkpoint of another form says so in the file that this one has for it.
std::string writer_of(const fs::path& folder, int64_t version) {
  const fs::path path = folder / kBuildName;
  try {
    const auto build = read_build(read_short_file(path), path.string());
    if (const auto found = build.find("version"); found != build.end()) {
      return "bovila " + found->second;
    }
  } catch (const UserError&) {  // then its version is not known
  }
  return version > kCheckpointVersion ? "a newer bovila" : "an older bovila";
}

void check_version(int64_t version, const fs::path& folder) {
  if (version >= kOldestCheckpointVersion && version <= kCheckpointVersion) return;
  throw UserError(
      "{}: expected format version {} to {}, got {}: it was written by {}; use that one to go on "
      "from it",
      (folder / kManifestName).string(), kOldestCheckpointVersion, kCheckpointVersion, version,
      writer_of(folder, version));
}

Manifest read_manifest(const fs::path& folder) {
  const std::string path = (folder / kManifestName).string();
  const nlohmann::json json = parse_json(read_short_file(path), path);
  const JsonObject root(json, path);
  const int64_t version = root.integer("format_version", 0);
  check_version(version, folder);  // before the rest, which is this version's
  root.allow_only({"format_version", "step", "files"});
  Manifest manifest;
  manifest.step = root.integer("step", 0);
  const JsonObject files = root.object("files");
  files.allow_only({kArraysName, kDeckName, kProgressName, kBuildName});
  for (const char* name : kSealedNames) {
    if (name == kBuildName && version <= kLastWithoutBuild) continue;
    manifest.files[name] = read_seal(files.object(name), path, name);
  }
  return manifest;
}

std::string read_sealed_file(const fs::path& path, const FileSeal& seal) {
  std::string contents = read_file(path, [&](int64_t size) {
    if (size == seal.size) return;
    throw UserError("{}: expected {} bytes, got {}: it was cut short or changed", path.string(),
                    seal.size, size);
  });
  if (sha256_of(contents) != seal.sha256) {
    throw UserError("{}: its SHA-256 is not the manifest's: it was changed", path.string());
  }
  return contents;
}

/// What somebody probably meant who named a folder without a manifest.
std::string hint(const fs::path& folder) {
  std::error_code ignored;
  const auto holds_steps = [&](const fs::path& root) {
    for (const auto& entry : fs::directory_iterator(root, ignored)) {
      if (step_in_name(entry.path().filename().string()) >= 0) return true;
    }
    return false;
  };
  for (const fs::path& root : {folder, folder / "checkpoints"}) {
    if (holds_steps(root)) {
      return fmt::format("; name one of the checkpoints {}/step-...", root.string());
    }
  }
  return "";
}

void check_folder(const fs::path& folder) {
  std::error_code reason;
  const fs::file_status status = fs::status(folder, reason);
  if (!fs::exists(status)) {
    throw UserError("{}: expected a checkpoint's folder, there is {}", folder.string(),
                    status.type() == fs::file_type::not_found ? "none" : reason.message());
  }
  if (!fs::is_directory(status)) {
    throw UserError("{}: expected a checkpoint's folder, got a file", folder.string());
  }
}

void check_step(const fs::path& folder, int64_t step) {
  const fs::path path = folder.lexically_normal();  // its name, also with a slash behind it
  const int64_t named =
      step_in_name((path.has_filename() ? path : path.parent_path()).filename().string());
  if (named < 0 || named == step) return;
  throw UserError("{}: its folder says step {}, its contents step {}: it was renamed",
                  (folder / kManifestName).string(), named, step);
}

}  // namespace

int64_t step_in_name(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return -1;
  const std::string_view digits = name.substr(kNamePrefix.size());
  int64_t step = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (parsed.ec != std::errc() || step < 0) return -1;
  return checkpoint_folder("", step).string() == name ? step : -1;
}

std::string write_manifest(int64_t step, const Files& files) {
  nlohmann::ordered_json root = {{"format_version", kCheckpointVersion}, {"step", step}};
  for (const auto& [name, contents] : files) {
    root["files"][name] = {{"size", contents.size()}, {"sha256", sha256_of(contents)}};
  }
  return root.dump(2) + "\n";
}

Sealed read_sealed(const fs::path& folder) {
  check_folder(folder);
  const fs::path path = folder / kManifestName;
  std::error_code ignored;
  if (fs::symlink_status(path, ignored).type() == fs::file_type::not_found) {
    throw UserError("{}: is missing: {} is no checkpoint{}", path.string(), folder.string(),
                    hint(folder));
  }
  const Manifest manifest = read_manifest(folder);
  check_step(folder, manifest.step);
  Sealed sealed{manifest.step, {}};
  for (const auto& [name, seal] : manifest.files) {
    sealed.files[name] = read_sealed_file(folder / name, seal);
  }
  return sealed;
}

}  // namespace bovila::checkpoint_format
