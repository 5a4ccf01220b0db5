#include "gigacat/export/export.h"

#include <ATen/ATen.h>

#include "export/huggingface.h"
#include "export/official_gat.h"
#include "export/torchscript.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/run/class_names.h"

namespace gigacat::exports {
namespace {

at::ScalarType type_of(const std::string& name) {
  if (name == "fp32" || name == "float32") return at::kFloat;
  if (name == "fp16" || name == "float16") return at::kHalf;
  if (name == "bf16" || name == "bfloat16") return at::kBFloat16;
  fail<UsageError>("--dtype must be fp32, fp16 or bf16, not '", name, "'");
}

void make_parent(const fs::path& file) {
  if (!file.parent_path().empty()) fs::create_directories(file.parent_path());
}

ExportReport to_safetensors(const ExportRequest& request, const run::WeightSource& source) {
  const at::ScalarType type = type_of(request.dtype);
  const fs::path file = request.out.extension() == ".safetensors" ? request.out : request.out / "generator.safetensors";
  make_parent(file);
  nn::TensorMap tensors = nn::read_tensors(source.weights);
  for (auto& [name, tensor] : tensors) tensor = tensor.to(type);
  nn::write_tensors(file, tensors, {{"format", "pt"}});
  const fs::path folder = fs::absolute(file).parent_path();
  write_atomically(folder / "config.yaml", read_file(source.config));
  run::write_class_names(folder, source.class_names);
  return {file, source.origin.string()};
}

ExportReport to_torchscript(const ExportRequest& request, const run::WeightSource& source) {
  const Exported exported = load_exported(source, type_of(request.dtype));
  make_parent(request.out);
  write_torchscript(exported, request.out);
  return {request.out, source.origin.string()};
}

ExportReport to_huggingface(const ExportRequest& request, const run::WeightSource& source) {
  if (fs::is_regular_file(request.out)) fail<UsageError>(request.out.string(), " is a file: give a folder");
  write_huggingface(load_exported(source, type_of(request.dtype)), source, request.license, request.out);
  return {request.out, source.origin.string()};
}

ExportReport to_official(const ExportRequest& request, const run::WeightSource& source) {
  if (!fs::is_directory(source.origin))
    fail<UsageError>(
        "a file for the official code holds both networks and optimisers: give a run or a checkpoint folder");
  if (type_of(request.dtype) != at::kFloat)
    fail<UsageError>("--dtype ", request.dtype, ": the official code goes on with float32 alone");
  make_parent(request.out);
  write_official_gat(run::read_checkpoint(source.origin, {}, /*verified=*/true), request.out);
  return {request.out, source.origin.string()};
}

}  // namespace

ExportReport export_run(const ExportRequest& request) {
  const run::WeightSource source = run::find_weights(request.from, request.weights);
  if (request.to == "safetensors") return to_safetensors(request, source);
  if (request.to == "torchscript") return to_torchscript(request, source);
  if (request.to == "huggingface") return to_huggingface(request, source);
  if (request.to == "official") return to_official(request, source);
  fail<UsageError>("--to must be safetensors, torchscript, huggingface or official, not '", request.to, "'");
}

}  // namespace gigacat::exports
