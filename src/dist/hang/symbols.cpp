// The dynamic linker knows what libraries show; of the program itself it knows next to nothing, so
// that the program's own table is read.
#include "src/dist/hang/symbols.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "bovila/core/system.h"

namespace bovila {
namespace {

struct Function {
  uint64_t begin = 0, size = 0;
  std::string name;
};

/// Whether `count` objects of T lie at `offset` in the file's bytes.
template <typename T>
bool holds(const std::string& file, uint64_t offset, uint64_t count = 1) {
  return offset <= file.size() && count <= (file.size() - offset) / sizeof(T);
}

template <typename T>
T read_at(const std::string& file, uint64_t offset) {
  T object;
  std::memcpy(&object, file.data() + offset, sizeof(T));
  return object;
}

/// The functions of a symbol table of an ELF file; none where it is not as it should be.
void add_functions(const std::string& file, const Elf64_Shdr& table, const Elf64_Shdr& names,
                   std::vector<Function>& functions) {
  const uint64_t count = table.sh_size / sizeof(Elf64_Sym);
  if (!holds<Elf64_Sym>(file, table.sh_offset, count)) return;
  if (!holds<char>(file, names.sh_offset, names.sh_size)) return;
  const std::string_view texts(file.data() + names.sh_offset, names.sh_size);
  for (uint64_t i = 0; i < count; ++i) {
    const auto symbol = read_at<Elf64_Sym>(file, table.sh_offset + i * sizeof(Elf64_Sym));
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_size == 0) continue;
    if (symbol.st_name >= texts.size()) continue;
    const auto name = texts.substr(symbol.st_name);
    functions.push_back(
        {symbol.st_value, symbol.st_size, std::string(name.substr(0, name.find('\0')))});
  }
}

std::vector<Function> read_functions(const std::string& path) {
  const std::string file = file_bytes(path);
  std::vector<Function> functions;
  if (!holds<Elf64_Ehdr>(file, 0) || std::memcmp(file.data(), ELFMAG, SELFMAG) != 0) return {};
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!holds<Elf64_Shdr>(file, header.e_shoff, header.e_shnum)) return {};
  const auto section = [&](uint64_t i) {
    return read_at<Elf64_Shdr>(file, header.e_shoff + i * sizeof(Elf64_Shdr));
  };
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    const auto table = section(i);
    if (table.sh_type != SHT_SYMTAB || table.sh_link >= header.e_shnum) continue;
    add_functions(file, table, section(table.sh_link), functions);
  }
  std::ranges::sort(functions, {}, &Function::begin);
  return functions;
}

/// The program's own function at this place of its file, or null.
const Function* own_function(uint64_t offset) {
  static const std::vector<Function> functions = read_functions("/proc/self/exe");
  const auto after = std::ranges::upper_bound(functions, offset, {}, &Function::begin);
  if (after == functions.begin()) return nullptr;
  const Function& before = *std::prev(after);
  return offset - before.begin < before.size ? &before : nullptr;
}

std::string readable(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return text != nullptr ? text.get() : name;
}

}  // namespace

std::string symbol_text(void* address) {
  const auto place = reinterpret_cast<uint64_t>(address);
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) {
    return fmt::format("{:#x}", place);
  }
  const auto file = std::filesystem::path(info.dli_fname).filename().string();
  const uint64_t offset = place - reinterpret_cast<uint64_t>(info.dli_fbase);
  if (info.dli_sname != nullptr) {
    return fmt::format("{} + {:#x} ({})", readable(info.dli_sname),
                       place - reinterpret_cast<uint64_t>(info.dli_saddr), file);
  }
  std::error_code error;
  const bool is_own = std::filesystem::equivalent(info.dli_fname, "/proc/self/exe", error);
  if (const Function* function = is_own ? own_function(offset) : nullptr) {
    return fmt::format("{} + {:#x} ({})", readable(function->name.c_str()),
                       offset - function->begin, file);
  }
  return fmt::format("{:#x} ({})", offset, file);
}

}  // namespace bovila
