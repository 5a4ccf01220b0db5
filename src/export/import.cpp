#include "gigacat/export/import.h"

#include <nlohmann/json.hpp>
#include <set>

#include "export/official_gat.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/content_kind.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/weights/identify.h"
#include "gigacat/weights/known_weights.h"

namespace gigacat::exports {
namespace {

fs::path output_file(const ImportRequest& request) {
  const std::string name = request.file.stem().string() + ".safetensors";
  if (request.out.empty()) return weights::weight_folder() / name;
  if (request.out.extension() == ".safetensors") return request.out;
  return request.out / name;
}

// Tensors of a file share storages and lie in any order: safetensors wants each its own.
nn::TensorMap plain(const nn::TensorMap& tensors) {
  nn::TensorMap all;
  for (const auto& [name, tensor] : tensors) all[name] = tensor.contiguous();
  return all;
}

ImportReport write_weights(const ImportRequest& request, weights::IdentifiedWeights found, ImportReport report) {
  report.kind = found.kind;
  report.what = found.what;
  report.out = output_file(request);
  report.tensors = std::ssize(found.tensors);
  if (fs::exists(report.out) && fs::equivalent(report.out, request.file))
    fail<UsageError>(report.out.string(), " is the file itself: give another name with --out");
  if (!report.out.parent_path().empty()) fs::create_directories(report.out.parent_path());
  nn::write_tensors(report.out, plain(found.tensors), {{"format", "pt"}, {"gigacat.kind", found.kind}});
  nlohmann::ordered_json info = {{"kind", found.kind},
                                 {"what", found.what},
                                 {"source", fs::absolute(request.file).string()},
                                 {"sha256", report.sha256},
                                 {"architecture", found.architecture},
                                 {"command", request.command}};
  write_atomically(fs::path(report.out).replace_extension(".json"), info.dump(2) + "\n");
  return report;
}

ImportReport write_run(const ImportRequest& request, const weights::TorchFile& file, ImportReport report) {
  run::Checkpoint checkpoint = read_official_gat(file, request.file.string(), request.overrides, report.dropped);
  report.kind = "gat-checkpoint";
  report.what = cat("a checkpoint of the official GAT code after ", checkpoint.step, " steps");
  for (const auto& [stem, tensors] : checkpoint.tensors) report.tensors += std::ssize(tensors);
  checkpoint.state["imported"] = {{"source", fs::absolute(request.file).string()}, {"sha256", report.sha256}};
  const auto folder = run::RunFolder::create(request.out.empty() ? fs::path("runs") : request.out, "imported-gat");
  write_atomically(folder.config(), checkpoint.config_yaml);
  folder.write_info(
      {{"command", request.command}, {"imported", checkpoint.state["imported"]}, {"dropped", report.dropped}});
  run::CheckpointWriter writer(folder.checkpoints(), 1, 0);
  writer.write(std::move(checkpoint));
  writer.wait();
  report.out = folder.path();
  return report;
}

}  // namespace

ImportReport import_file(const ImportRequest& request) {
  if (!fs::is_regular_file(request.file)) fail<UsageError>("no file at ", request.file.string());
  ImportReport report;
  report.sha256 = sha256_file(request.file);
  // By their bytes: endings of files in the wild are often another's.
  const bool is_safetensors =
      !weights::is_torch_file(request.file) &&
      (request.file.extension() == ".safetensors" || io::begins_as_safetensors(MappedFile(request.file).bytes()));
  nn::TensorMap tensors;
  if (is_safetensors) {
    tensors = nn::read_tensors(request.file);
  } else {
    const weights::TorchFile file(request.file);
    if (is_official_gat(file.root())) return write_run(request, file, report);
    tensors = file.tensors();
  }
  if (!request.overrides.empty())
    fail<UsageError>("overrides (", request.overrides.front(),
                     ") are for the checkpoint of a GAT run, which this is not");
  std::vector<std::string> some;
  for (const auto& [name, tensor] : tensors)
    if (some.size() < 4) some.push_back(name);
  auto found = weights::identify(std::move(tensors));
  if (!found)
    fail(request.file.string(), " is nothing known: it holds ", some.empty() ? "no tensors" : join(some),
         "...; known are ", weights::identified_kinds());
  return write_weights(request, std::move(*found), report);
}

}  // namespace gigacat::exports
