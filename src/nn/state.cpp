#include "gigacat/nn/state.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gigacat/core/error.h"

namespace gigacat::nn {
namespace {

constexpr std::pair<io::Dtype, at::ScalarType> kTypes[] = {{io::Dtype::boolean, at::kBool},
                                                           {io::Dtype::u8, at::kByte},
                                                           {io::Dtype::i8, at::kChar},
                                                           {io::Dtype::u16, at::kUInt16},
                                                           {io::Dtype::i16, at::kShort},
                                                           {io::Dtype::u32, at::kUInt32},
                                                           {io::Dtype::i32, at::kInt},
                                                           {io::Dtype::u64, at::kUInt64},
                                                           {io::Dtype::i64, at::kLong},
                                                           {io::Dtype::f8_e4m3, at::kFloat8_e4m3fn},
                                                           {io::Dtype::f8_e5m2, at::kFloat8_e5m2},
                                                           {io::Dtype::f16, at::kHalf},
                                                           {io::Dtype::bf16, at::kBFloat16},
                                                           {io::Dtype::f32, at::kFloat},
                                                           {io::Dtype::f64, at::kDouble}};

// A line of at most eight names: a wrong file lacks hundreds.
std::string some(const std::vector<std::string>& names) {
  constexpr size_t most = 8;
  std::vector<std::string> shown(names.begin(), names.begin() + std::min(names.size(), most));
  if (names.size() > most) shown.push_back(cat("and ", names.size() - most, " more"));
  return join(shown);
}

std::string shape_text(at::IntArrayRef shape) { return cat("[", join(shape), "]"); }

// What keeps `state` from being loaded into `own`, or "".
std::string mismatch(const TensorMap& own, const TensorMap& state) {
  std::vector<std::string> missing, unknown, misshapen;
  for (const auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != tensor.sizes()) {
      misshapen.push_back(cat(name, " ", shape_text(found->second.sizes()), " for ", shape_text(tensor.sizes())));
    }
  }
  for (const auto& [name, tensor] : state)
    if (!own.contains(name)) unknown.push_back(name);
  std::vector<std::string> parts;
  if (!missing.empty()) parts.push_back(cat("missing: ", some(missing)));
  if (!unknown.empty()) parts.push_back(cat("not known: ", some(unknown)));
  if (!misshapen.empty()) parts.push_back(cat("of another shape: ", some(misshapen)));
  return join(parts, "; ");
}

}  // namespace

TensorMap state_of(const torch::nn::Module& module) {
  TensorMap state;
  for (const auto& item : module.named_parameters()) state[item.key()] = item.value().detach();
  for (const auto& item : module.named_buffers())
    if (item.value().is_floating_point()) state[item.key()] = item.value().detach();
  return state;
}

void load_state(torch::nn::Module& module, const TensorMap& state, const std::string& what) {
  TensorMap own = state_of(module);
  const std::string fault = mismatch(own, state);
  if (!fault.empty()) fail(what, " does not fit the network: ", fault);
  at::NoGradGuard no_grad;
  for (auto& [name, tensor] : own) tensor.copy_(state.at(name));
}

void assign_state(torch::nn::Module& module, const TensorMap& state, const std::string& what, at::Device device,
                  at::ScalarType type) {
  const std::string fault = mismatch(state_of(module), state);
  if (!fault.empty()) fail(what, " does not fit the network: ", fault);
  const auto assign = [&](const std::string& name, at::Tensor own) {
    if (own.is_floating_point()) own.set_data(state.at(name).to(device, type));
  };
  for (const auto& item : module.named_parameters()) assign(item.key(), item.value());
  for (const auto& item : module.named_buffers()) assign(item.key(), item.value());
}

TensorMap read_tensors(const std::filesystem::path& path) {
  const io::SafetensorsFile file(path);
  TensorMap tensors;
  for (const auto& [name, view] : file.tensors()) tensors[name] = to_tensor(file, view);
  return tensors;
}

at::Tensor to_tensor(const io::SafetensorsFile& file, const io::TensorView& view) {
  const at::ScalarType type = scalar_type(view.dtype);
  if (view.bytes.empty()) return at::empty(view.shape, type);
  void* data = const_cast<std::byte*>(view.bytes.data());
  const auto mapping = file.mapping();
  at::Tensor mapped = at::from_blob(
      data, view.shape, [mapping](void*) {}, type);
  const bool aligned = reinterpret_cast<uintptr_t>(data) % io::dtype_size(view.dtype) == 0;
  return aligned ? mapped : mapped.clone();
}

uint32_t write_tensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) {
  TensorMap contiguous;
  std::map<std::string, io::TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    GIGACAT_CHECK(tensor.device().is_cpu(), name, " is on ", tensor.device());
    const at::Tensor& plain = contiguous[name] = tensor.contiguous();
    const auto* bytes = static_cast<const std::byte*>(plain.const_data_ptr());
    views[name] = {file_dtype(plain.scalar_type()), plain.sizes().vec(), {bytes, plain.nbytes()}};
  }
  return io::write_safetensors(path, views, metadata);
}

at::ScalarType scalar_type(io::Dtype dtype) {
  for (const auto& [file, torch] : kTypes)
    if (file == dtype) return torch;
  fail<InternalError>("safetensors dtype ", io::dtype_name(dtype), " has no tensor type");
}

io::Dtype file_dtype(at::ScalarType type) {
  for (const auto& [file, torch] : kTypes)
    if (torch == type) return file;
  fail<InternalError>("tensors of type ", type, " cannot be stored in safetensors");
}

int64_t count_elements(const std::vector<at::Tensor>& tensors) {
  int64_t elements = 0;
  for (const at::Tensor& tensor : tensors) elements += tensor.numel();
  return elements;
}

}  // namespace gigacat::nn
