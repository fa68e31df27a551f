// What is there is asked once links are followed: a rename onto a link would take its name alone.
#include "bovila/core/output_place.h"

#include <optional>
#include <system_error>

#include "bovila/core/error.h"

namespace bovila {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLinks = 40;  // as many as Linux follows
constexpr const char* kHint = "name another one or move it away";

fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

/// Links at the end of the path one by one: weakly_canonical() stops at one that leads nowhere yet.
fs::path follow_links(fs::path path) {
  for (int i = 0; i < kMaxLinks && fs::is_symlink(path); ++i) {
    path = without_slash(path.parent_path() / fs::read_symlink(path));
  }
  path = without_slash(fs::weakly_canonical(path));
  if (!path.has_filename()) throw UserError("{}: expected a name to write to", path.string());
  return path;
}

/// Whether `place` is `source` or a folder above it.
bool holds(const fs::path& place, const fs::path& source) {
  std::error_code missing;
  fs::path path = fs::canonical(source, missing);
  if (missing || !fs::exists(place)) return false;
  for (; path.has_relative_path(); path = path.parent_path()) {
    if (fs::equivalent(path, place)) return true;
  }
  return false;
}

/// What nobody put there: core/durable_file.h's lock of a writer that was killed, what NFS keeps of
/// a removed file that is open somewhere, what a Mac leaves in folders that it looks at.
bool is_left_behind(const std::string& name) {
  return name == ".lock" || name == ".DS_Store" || name.starts_with(".nfs") ||
         name.starts_with("._");
}

/// The name of what is in the folder and not the product's; "" when all of it is.
std::string foreign_entry(const fs::path& folder, const Product& product) {
  std::string any;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_left_behind(name)) continue;
    const bool is_file = entry.is_regular_file() && !entry.is_symlink();
    if (!is_file || !product.is_ours(entry.path())) return name;
    any = name;
  }
  return fs::exists(folder / product.mark) ? "" : any;
}

/// @throws UserError when something else than the product is there. @return whether that is.
bool is_there(const fs::path& place, const Product& product) {
  if (!fs::exists(place)) return false;
  if (product.mark == nullptr) {
    if (fs::is_regular_file(place) && product.is_ours(place)) return true;
    throw UserError("{}: expected {} or nothing, something else is there; {}", place.string(),
                    product.name, kHint);
  }
  if (!fs::is_directory(place)) {
    throw UserError("{}: expected a folder to write to, a file is there", place.string());
  }
  if (const std::string name = foreign_entry(place, product); !name.empty()) {
    throw UserError("{}: expected {} or nothing, {} is there; {}", place.string(), product.name,
                    name, kHint);
  }
  return !fs::is_empty(place);
}

}  // namespace

OutputPlace output_place(const fs::path& target, const Product& product, bool replace,
                         const std::vector<fs::path>& sources) try {
  const fs::path typed = without_slash(fs::absolute(target));
  OutputPlace place{follow_links(typed), target.string()};
  if (fs::is_symlink(typed)) place.shown += fmt::format(" (a link to {})", place.path.string());
  for (const fs::path& source : sources) {
    if (!holds(place.path, source)) continue;
    throw UserError("{}: {} is read from there, which is never replaced; name another one",
                    place.shown, source.string());
  }
  if (is_there(place.path, product) && !replace) {
    throw UserError("{} is there already; use --force to replace it", place.shown);
  }
  return place;
} catch (const fs::filesystem_error& error) {
  throw UserError("{}: {}", target.string(), error.code().message());
}

}  // namespace bovila
