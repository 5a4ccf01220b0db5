#include <ATen/ATen.h>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/weights/torch_file.h"
#include "weights/torch_storage.h"

namespace gigacat::weights {
namespace {

constexpr std::pair<std::string_view, at::ScalarType> kStorages[] = {
    {"torch.FloatStorage", at::kFloat},       {"torch.DoubleStorage", at::kDouble}, {"torch.HalfStorage", at::kHalf},
    {"torch.BFloat16Storage", at::kBFloat16}, {"torch.LongStorage", at::kLong},     {"torch.IntStorage", at::kInt},
    {"torch.ShortStorage", at::kShort},       {"torch.CharStorage", at::kChar},     {"torch.ByteStorage", at::kByte},
    {"torch.BoolStorage", at::kBool}};

}  // namespace

std::optional<at::ScalarType> storage_type(std::string_view name) {
  for (const auto& [known, type] : kStorages)
    if (known == name) return type;
  return std::nullopt;
}

std::string_view storage_name(at::ScalarType type) {
  for (const auto& [name, known] : kStorages)
    if (known == type) return name;
  fail<InternalError>("torch has no storage class for ", type);
}

io::PickleValue* TorchWriter::tensor(const at::Tensor& tensor) {
  GIGACAT_CHECK(tensor.device().is_cpu(), "a tensor on ", tensor.device());
  const at::Tensor& stored = storages_.emplace_back(tensor.detach().contiguous());
  const auto numbers = [this](at::IntArrayRef values) {
    std::vector<io::PickleValue*> items;
    for (const int64_t value : values) items.push_back(arena_.integer(value));
    return arena_.list(std::move(items), true);
  };
  io::PickleValue* storage = arena_.persistent(
      {arena_.text("storage"), arena_.global(std::string(storage_name(stored.scalar_type()))),
       arena_.text(std::to_string(storages_.size() - 1)), arena_.text("cpu"), arena_.integer(stored.numel())});
  io::PickleValue* hooks = arena_.call("collections.OrderedDict", {});
  return arena_.call("torch._utils._rebuild_tensor_v2", {storage, arena_.integer(0), numbers(stored.sizes()),
                                                         numbers(stored.strides()), arena_.boolean(false), hooks});
}

io::PickleValue* TorchWriter::tensors(const nn::TensorMap& tensors, const std::vector<std::string>& names) {
  io::PickleValue* dict = arena_.dict();
  for (const std::string& name : names) dict->entries.emplace_back(arena_.text(name), tensor(tensors.at(name)));
  return dict;
}

void TorchWriter::write(const fs::path& path, const io::PickleValue& root) const {
  write_atomically(path, [&](FileWriter& out) {
    io::ZipWriter zip(out);
    zip.add("archive/data.pkl", io::write_pickle(root));
    zip.add("archive/byteorder", "little");
    for (size_t i = 0; i < storages_.size(); ++i) {
      zip.begin(cat("archive/data/", i), storages_[i].nbytes());
      zip.append(storages_[i].const_data_ptr(), storages_[i].nbytes());
      zip.end();
    }
    zip.add("archive/version", "3\n");
    zip.finish();
  });
}

}  // namespace gigacat::weights
