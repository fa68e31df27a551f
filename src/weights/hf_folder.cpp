// Every shard is open at once: a tensor's scales may be in another than its values.
#include "src/weights/hf_folder.h"

#include <algorithm>

#include "bovila/core/error.h"
#include "bovila/weights/weight_type.h"
#include "src/weights/cpu/forms.h"
#include "src/weights/quant_state.h"

namespace bovila {
namespace {

using torch::Tensor;

constexpr const char* kState = ".quant_state.bitsandbytes__nf4";

/// Of the names that bitsandbytes puts beside X.weight.
bool is_companion(const std::string& name) {
  for (const char* part :
       {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", kState}) {
    if (name.ends_with(std::string(".weight") + part)) return true;
  }
  return name.ends_with(".SCB") || name.ends_with(".weight_format");
}

/// "X.weight" to "X".
std::string layer_of(const std::string& name) {
  return name.substr(0, name.rfind(".weight"));
}

std::string text_of(const HfPlace& from) {
  const auto bytes = read_tensor(from);
  return {static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()};
}

/// Memory for some of a tensor.
Tensor empty_region(const HfPlace& from, const Region& region) {
  std::vector<int64_t> sizes = {region.rows};
  if (from.tensor->shape.size() > 1) sizes.push_back(region.columns);
  return torch::empty(sizes, stored_type(from));
}

[[noreturn]] void fail_shape(const HfPlace& tensor, const std::vector<int64_t>& got,
                             const std::vector<int64_t>& expected) {
  throw UserError(
      "{}: '{}' has shape [{}], config.json asks for [{}]; the files belong to another model",
      tensor.file->path(), tensor.tensor->name, fmt::join(got, ", "), fmt::join(expected, ", "));
}

}  // namespace

HfFolder::HfFolder(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) files_.emplace_back(path);
  for (const HfTensorFile& file : files_) {
    for (const HfTensor& tensor : file.tensors()) {
      auto& tensors = is_companion(tensor.name) ? companions_ : weights_;
      const auto [other, is_first] = tensors.emplace(tensor.name, HfPlace{&file, &tensor});
      if (is_first) continue;
      throw UserError("{}: '{}' is in {} too", file.path(), tensor.name,
                      other->second.file->path());
    }
  }
}

const HfPlace& HfFolder::companion(const HfPlace& of, const std::string& name, ElementType type,
                                   const std::vector<int64_t>& shape) const {
  const auto found = companions_.find(name);
  if (found == companions_.end()) {
    throw UserError("{}: '{}' is quantised, and '{}' is missing", of.file->path(), of.tensor->name,
                    name);
  }
  const HfTensor& tensor = *found->second.tensor;
  if (tensor.type == type && tensor.shape == shape) return found->second;
  throw UserError("{}: '{}' is {} [{}], expected {} [{}]", found->second.file->path(), name,
                  name_of(tensor.type), fmt::join(tensor.shape, ", "), name_of(type),
                  fmt::join(shape, ", "));
}

bool HfFolder::has_double_scales(const std::string& name) const {
  return companions_.contains(name + ".nested_absmax");
}

void HfFolder::check_nf4(const HfPlace& weight, const std::vector<int64_t>& shape) const {
  const std::string& name = weight.tensor->name;
  const auto state = companions_.find(name + kState);
  if (state == companions_.end()) {
    throw UserError(
        "{}: '{}' has elements of type {}, and no '{}{}' is there; of quantised weights "
        "bitsandbytes' NF4 and int8 can be used",
        weight.file->path(), name, name_of(weight.tensor->type), name, kState);
  }
  const auto described = read_quant_state(
      fmt::format("{}: '{}{}'", state->second.file->path(), name, kState), text_of(state->second));
  const std::vector<int64_t> described_shape = {described.rows, described.columns};
  if (described_shape != shape) fail_shape(weight, described_shape, shape);
  if (shape[1] % kNf4BlockSize != 0) {
    throw UserError(
        "{}: '{}' has rows of {} weights in blocks of {}, which go from row to row: "
        "this cannot be used",
        weight.file->path(), name, shape[1], kNf4BlockSize);
  }
  const int64_t count = shape[0] * shape[1], blocks = count / kNf4BlockSize;
  const std::vector<int64_t> packed = {count / 2, 1};
  if (weight.tensor->shape != packed) fail_shape(weight, weight.tensor->shape, packed);
  const bool is_double = has_double_scales(name);
  if (is_double != described.nested_offset.has_value()) {
    throw UserError("{}: '{}' {} scales in 8 bits, its '{}' says otherwise", weight.file->path(),
                    name, is_double ? "has" : "lacks", kState);
  }
  const auto require_part = [&](const char* part, ElementType type, int64_t size) {
    companion(weight, name + part, type, {size});
  };
  require_part(".absmax", is_double ? ElementType::kUInt8 : ElementType::kFloat32, blocks);
  require_part(".quant_map", ElementType::kFloat32, 16);
  if (!is_double) return;
  require_part(".nested_absmax", ElementType::kFloat32,
               (blocks + kScaleBlockSize - 1) / kScaleBlockSize);
  require_part(".nested_quant_map", ElementType::kFloat32, 256);
}

void HfFolder::check(const std::string& name, const std::vector<int64_t>& shape) const {
  const HfPlace& weight = weights_.at(name);
  const ElementType type = weight.tensor->type;
  const bool may_be_quantised = shape.size() == 2 && name.ends_with(".weight");
  if (may_be_quantised && type == ElementType::kUInt8) return check_nf4(weight, shape);
  if (weight.tensor->shape != shape) fail_shape(weight, weight.tensor->shape, shape);
  if (may_be_quantised && type == ElementType::kInt8) {
    companion(weight, layer_of(name) + ".SCB", ElementType::kFloat32, {shape[0]});
    return;
  }
  weight_type(type, name, weight.file->path());
}

FrozenMatrix HfFolder::read_nf4(const HfPlace& weight, const std::vector<int64_t>& shape,
                                const Region& region) const {
  const std::string& name = weight.tensor->name;
  const auto part = [&](const char* suffix) { return read_tensor(companions_.at(name + suffix)); };
  const auto map = part(".quant_map");
  if (!std::equal(cpu::nf4_values(), cpu::nf4_values() + 16, map.const_data_ptr<float>())) {
    throw UserError("{}: '{}.quant_map' has other values than NF4's", weight.file->path(), name);
  }
  // Both lie row by row.
  const auto rows_of = [&](const HfPlace& from, int64_t width) {
    return read_region(from, {region.first_row * width, region.rows * width, 0, 1})
        .view({region.rows, width});
  };
  const int64_t blocks = shape[1] / kNf4BlockSize;
  FrozenMatrix matrix(rows_of(weight, shape[1] / 2));
  matrix.scales = rows_of(companions_.at(name + ".absmax"), blocks);
  const auto columns = [&] { return matrix.column_range(region.first_column, region.columns); };
  if (!has_double_scales(name)) return columns();
  matrix.first_scale = region.first_row * blocks;
  matrix.scale_scales = part(".nested_absmax");
  matrix.scale_map = part(".nested_quant_map");
  const auto state = read_quant_state(name, text_of(companions_.at(name + kState)));
  matrix.scale_mean = torch::tensor(*state.nested_offset);
  return columns();
}

FrozenMatrix HfFolder::read(const std::string& name, const std::vector<int64_t>& shape,
                            const Region& region) const {
  const HfPlace& weight = weights_.at(name);
  if (weight.tensor->type == ElementType::kUInt8) return read_nf4(weight, shape, region);
  FrozenMatrix matrix(read_region(weight, region));
  if (weight.tensor->type != ElementType::kInt8) return matrix;
  const std::string layer = layer_of(name);
  if (const auto format = companions_.find(layer + ".weight_format"); format != companions_.end()) {
    const auto stored = read_tensor(format->second);
    if (stored.numel() != 1 || stored.item<int64_t>() != 0) {
      throw UserError(
          "{}: '{}.weight_format' is not 0: its rows do not lie one after the other, "
          "have transformers save the model again",
          format->second.file->path(), layer);
    }
  }
  matrix.scales =
      read_tensor(companions_.at(layer + ".SCB")).narrow(0, region.first_row, region.rows);
  return matrix;
}

torch::ScalarType stored_type(const HfPlace& from) {
  switch (from.tensor->type) {
    case ElementType::kUInt8:
      return torch::kUInt8;
    case ElementType::kInt8:
      return torch::kInt8;
    default:
      return weight_type(from.tensor->type, from.tensor->name, from.file->path());
  }
}

Tensor read_tensor(const HfPlace& from) {
  const auto values = torch::empty(from.tensor->shape, stored_type(from));
  from.file->read(*from.tensor, {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
  return values;
}

Tensor read_region(const HfPlace& from, const Region& region) {
  constexpr int64_t kBandBytes = int64_t{64} << 20;
  const Region whole = whole_region(from.tensor->shape);
  if (region == whole) return read_tensor(from);
  const SafetensorsFile* file = from.file->safetensors();
  if (file == nullptr) return cut(read_tensor(from), whole, region).clone();
  const auto values = empty_region(from, region);
  const int64_t row_bytes = whole.columns * static_cast<int64_t>(values.element_size());
  const int64_t begin = file->tensors()[from.tensor->number].begin;
  const int64_t step = kBandBytes / row_bytes + 1, end = region.first_row + region.rows;
  for (int64_t row = region.first_row; row < end; row += step) {
    const Region band{row, std::min(step, end - row), 0, whole.columns};
    const auto numbers = empty_region(from, band);
    file->read_bytes(begin + row * row_bytes,
                     {static_cast<std::byte*>(numbers.data_ptr()), numbers.nbytes()});
    const Region wanted = band.within(region);
    cut(values, region, wanted).copy_(cut(numbers, band, wanted));
  }
  return values;
}

}  // namespace bovila
