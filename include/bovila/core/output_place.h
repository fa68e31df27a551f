// Where a tool puts what it makes: links are followed, and nothing is replaced that the tool did
// not make itself. Fed by the tools' command lines and features/feature_writer.h; feeds
// core/durable_file.h, which writes there.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bovila {

/// What a tool makes, and how it knows it again: a file, or a folder of files and nothing else.
struct Product {
  const char* name;  ///< in messages: "a feature set"
  const char* mark;  ///< the file that no such folder lacks; null where the product is a file
  /// Whether a file is the tool's: the product itself, or one of the folder's.
  std::function<bool(const std::filesystem::path& file)> is_ours;
};

struct OutputPlace {
  std::filesystem::path path;  ///< absolute, links followed, without a trailing slash
  std::string shown;           ///< as it was typed, and where it leads when it is a link
};

/// The place that `target` leads to, also through a link whose end is not there yet.
/// @throws UserError, when nothing has been touched yet, unless there is nothing, an empty folder
/// where the product is one, or with `replace` the product: never one of the `sources`, which the
/// tool reads, nor a folder that holds one.
OutputPlace output_place(const std::filesystem::path& target, const Product& product, bool replace,
                         const std::vector<std::filesystem::path>& sources = {});

}  // namespace bovila
