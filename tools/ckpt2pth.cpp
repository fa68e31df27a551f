// ckpt2pth: a checkpoint's trained parameters as a .pth of the published code's form, for PyTorch
// and for the published code. Fed by a checkpoint folder or an output folder; bovila itself reads
// the file with --resume FILE.pth --eval.
#include <filesystem>
#include <iostream>

#include "bovila/checkpoint/checkpoint.h"
#include "bovila/checkpoint/published.h"
#include "bovila/core/build_info.h"
#include "bovila/core/durable_file.h"
#include "bovila/core/error.h"
#include "bovila/core/output_place.h"
#include "bovila/files/pth.h"
#include "src/main/values.h"

using namespace bovila;

namespace {

/// Whether a file has the form of to_published(), which no published checkpoint has.
bool is_ours(const std::filesystem::path& path) {
  try {
    const PthFile file(path);
    const PickleValue root = file.root();
    return root.kind() == PickleKind::kDict && root.find("model") && root.find("step") &&
           root.find("deck");
  } catch (const UserError&) {
    return false;
  }
}

void convert(const std::string& folder, const std::string& path, bool force) {
  if (std::filesystem::is_directory(path)) {
    throw UserError("{} is a folder; give the name of the .pth file to make", path);
  }
  const Product product{"a .pth made by ckpt2pth", nullptr, is_ours};
  const OutputPlace place = output_place(path, product, force, {folder});
  const Checkpoint checkpoint =
      resolve_checkpoint(folder, [](const auto&, const std::string& reason) {
        std::cerr << "ckpt2pth: a checkpoint is passed over: " << reason << "\n";
      });
  write_file_durably(place.path, to_published(checkpoint.state));
  std::cerr << "step " << checkpoint.state.step << " of " << checkpoint.folder.string() << " in "
            << place.shown << "\n";
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): CLI11's, by a wrong option
  CLI::App app("Writes a checkpoint's trained parameters as a .pth of the published code's form");
  app.set_version_flag("--version", program_text());
  std::string folder, path;
  bool force = false;
  add_path(app, "CHECKPOINT", folder, "a step-... folder, or a run's output folder: its newest")
      ->required();
  add_path(app, "FILE", path, "the .pth to make")->required();
  app.add_flag("--force", force, "replace a file that this program made");
  try {
    parse_values(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kSuccess : ExitCode::kUserError);
  }
  try {
    convert(folder, path, force);
    return static_cast<int>(ExitCode::kSuccess);
  } catch (const UserError& error) {
    std::cerr << "ckpt2pth: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kUserError);
  } catch (const std::exception& error) {
    std::cerr << "ckpt2pth: " << error.what() << "\n";
    return static_cast<int>(ExitCode::kFailure);
  }
}
