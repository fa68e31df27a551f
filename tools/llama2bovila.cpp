// llama2bovila FOLDER TARGET: a LLaMA in any form that bovila reads into bovila's own file, which
// ranks map instead of reading it. The tokenizer goes with it.
// Fed by the downloaded weights; feeds weights/llama_weights.h through TARGET/bovila.safetensors.
#include <chrono>
#include <filesystem>
#include <iostream>

#include "bovila/core/build_info.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/output_place.h"
#include "bovila/text/tokenizer.h"
#include "bovila/train/experiment.h"
#include "bovila/weights/llama_file.h"
#include "src/main/values.h"

namespace {

using namespace bovila;
namespace fs = std::filesystem;

struct CommandLine {
  std::string folder, target, tokenizer;
  Precision precision = Precision::kBf16;
  bool force = false;
};

/// The tokenizer's file, and the one beside it that may hold its begin and end tokens.
void copy_tokenizer(const fs::path& file, const fs::path& to) {
  const fs::path config = file.parent_path() / "tokenizer_config.json";
  const char* name = file.extension() == ".json" ? "tokenizer.json" : "tokenizer.model";
  fs::copy_file(file, to / name);
  if (file.extension() == ".json" && fs::exists(config)) {
    fs::copy_file(config, to / config.filename());
  }
}

/// What convert() leaves in a folder, its tokenizer included.
const Product kProduct{"weights made by llama2bovila", kLlamaFileName, [](const fs::path& file) {
                         const auto name = file.filename();
                         return name == kLlamaFileName || name == "tokenizer.json" ||
                                name == "tokenizer.model" || name == "tokenizer_config.json";
                       }};

void convert(const CommandLine& line) {
  ModelConfig config;
  config.llama = line.folder;
  config.tokenizer = line.tokenizer;
  const std::string tokenizer = find_tokenizer(config);
  const auto place = output_place(line.target, kProduct, line.force, {line.folder, tokenizer});
  const auto params =
      read_llama_params(line.folder, load_tokenizer(tokenizer)->prompt_vocab_size());
  const auto start = std::chrono::steady_clock::now();
  remove_leftovers(place.path);
  TempFolder folder(place.path);
  write_llama_file(line.folder, params, scalar_type(line.precision),
                   folder.path() / kLlamaFileName);
  copy_tokenizer(tokenizer, folder.path());
  const auto bytes = fs::file_size(folder.path() / kLlamaFileName);
  folder.commit(/*replace=*/line.force);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::cerr << fmt::format("{}: {}, {:.2f} GB in {:.0f} s\n", place.shown, kLlamaFileName,
                           static_cast<double>(bytes) / 1e9, taken.count());
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): CLI11's, by a wrong option
  CLI::App app("Converts LLaMA's weights to the file that bovila maps");
  app.set_version_flag("--version", program_text());
  CommandLine line;
  const std::map<std::string, Precision> precisions = {
      {"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}, {"fp16", Precision::kFp16}};
  add_path(app, "FOLDER", line.folder, "weights: Meta's or Hugging Face's folder")->required();
  add_path(app, "TARGET", line.target, "folder to make, for model.llama")->required();
  std::string precision = "bf16";
  app.add_option("--precision", precision, "the deck's model.precision (default: bf16)")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
  add_path(app, "--tokenizer", line.tokenizer,
           "its tokenizer, where it is not in FOLDER or beside it");
  app.add_flag("--force", line.force, "replace weights that this program made in TARGET");
  try {
    parse_values(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError);
  }
  try {
    line.precision = precisions.at(precision);
    convert(line);
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    std::cerr << "llama2bovila: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    std::cerr << "llama2bovila: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kFailure);
  }
}
