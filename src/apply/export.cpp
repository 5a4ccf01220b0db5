#include "gigacat/apply/export.h"

#include <ATen/ATen.h>

#include "apply/official_gat.h"
#include "gigacat/apply/sample.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::apply {
namespace {

at::ScalarType type_of(const std::string& name) {
  if (name == "float32") return at::kFloat;
  if (name == "float16") return at::kHalf;
  if (name == "bfloat16") return at::kBFloat16;
  fail<UsageError>("--dtype must be float32, float16 or bfloat16, not '", name, "'");
}

void make_parent(const fs::path& file) {
  if (!file.parent_path().empty()) fs::create_directories(file.parent_path());
}

ExportReport to_safetensors(const ExportRequest& request, const WeightSource& source) {
  const at::ScalarType type = type_of(request.dtype);
  const fs::path file = request.out.extension() == ".safetensors" ? request.out : request.out / "generator.safetensors";
  make_parent(file);
  nn::TensorMap tensors = nn::read_tensors(source.weights);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(type);
  nn::write_tensors(file, tensors, {{"format", "pt"}});
  write_atomically(fs::absolute(file).parent_path() / "config.yaml", read_file(source.config));
  return {file, source.origin.string()};
}

ExportReport to_official(const ExportRequest& request, const WeightSource& source) {
  if (!fs::is_directory(source.origin))
    fail<UsageError>(
        "a file for the official code holds both networks and optimisers: give a run or a checkpoint folder");
  make_parent(request.out);
  write_official_gat(train::read_checkpoint(source.origin, {}, /*verified=*/true), request.out);
  return {request.out, source.origin.string()};
}

}  // namespace

ExportReport export_run(const ExportRequest& request) {
  const WeightSource source = find_weights(request.from, request.weights);
  if (request.to == "safetensors") return to_safetensors(request, source);
  if (request.to == "official") return to_official(request, source);
  fail<UsageError>("--to must be safetensors or official, not '", request.to, "'");
}

}  // namespace gigacat::apply
