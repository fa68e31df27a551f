// Subtitles of videos: .srt files as found in the wild, and VLEP's JSON Lines (SPEC 4).
// Fed by the subtitle files; feeds the annotation readers, which join a clip's texts to a dialogue.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bovila {

/// One text shown from `start_s` to `end_s`, both in whole seconds, rounded down.
struct Subtitle {
  int64_t start_s = 0;
  int64_t end_s = 0;
  std::string text;  ///< tags as in the file; lines of an .srt are separated by one LF
};

/// True when the subtitle belongs to the clip [start_s, end_s] (SPEC 4, as published: one that
/// begins in the clip and ends behind it does not).
bool in_clip(const Subtitle& subtitle, int64_t start_s, int64_t end_s);

/// Subtitles of an .srt text, in the file's order. Never fails: a byte-order mark, CRLF, missing or
/// wrong index lines, missing blank lines between subtitles and blank texts are all read; bytes
/// that are not UTF-8 become U+FFFD; what belongs to no valid time line is skipped. Hours are
/// dropped, as in the published reader: 01:02:03,900 is 123 s.
std::vector<Subtitle> parse_srt(std::string_view bytes);

/// `{folder}/{video}.srt`, each read once when first asked for. Not thread-safe.
class SrtFolder {
 public:
  /// @throws UserError when the folder is missing.
  explicit SrtFolder(std::string folder);
  /// The video's subtitles; none, and remembered, when its file is missing. `video` is a file's
  /// name (core/file_system.h).
  const std::vector<Subtitle>& of(const std::string& video);
  /// Logs one warning with the number of missing files and the first names, if any is missing.
  void report_missing() const;

 private:
  std::string folder_;
  std::unordered_map<std::string, std::vector<Subtitle>> videos_;
  std::vector<std::string> missing_;
};

/// VLEP's subtitles by video. Texts that are missing or null are blank.
/// @throws UserError that lists what is wrong with the file.
std::unordered_map<std::string, std::vector<Subtitle>> read_vlep_subtitles(const std::string& path);

}  // namespace bovila
