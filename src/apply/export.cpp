#include "gigacat/apply/export.h"

#include <ATen/ATen.h>

#include "apply/huggingface.h"
#include "apply/official_gat.h"
#include "apply/torchscript.h"
#include "gigacat/apply/sample.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::apply {
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

// The config of the weights and what other programs need of it.
struct Loaded {
  std::unique_ptr<train::RunConfig> config;
  Portable portable;
};

Loaded load(const ExportRequest& request, const WeightSource& source) {
  auto config = train::parse_config(read_file(source.config), source.config.string());
  Portable portable = make_portable(*config, nn::read_tensors(source.weights), type_of(request.dtype));
  return {std::move(config), std::move(portable)};
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

ExportReport to_torchscript(const ExportRequest& request, const WeightSource& source) {
  const Loaded loaded = load(request, source);
  make_parent(request.out);
  write_torchscript(loaded.portable, loaded.config->to_yaml(), request.out);
  return {request.out, source.origin.string()};
}

ExportReport to_huggingface(const ExportRequest& request, const WeightSource& source) {
  if (fs::is_regular_file(request.out)) fail<UsageError>(request.out.string(), " is a file: give a folder");
  const Loaded loaded = load(request, source);
  write_huggingface(loaded.portable, *loaded.config, source, request.license, request.out);
  return {request.out, source.origin.string()};
}

ExportReport to_official(const ExportRequest& request, const WeightSource& source) {
  if (!fs::is_directory(source.origin))
    fail<UsageError>(
        "a file for the official code holds both networks and optimisers: give a run or a checkpoint folder");
  if (type_of(request.dtype) != at::kFloat)
    fail<UsageError>("--dtype ", request.dtype, ": the official code goes on with float32 alone");
  make_parent(request.out);
  write_official_gat(train::read_checkpoint(source.origin, {}, /*verified=*/true), request.out);
  return {request.out, source.origin.string()};
}

}  // namespace

ExportReport export_run(const ExportRequest& request) {
  const WeightSource source = find_weights(request.from, request.weights);
  if (request.to == "safetensors") return to_safetensors(request, source);
  if (request.to == "torchscript") return to_torchscript(request, source);
  if (request.to == "huggingface") return to_huggingface(request, source);
  if (request.to == "official") return to_official(request, source);
  fail<UsageError>("--to must be safetensors, torchscript, huggingface or official, not '", request.to, "'");
}

}  // namespace gigacat::apply
