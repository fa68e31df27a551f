// A file as a JSON object.
#include "src/weights/params_json.h"

#include <fstream>
#include <sstream>

#include "bovila/core/json_depth.h"

namespace bovila {

ParamsJson::ParamsJson(std::string path, const std::string& text) : path_(std::move(path)) {
  if (!is_deep_json(text)) {
    object_ = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  if (!object_.is_object()) throw UserError("{} is not a JSON object", path_);
}

ParamsJson read_params_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UserError("{} cannot be read", path);
  std::ostringstream text;
  text << file.rdbuf();
  return {path, text.str()};
}

}  // namespace bovila
