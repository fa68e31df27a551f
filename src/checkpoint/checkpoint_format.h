// The files of a checkpoint as bytes in memory, so that what is hashed is what is stored and read.
// Fed by TrainState; included by src/checkpoint/checkpoint*.cpp and tests/fuzz/ alone.
//
// Functions that make bytes throw ProgramError for a state that cannot be stored; those that read
// throw UserError that begins with `path`, the file's name for messages.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bovila/checkpoint/train_state.h"

namespace bovila::checkpoint_format {

inline constexpr const char* kArraysName = "state.h5";
inline constexpr const char* kProgressName = "progress.json";
inline constexpr const char* kDeckName = "deck.toml";
inline constexpr const char* kBuildName = "build.json";
inline constexpr const char* kManifestName = "manifest.json";

/// Contents by file name.
using Files = std::map<std::string, std::string>;

/// state.h5.
std::string write_arrays(std::span<const NamedArray> arrays);
/// Fills the values of `arrays`, whose names and shapes are what is expected in `image`.
void read_arrays(std::string_view image, const std::string& path, std::vector<NamedArray>& arrays);

/// Whether a name can be stored: see NamedArray.
bool is_array_name(std::string_view name);
/// Elements of a shape, or -1 when a dimension is negative or their product is no int64.
int64_t num_elements(std::span<const int64_t> shape);

/// progress.json: all of a state but its deck, its build and the values of its arrays.
std::string write_progress(const TrainState& state);
TrainState read_progress(std::string_view text, const std::string& path);

/// build.json.
std::string write_build(const std::map<std::string, std::string>& build);
std::map<std::string, std::string> read_build(std::string_view text, const std::string& path);

/// manifest.json.
std::string write_manifest(int64_t step, const Files& files);

struct Sealed {
  int64_t step = 0;
  Files files;
};
/// Reads a folder's files and checks them against its manifest.
Sealed read_sealed(const std::filesystem::path& folder);
/// Whether verify_checkpoint() accepts it.
bool is_valid(const std::filesystem::path& folder);

/// The step in a name like step-00000100, or -1 for any other name.
int64_t step_in_name(std::string_view name);

/// Removes what killed processes left in ROOT: half-written checkpoints whose writers are dead, and
/// those that were being deleted. @throws ProgramError.
void remove_garbage(const std::filesystem::path& root);

}  // namespace bovila::checkpoint_format
