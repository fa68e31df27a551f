// The table of keys: the one place that says what each key of a deck is called, where its value
// goes, what it may be and what it means. Drives reading, checking, dumping and input/keys.md's
// test. A new key is one line in keys.cpp, one member in config.h and one row in input/keys.md.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bovila/config/config.h"

namespace bovila {

/// The member of a Config that a key sets; its type is the key's type. An enum also needs names_of.
using Field = std::variant<bool*, int64_t*, double*, std::optional<int64_t>*,
                           std::optional<double>*, std::string*, std::vector<std::string>*,
                           Precision*, WeightForm*, OverLong*, VideoShown*, OptionTurns*,
                           NonFinite*, UncertaintySource*, AqaGradient*, DeviceRequest*>;

/// Numbers from `low` (without it when `open`) to `high`; infinite ends are no limit, but a key's
/// number itself is always finite.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool open = false;

  bool contains(double value) const;
};

/// What a string stands for: decides which checks touch the file system (config/validate.h).
enum class Text {
  kWord,
  kFile,       ///< must be there
  kFolder,     ///< must be there
  kNewFolder,  ///< made when missing
};

struct Key {
  std::string_view path;                         ///< "train.batch_size"
  Field (*field)(Config&) = nullptr;             ///< its member
  bool required = false;                         ///< a deck without it is refused
  Text text = Text::kWord;                       ///< strings only
  Range range = {};                              ///< numbers only
  std::span<const std::string_view> words = {};  ///< strings and lists of them: what they may be
  std::string_view unit = "";
  std::string_view doc = "";
  std::string_view published = "";  ///< the published code's option, without its dashes

  std::string_view table() const { return path.substr(0, path.find('.')); }
  std::string_view name() const { return path.substr(path.find('.') + 1); }
};

/// Every key, table by table, in the order of dumps and of input/keys.md.
std::span<const Key> keys();
/// Names of the tables, in the same order.
std::vector<std::string_view> table_names();
/// The key with this path, or null.
const Key* find_key(std::string_view path);
/// The key that an option of the published code sets ("bias"), or else the first of this name
/// without its table, with - for _ too; or null.
const Key* find_key_of_option(std::string_view option);

/// "string", "integer", "number", "boolean" or "list of strings".
std::string type_text(const Key& key);
/// The words of which a value has to be one ("true", "false"); none where it may be anything else.
std::vector<std::string_view> choices(const Key& key);
/// "1 .. 1000000", "> 0", "fp32, bf16", "folder", ... ; empty when everything of its type is
/// allowed.
std::string range_text(const Key& key);
/// Type and range in one phrase, for messages: "an integer (1 .. 1000000)".
std::string expected_text(const Key& key);
/// Whether a string key may be "": only where that is its default and means something.
bool may_be_empty(const Key& key);

// --- words that a deck may use -------------------------------------------------------------------

/// A data set that `data.dataset` can name.
struct DatasetKind {
  std::string_view name;
  bool has_subtitles;  ///< `data.subtitles` may be true
};
std::span<const DatasetKind> dataset_kinds();

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};
/// The words of each enum; the argument only selects the enum.
std::span<const EnumName<Precision>> names_of(Precision);
std::span<const EnumName<WeightForm>> names_of(WeightForm);
std::span<const EnumName<OverLong>> names_of(OverLong);
std::span<const EnumName<VideoShown>> names_of(VideoShown);
std::span<const EnumName<OptionTurns>> names_of(OptionTurns);
std::span<const EnumName<UncertaintySource>> names_of(UncertaintySource);
std::span<const EnumName<AqaGradient>> names_of(AqaGradient);
std::span<const EnumName<NonFinite>> names_of(NonFinite);
std::span<const EnumName<DeviceRequest>> names_of(DeviceRequest);

/// The word of an enum's value, as a deck has it.
template <typename Enum>
std::string_view to_string(Enum value) {
  for (const auto& entry : names_of(value)) {
    if (entry.value == value) return entry.name;
  }
  return "?";
}

}  // namespace bovila
