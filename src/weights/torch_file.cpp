#include "gigacat/weights/torch_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/content_kind.h"
#include "weights/torch_storage.h"

namespace gigacat::weights {
namespace {

using Value = io::PickleValue;
using Kind = Value::Kind;

constexpr int kDeepest = 64;
constexpr int64_t kMostVisits = 4'000'000;
constexpr uint64_t kMostPickle = 512 << 20;  // bytes of data.pkl
// 0x1950a86a20f9469cfc6c, the first pickle of the older form.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::string_view kLegacyStart = "\x80\x02\x8a\x0a";

const Value* item(const Value* list, size_t i) {
  return list && list->is(Kind::list) && i < list->items.size() ? list->items[i] : nullptr;
}

int64_t integer_at(const Value* list, size_t i, const std::string& what) {
  const Value* value = item(list, i);
  if (!value || !value->is(Kind::integer)) fail(what, ": a tensor's record is not as torch writes it");
  return value->integer;
}

std::vector<int64_t> integers_at(const Value* list, size_t i, const std::string& what) {
  const Value* value = item(list, i);
  if (!value || !value->is(Kind::list)) fail(what, ": a tensor's record is not as torch writes it");
  std::vector<int64_t> numbers;
  for (size_t k = 0; k < value->items.size(); ++k) numbers.push_back(integer_at(value, k, what));
  return numbers;
}

// Elements of storage that a tensor reaches, or nothing when its numbers make no sense.
std::optional<int64_t> reach(int64_t offset, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  if (offset < 0 || sizes.size() != strides.size()) return std::nullopt;
  int64_t last = offset;
  bool empty = false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t step;
    if (sizes[i] < 0 || strides[i] < 0) return std::nullopt;
    if (sizes[i] == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(sizes[i] - 1, strides[i], &step) || __builtin_add_overflow(last, step, &last))
      return std::nullopt;
  }
  return empty ? 0 : last + 1;
}

}  // namespace

class TorchFile::Impl {
 public:
  explicit Impl(const fs::path& path) : what_(path.string()) {
    const MappedFile file(path);
    const std::string_view start(reinterpret_cast<const char*>(file.bytes().data()),
                                 std::min<size_t>(4, file.bytes().size()));
    if (start.starts_with("PK"))
      read_zip(path);
    else if (start == kLegacyStart)
      read_legacy(path);
    else
      refuse(file.bytes());
  }

