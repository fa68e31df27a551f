// Reading a deck: TOML text and overrides against the table of keys.
#include "bovila/config/deck.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "bovila/config/assign.h"
#include "bovila/config/dump.h"
#include "bovila/config/keys.h"
#include "bovila/config/problems.h"
#include "bovila/config/validate.h"
#include "bovila/core/error.h"
#include "bovila/core/system.h"

namespace bovila {
namespace {

constexpr size_t kMaxDeckBytes = size_t{1} << 20;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// Line `number`, from 1, of a text.
std::string_view line_of(std::string_view text, uint32_t number) {
  for (; number > 1 && !text.empty(); --number) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  return text.substr(0, text.find('\n'));
}

/// The end of a message about a line that is not TOML: what it probably lacks.
std::string toml_hint(std::string_view line) {
  for (const char* quote : {"\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x98", "\xe2\x80\x99"}) {
    if (line.find(quote) != std::string_view::npos) {
      return fmt::format("; {} is a quote of printed text, TOML's are \" and '", quote);
    }
  }
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return "";
  const auto key = trim(line.substr(0, equals));
  auto value = trim(line.substr(equals + 1));
  if (!value.empty() && value.back() == '\r') value = trim(value.substr(0, value.size() - 1));
  const auto is_word = [](unsigned char c) { return c >= 0x80 || std::isalnum(c) != 0; };
  const bool looks_bare = !value.empty() &&
                          (is_word(value.front()) || std::string_view("/.~$").find(value.front()) !=
                                                         std::string_view::npos) &&
                          value.find_first_of("\"'#[]{}") == std::string_view::npos;
  if (!looks_bare) return "";
  return fmt::format("; a text needs quotes: {} = \"{}\"", key, value);
}

/// The end of a message about an unknown key: which known one was probably meant.
std::string guess_key(std::string_view table, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Key& key : keys()) {
    if (key.table() == table) names.push_back(key.name());
  }
  if (const auto near = nearest(name, names); !near.empty()) {
    return fmt::format("; did you mean '{}'?", near);
  }
  for (const Key& key : keys()) {
    if (key.name() == name || key.published == name) {
      return fmt::format("; did you mean '{}' in [{}]?", key.name(), key.table());
    }
  }
  return fmt::format("; [{}] has {}", table, fmt::join(names, ", "));
}

std::string guess_table(std::string_view name) {
  for (const Key& key : keys()) {
    if (key.name() == name) return fmt::format("; did you mean '{}' in [{}]?", name, key.table());
  }
  const auto tables = table_names();
  const auto near = nearest(name, tables);
  if (!near.empty()) return fmt::format("; did you mean [{}]?", near);
  return fmt::format("; the tables are {}", fmt::join(tables, ", "));
}

/// Collects values, the places where they stand, and everything that is wrong with them.
class Reader {
 public:
  explicit Reader(const std::string& source) { origins_.source = source; }

  void read_text(std::string_view text) {
    try {
      read_root(parse_toml(text, origins_.source));
    } catch (const toml::parse_error& error) {
      const DeckPlace place = place_at(error.source());
      problems_.add(place, fmt::format("not TOML: {}{}", error.description(),
                                       toml_hint(line_of(text, place.line))));
      problems_.throw_if_any();
    }
  }

  void read_override(const std::string& assignment) {
    const DeckPlace place{"--set " + assignment};
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos) return problems_.add(place, "expected table.key=value");
    const std::string_view path = trim(std::string_view(assignment).substr(0, equals));
    const std::string_view value = trim(std::string_view(assignment).substr(equals + 1));
    const Key* key = find_key(path);
    if (key == nullptr) return problems_.add(place, unknown_path(path));
    overridden_.emplace(key->path);
    read_override_value(*key, value, place);
  }

  /// Checks of the whole; to be called once everything has been read.
  void check(bool with_files) {
    check_required();
    check_rules(config_, origins_, problems_);
    if (with_files) expand_paths(config_, origins_, problems_);
    if (with_files) check_files(config_, origins_, problems_);
    problems_.throw_if_any();
  }

  Deck deck() const {
    Deck::Keys given;
    for (const auto& [path, place] : origins_.places) given.emplace(path);
    return {config_, to_toml(config_), find_warnings(config_), std::move(given), overridden_};
  }

 private:
  DeckPlace place_at(const toml::source_region& region) const {
    return {origins_.source, region.begin.line, region.begin.column};
  }

