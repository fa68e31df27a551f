// Subtitles of videos: .srt and .vtt files as found in the wild, and JSON Lines (SPEC 4).
// Fed by the subtitle files; feeds the annotation readers, which join a clip's texts to a dialogue.
#pragma once

#include <cstdint>
#include <set>
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

/// What the bytes of a text file stand for.
enum class TextEncoding {
  kUtf8,
  kUtf16,        ///< by its byte-order mark
  kWindows1252,  ///< of every line that is not UTF-8: what the western editions of Windows wrote
};

/// The bytes as UTF-8, without a byte-order mark. Never fails: what is ill-formed becomes U+FFFD.
std::string decode_text(std::string_view bytes, TextEncoding& encoding);

/// Subtitles of an .srt or WebVTT text in UTF-8, in the file's order. Never fails: CRLF, missing or
/// wrong index lines, missing blank lines between subtitles, times without hours and blank texts
/// are all read; what belongs to no valid time line is skipped. Hours are dropped, as in the
/// published reader: 01:02:03,900 is 123 s.
std::vector<Subtitle> parse_srt(std::string_view text);

/// The subtitles of videos by their names. Not thread-safe.
class SubtitleSource {
 public:
  virtual ~SubtitleSource() = default;
  /// The video's subtitles; none, and remembered, when there are none of it.
  virtual const std::vector<Subtitle>& of(const std::string& video) = 0;
  /// Logs a warning for each thing that is missing or surprising, with the number of videos and the
  /// first names.
  virtual void report() const = 0;
};

/// `{folder}/{video}.srt`, or .vtt, each read once when first asked for.
class SrtFolder : public SubtitleSource {
 public:
  /// @throws UserError when the folder is missing.
  explicit SrtFolder(std::string folder);
  /// `video` is a file's name (core/file_system.h).
  const std::vector<Subtitle>& of(const std::string& video) override;
  void report() const override;

 private:
  std::vector<Subtitle> read(const std::string& video);

  std::string folder_;
  std::unordered_map<std::string, std::vector<Subtitle>> videos_;
  std::vector<std::string> missing_, without_times_, in_windows_1252_, in_utf16_;
};

/// One JSON Lines file of VLEP's form, which TVQA's repository has too.
class SubtitleLines : public SubtitleSource {
 public:
  /// @throws UserError that lists what is wrong with the file.
  explicit SubtitleLines(const std::string& path);
  const std::vector<Subtitle>& of(const std::string& video) override;
  void report() const override;

 private:
  std::string path_;
  std::unordered_map<std::string, std::vector<Subtitle>> videos_;
  std::set<std::string> missing_, found_;
};

}  // namespace bovila