  std::optional<at::Tensor> tensor(const Value& value, int depth) const {
    if (!value.is(Kind::call) || depth > kDeepest) return std::nullopt;
    const std::string_view name = value.name();
    if (name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_tensor") return strided(value);
    if (name == "torch._utils._rebuild_parameter" || name == "torch._utils._rebuild_parameter_with_state") {
      const Value* data = item(value.args, 0);
      return data ? tensor(*data, depth + 1) : std::nullopt;
    }
    if (name == "torch._tensor._rebuild_from_type_v2") {  // a subclass: function, type, arguments, state
      const Value *callee = item(value.args, 0), *args = item(value.args, 2);
      if (!callee || !args) return std::nullopt;
      Value plain;
      plain.kind = Kind::call;
      plain.callee = const_cast<Value*>(callee);
      plain.args = const_cast<Value*>(args);
      return tensor(plain, depth + 1);
    }
    return std::nullopt;
  }

  void collect(const Value& value, const std::string& path, int depth, int64_t& visits, nn::TensorMap& found) const {
    if (depth > kDeepest || ++visits > kMostVisits)
      fail(what_, ": its values are nested too deep or repeated too often");
    if (const auto here = tensor(value, 0)) {
      if (!found.emplace(path, *here).second) fail(what_, ": two tensors are called ", path);
      return;
    }
    const auto join_path = [&path](const std::string& key) { return path.empty() ? key : path + "." + key; };
    for (const auto& [key, entry] : value.entries) {
      if (key->is(Kind::text)) {
        const bool of_module = key->text == "_parameters" || key->text == "_buffers" || key->text == "_modules";
        collect(*entry, of_module ? path : join_path(key->text), depth + 1, visits, found);
      } else if (key->is(Kind::integer)) {
        collect(*entry, join_path(std::to_string(key->integer)), depth + 1, visits, found);
      }
    }
    if (value.is(Kind::list))
      for (size_t i = 0; i < value.items.size(); ++i)
        collect(*value.items[i], join_path(std::to_string(i)), depth + 1, visits, found);
    // The state of a dictionary (OrderedDict's _metadata) holds no tensors of its own.
    if (value.is(Kind::call) && value.state) collect(*value.state, path, depth + 1, visits, found);
  }

  const Value* root_ = nullptr;

 private:
  [[noreturn]] void refuse(std::span<const std::byte> bytes) const {
    const std::string kind = io::content_kind(bytes);
    fail(what_, " is no file of torch.save: ",
         kind.empty() ? "it begins neither as a zip nor as a pickle" : cat("it is ", kind),
         kind == "a pickle of Python" ? "; if torch.load reads it, convert it with scripts/convert_weights.py" : "");
  }

  void read_zip(const fs::path& path) {
    zip_ = std::make_unique<io::ZipFile>(path);
    for (const auto& entry : zip_->entries())
      if (entry.name == "data.pkl" || entry.name.ends_with("/data.pkl"))
        folder_ = entry.name.substr(0, entry.name.size() - std::string("data.pkl").size());
    const int64_t pickle = zip_->find(folder_ + "data.pkl");
    if (pickle < 0) refuse(zip_->mapping()->bytes());
    const int64_t order = zip_->find(folder_ + "byteorder");
    if (order >= 0 && zip_->read(zip_->entries()[static_cast<size_t>(order)], 64) == "big")
      fail(what_, " was written on a big-endian machine");
    const std::string bytes = zip_->read(zip_->entries()[static_cast<size_t>(pickle)], kMostPickle);
    root_ = arena_.parse(std::as_bytes(std::span(bytes)), what_);
  }

  // Four pickles (magic number, protocol, system, value), a fifth with the keys of the storages, then each storage: its
  // number of elements (8 bytes) and its data.
  void read_legacy(const fs::path& path) {
    mapping_ = std::make_shared<MappedFile>(path);
    std::span<const std::byte> rest = mapping_->bytes();
    std::vector<const Value*> pickles;
    for (int i = 0; i < 5; ++i) {
      size_t used = 0;
      pickles.push_back(arena_.parse(rest, what_, &used));
      rest = rest.subspan(used);
      if (i == 0 && (!pickles[0]->is(Kind::big) || pickles[0]->text != kMagic))
        fail(what_, " is a pickle, but none of torch.save");
    }
    root_ = pickles[3];
    std::map<std::string, size_t> widths;  // bytes of an element, by storage
    for (const Value& value : arena_.values())
      if (value.is(Kind::persistent)) {
        const auto [type, key] = storage_of(value);
        widths[key] = c10::elementSize(type);
      }
    for (const Value* key : pickles[4]->items) {
      const auto width = widths.find(key->text);
      uint64_t elements = 0;
      if (rest.size() < sizeof elements || width == widths.end())
        fail(what_, " ends inside its storages, or is damaged");
      std::memcpy(&elements, rest.data(), sizeof elements);
      rest = rest.subspan(sizeof elements);
      if (elements > rest.size() / width->second)
        fail(what_, " is cut short: storage ", key->text, " goes beyond its end");
      storages_[key->text] = rest.first(elements * width->second);
      rest = rest.subspan(elements * width->second);
    }
  }

  // Type and key of a reference ("storage", type, key, location, elements).
  std::pair<at::ScalarType, std::string> storage_of(const Value& reference) const {
    const Value* args = reference.args;
    const Value *kind = item(args, 0), *type = item(args, 1), *key = item(args, 2);
    if (!kind || !type || !key || kind->text != "storage" || !key->is(Kind::text))
      fail(what_, ": a reference to something that is no storage");
    const auto scalar = storage_type(type->name());
    if (!scalar) fail(what_, ": storages of type '", type->name(), "' are not read");
    return {*scalar, key->text};
  }

  std::span<const std::byte> bytes_of(const std::string& key) const {
    if (const auto found = storages_.find(key); found != storages_.end()) return found->second;
    const int64_t index = zip_ ? zip_->find(cat(folder_, "data/", key)) : -1;
    if (index < 0) fail(what_, ": the storage ", key, " is missing");
    return storages_[key] = zip_->view(zip_->entries()[static_cast<size_t>(index)]);
  }

  at::Tensor strided(const Value& call) const {
    const Value* reference = item(call.args, 0);
    if (!reference || !reference->is(Kind::persistent)) fail(what_, ": a tensor without a storage");
    const auto [type, key] = storage_of(*reference);
    const auto bytes = bytes_of(key);
    const int64_t offset = integer_at(call.args, 1, what_);
    const auto sizes = integers_at(call.args, 2, what_), strides = integers_at(call.args, 3, what_);
    const auto needed = reach(offset, sizes, strides);
    const auto width = static_cast<int64_t>(c10::elementSize(type));
    if (!needed || *needed > std::ssize(bytes) / width)
      fail(what_, ": a tensor of shape [", join(sizes), "] reaches beyond storage ", key, " of ", bytes.size(),
           " bytes");
    if (*needed == 0) return at::empty(sizes, type);
    auto* data = const_cast<std::byte*>(bytes.data() + offset * width);
    const auto mapping = mapping_ ? std::shared_ptr<const MappedFile>(mapping_) : zip_->mapping();
    const at::Tensor mapped = at::from_blob(
        data, sizes, strides, [mapping](void*) {}, type);
    return reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(width) == 0 ? mapped
                                                                                  : copied(mapped, bytes, offset);
  }

  // A tensor over an aligned copy of its storage.
  static at::Tensor copied(const at::Tensor& view, std::span<const std::byte> bytes, int64_t offset) {
    const auto width = static_cast<int64_t>(view.element_size());
    const at::Tensor storage = at::empty({std::ssize(bytes) / width}, view.scalar_type());
    std::memcpy(storage.mutable_data_ptr(), bytes.data(), static_cast<size_t>(storage.nbytes()));
    return storage.as_strided(view.sizes(), view.strides(), offset);
  }

  std::string what_, folder_;
  io::PickleArena arena_;
  std::unique_ptr<io::ZipFile> zip_;
  std::shared_ptr<MappedFile> mapping_;
  mutable std::map<std::string, std::span<const std::byte>> storages_;
};

TorchFile::TorchFile(const fs::path& path) : impl_(std::make_unique<Impl>(path)) {}
TorchFile::~TorchFile() = default;

const io::PickleValue& TorchFile::root() const { return *impl_->root_; }

std::optional<at::Tensor> TorchFile::tensor(const io::PickleValue& value) const { return impl_->tensor(value, 0); }

nn::TensorMap TorchFile::tensors(const io::PickleValue& value) const {
  nn::TensorMap found;
  int64_t visits = 0;
  impl_->collect(value, "", 0, visits, found);
  return found;
}

bool is_torch_file(const fs::path& path) {
  const MappedFile file(path);
  const std::string_view start(reinterpret_cast<const char*>(file.bytes().data()),
                               std::min<size_t>(4, file.bytes().size()));
  return start.starts_with("PK") || start == kLegacyStart;
}

}  // namespace gigacat::weights