  void read_root(const toml::table& root) {
    const auto tables = table_names();
    for (const auto& [name, node] : root) {
      if (!std::ranges::count(tables, name.str())) {
        problems_.add(
            place_at(name.source()),
            fmt::format("unknown {} '{}'{}", node.is_table() ? "table" : "key outside a table",
                        name.str(), guess_table(name.str())));
      } else if (const toml::table* table = node.as_table()) {
        table_places_[std::string(name.str())] = place_at(name.source());
        read_table(name.str(), *table);
      } else {
        problems_.add(place_at(node.source()),
                      fmt::format("expected a table [{}], got {}", name.str(), describe(node)));
      }
    }
  }

  void read_table(std::string_view table, const toml::table& values) {
    for (const auto& [name, node] : values) {
      const Key* key = find_key(fmt::format("{}.{}", table, name.str()));
      if (key == nullptr) {
        problems_.add(place_at(name.source()), fmt::format("unknown key '{}' in [{}]{}", name.str(),
                                                           table, guess_key(table, name.str())));
      } else {
        read_value(*key, node, place_at(node.source()));
      }
    }
  }

  void read_value(const Key& key, const toml::node& node, const DeckPlace& place) {
    origins_.places[key.path] = place;
    const std::string problem = assign(key, node, config_);
    if (problem.empty()) return;
    origins_.refused.insert(key.path);
    problems_.add(place, problem);
  }

  void read_override_value(const Key& key, std::string_view value, const DeckPlace& place) {
    const bool is_quoted = value.starts_with('"') || value.starts_with('\'');
    const bool is_bare = type_text(key) == "string" && !is_quoted;
    try {
      const auto root = parse_toml(
          fmt::format("value = {}", is_bare ? quote(value) : std::string(value)), place.source);
      if (root.size() == 1) return read_value(key, *root.get("value"), place);
    } catch (const toml::parse_error&) {
      // Reported below: what TOML says about a value alone helps less than what the key expects.
    }
    origins_.places[key.path] = place;
    origins_.refused.insert(key.path);
    problems_.add(place,
                  fmt::format("{}: expected {}, got '{}'", key.path, expected_text(key), value));
  }

  static std::string unknown_path(std::string_view path) {
    if (const Key* key = find_key_of_option(path)) {
      return fmt::format("unknown key '{}'; did you mean '{}'?", path, key->path);
    }
    std::vector<std::string_view> paths;
    for (const Key& key : keys()) paths.push_back(key.path);
    const auto near = nearest(path, paths);
    if (!near.empty()) return fmt::format("unknown key '{}'; did you mean '{}'?", path, near);
    const size_t dot = path.find('.');
    const auto table = path.substr(0, dot);
    const auto tables = table_names();
    const bool known = dot != std::string_view::npos && std::ranges::count(tables, table);
    return fmt::format("unknown key '{}'{}", path,
                       known ? guess_key(table, path.substr(dot + 1)) : guess_table(table));
  }

  void check_required() {
    for (const Key& key : keys()) {
      if (!key.required || origins_.places.contains(key.path)) continue;
      const auto table = table_places_.find(key.table());
      origins_.refused.insert(key.path);
      problems_.add(table == table_places_.end() ? DeckPlace{origins_.source} : table->second,
                    fmt::format("[{}] lacks the key '{}', {} ({})", key.table(), key.name(),
                                expected_text(key), key.doc));
    }
  }

  Config config_;
  Deck::Keys overridden_;
  Origins origins_;
  Problems problems_;
  std::map<std::string, DeckPlace, std::less<>> table_places_;
};

Deck parse(std::string_view text, const std::string& source,
           const std::vector<std::string>& overrides, bool with_files) {
  Reader reader(source);
  reader.read_text(text);
  for (const std::string& assignment : overrides) reader.read_override(assignment);
  reader.check(with_files);
  return reader.deck();
}

/// The whole file; pipes are welcome, so its size is not asked for beforehand.
std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw UserError("{}: expected a deck (a TOML file), got a folder", path);
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxDeckBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    throw UserError("{}: cannot read the deck: {}", path, system_message(errno));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxDeckBytes) {
    throw UserError("{}: more than {} bytes: this is no deck", path, kMaxDeckBytes);
  }
  return text;
}

}  // namespace

Deck parse_deck(std::string_view text, const std::string& source,
                const std::vector<std::string>& overrides) {
  return parse(text, source, overrides, false);
}

Deck read_deck(const std::string& path, const std::vector<std::string>& overrides) {
  return parse(read_file(path), path, overrides, true);
}

}  // namespace bovila
