// One pass over the bytes; the state is whether a quote is open.
#include "bovila/files/csv.h"

#include "bovila/core/error.h"

namespace bovila {
namespace {

class CsvParser {
 public:
  CsvParser(std::string_view text, std::string_view name) : text_(text), name_(name) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  std::vector<CsvRow> parse() {
    while (at_ < text_.size()) read_row();
    return std::move(rows_);
  }

 private:
  void read_row() {
    CsvRow row{line_, {}};
    do row.fields.push_back(text_.substr(at_, 1) == "\"" ? quoted_field() : "");
    while (finish_field(row.fields.back()));
    const bool blank = row.fields.size() == 1 && row.fields[0].empty();
    if (!blank) rows_.push_back(std::move(row));
  }

  /// Reads from an opening quote to behind its closing one.
  std::string quoted_field() {
    std::string field;
    const int64_t first_line = line_;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && text_.substr(at_ + 1, 1) != "\"") {
        ++at_;
        return field;
      }
      if (text_[at_] == '"') ++at_;
      if (text_[at_] == '\n') ++line_;
      field += text_[at_];
    }
    throw UserError("{}, line {}: a quote (\") is opened here and never closed", name_, first_line);
  }

  /// Appends what is left of a field; true when another one follows in the row.
  bool finish_field(std::string& field) {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == ',') {
        ++at_;
        return true;
      }
      if (text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n") {
        at_ += text_[at_] == '\n' ? 1 : 2;
        ++line_;
        return false;
      }
      field += text_[at_];
    }
    return false;
  }

  std::string_view text_;
  std::string_view name_;
  size_t at_ = 0;
  int64_t line_ = 1;
  std::vector<CsvRow> rows_;
};

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text, std::string_view name) {
  return CsvParser(text, name).parse();
}

}  // namespace bovila
