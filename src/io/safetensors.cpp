#include "gigacat/io/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "bytes.h"
#include "gigacat/core/error.h"
#include "gigacat/io/content_kind.h"
#include "safetensors_header.h"

namespace gigacat::io {

namespace {

constexpr uint64_t kMostHeaderBytes = 100'000'000;
constexpr size_t kAlignment = 8;

struct DtypeFact {
  std::string_view name;
  size_t size;
};

// In the order of Dtype.
constexpr std::array<DtypeFact, 15> kDtypes{{{"BOOL", 1},
                                             {"U8", 1},
                                             {"I8", 1},
                                             {"U16", 2},
                                             {"I16", 2},
                                             {"U32", 4},
                                             {"I32", 4},
                                             {"U64", 8},
                                             {"I64", 8},
                                             {"F8_E4M3", 1},
                                             {"F8_E5M2", 1},
                                             {"F16", 2},
                                             {"BF16", 2},
                                             {"F32", 4},
                                             {"F64", 8}}};
static_assert(kDtypes.size() == static_cast<size_t>(Dtype::f64) + 1);

Bytes header_bytes(Bytes file) {
  if (file.size() < 8) fail("shorter than the 8 bytes of the header length");
  const auto length = load_le<uint64_t>(file, 0);
  if (length == 0) fail("header length 0");
  if (length > kMostHeaderBytes) fail("header length ", length, " is over ", kMostHeaderBytes);
  if (length > file.size() - 8) fail("header length ", length, " goes beyond the file's ", file.size(), " bytes");
  return file.subspan(8, length);
}

void check_size(const std::string& name, const HeaderEntry& entry) {
  std::optional<int64_t> bytes = static_cast<int64_t>(dtype_size(entry.dtype));
  for (int64_t dimension : entry.shape) {
    if (bytes) bytes = checked_mul(*bytes, dimension);
  }
  if (!bytes) fail("tensor '", shown(name), "' has a shape whose size overflows");
  if (static_cast<uint64_t>(*bytes) != entry.end - entry.begin) {
    fail("tensor '", shown(name), "' needs ", *bytes, " bytes by shape and dtype but has ", entry.end - entry.begin);
  }
}

// The byte ranges, sorted, must cover the data exactly.
void check_ranges(const std::map<std::string, HeaderEntry>& entries, uint64_t data_size) {
  std::vector<std::pair<const std::string, HeaderEntry> const*> sorted;
  for (const auto& item : entries) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t reached = 0;
  for (const auto* item : sorted) {
    const std::string name = shown(item->first);
    const auto [begin, end] = std::pair(item->second.begin, item->second.end);
    if (end < begin) fail("tensor '", name, "' ends at ", end, " before it begins at ", begin);
    if (begin < reached) fail("tensor '", name, "' overlaps another at byte ", begin);
    if (begin > reached) fail("bytes ", reached, " to ", begin, " belong to no tensor");
    if (end > data_size) fail("tensor '", name, "' ends at ", end, " of ", data_size, " data bytes: file cut short?");
    check_size(name, item->second);
    reached = end;
  }
  if (reached != data_size) fail(data_size - reached, " bytes follow the last tensor");
}

std::string header_text(const std::map<std::string, TensorView>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, view] : tensors) {
    GIGACAT_CHECK(name != "__metadata__", "tensor name");
    GIGACAT_CHECK(view.bytes.size() == static_cast<uint64_t>(view.elements()) * dtype_size(view.dtype), "tensor ", name,
                  " has ", view.bytes.size(), " bytes");
    const uint64_t end = offset + view.bytes.size();
    header[name] = {{"dtype", dtype_name(view.dtype)}, {"shape", view.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace

size_t dtype_size(Dtype dtype) { return kDtypes.at(static_cast<size_t>(dtype)).size; }

std::string_view dtype_name(Dtype dtype) { return kDtypes.at(static_cast<size_t>(dtype)).name; }

int64_t TensorView::elements() const {
  int64_t product = 1;
  for (int64_t dimension : shape) product *= dimension;
  return product;
}

void parse_safetensors(Bytes file, std::string_view name, std::map<std::string, TensorView>& tensors,
                       std::map<std::string, std::string>& metadata) try {
  const Bytes json = header_bytes(file);
  const Bytes data = file.subspan(8 + json.size());
  SafetensorsHeader header = parse_header(as_text(json));
  check_ranges(header.tensors, data.size());
  tensors.clear();
  for (auto& [key, entry] : header.tensors) {
    const Bytes bytes = data.subspan(entry.begin, entry.end - entry.begin);
    tensors.emplace(key, TensorView{entry.dtype, std::move(entry.shape), bytes});
  }
  metadata = std::move(header.metadata);
} catch (const Error& error) {
  const std::string kind = begins_as_safetensors(file) ? "" : content_kind(file);
  const bool is_torch = kind.starts_with("a file of torch.save") || kind == "a TorchScript program";
  fail(name, ": not a valid safetensors file: ",
       kind.empty() ? error.what() : cat("it is ", kind, is_torch ? ": gigacat import converts it" : ""));
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(std::make_shared<const MappedFile>(path)) {
  parse_safetensors(file_->bytes(), path.string(), tensors_, metadata_);
}

bool SafetensorsFile::contains(std::string_view name) const { return tensors_.contains(std::string(name)); }

const TensorView& SafetensorsFile::at(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  if (found != tensors_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& item : tensors_) names.push_back(item.first);
  const std::string near = nearest(name, names);
  fail(path().string(), " has no tensor '", name, "'", near.empty() ? "" : cat(", the nearest is '", near, "'"));
}

uint32_t write_safetensors(const fs::path& path, const std::map<std::string, TensorView>& tensors,
                           const std::map<std::string, std::string>& metadata) try {
  std::string head;
  const std::string header = header_text(tensors, metadata);
  if (header.size() > kMostHeaderBytes)
    fail(path.string(), ": a header of ", header.size(), " bytes is more than readers take");
  append_le<uint64_t>(head, header.size());
  head += header;
  uint32_t crc = crc32c(as_bytes(head));
  write_atomically(path, [&](FileWriter& out) {
    out.write(head);
    for (const auto& item : tensors) {
      const Bytes bytes = item.second.bytes;
      out.write(bytes.data(), bytes.size());
      crc = crc32c(bytes, crc);
    }
  });
  return crc;
} catch (const nlohmann::json::exception& error) {
  fail(path.string(), ": cannot write the header: ", error.what());
}

}  // namespace gigacat::io
