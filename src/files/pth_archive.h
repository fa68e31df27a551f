// The zip side of a .pth file: its directory, its entries, and reading from them at any place.
// Fed by src/files/pth.cpp. libzip does the parsing of zips and verifies checksums.
#pragma once

#include <zip.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

namespace bovila {

struct PthEntry {
  uint64_t index = 0;
  int64_t size = 0;
  uint32_t crc = 0;
};

/// An entry opened for reading. Reading from the start to the end verifies the checksum; seeking
/// gives that up.
class PthEntryReader {
 public:
  PthEntryReader(zip_t* zip, const PthEntry& entry, std::string where);
  void seek(int64_t byte);
  /// Fills `out`. @throws UserError when the entry ends before or its checksum is wrong.
  void read(std::span<std::byte> out);
  /// After the last byte: @throws UserError when the checksum is wrong.
  void finish();

 private:
  struct Closer {
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };
  std::string reason() const;
  std::string where_;  // file and entry, for messages
  std::unique_ptr<zip_file_t, Closer> file_;
};

class PthArchive {
 public:
  /// @throws UserError saying what the file is when it is not a zip of torch.save.
  explicit PthArchive(const std::string& path);

  const std::string& path() const { return path_; }
  /// Entry NAME/`name`; null when there is none.
  const PthEntry* find(const std::string& name) const;
  /// "FILE: entry NAME/`name`", for messages.
  std::string place(const std::string& name) const;
  PthEntryReader open(const std::string& name) const;
  /// A whole small entry. @throws UserError when it is missing or larger than `max_bytes`.
  std::string read_all(const std::string& name, int64_t max_bytes) const;
  std::string identity() const;

 private:
  struct Closer {
    void operator()(zip_t* zip) const { zip_discard(zip); }
  };
  void list_entries();
  void find_prefix();

  std::string path_;
  std::string prefix_;  // "NAME/"
  std::unique_ptr<zip_t, Closer> zip_;
  std::unordered_map<std::string, PthEntry> entries_;
};

}  // namespace bovila
