// Shard indexes on disk, one file for each shard, named by the hash of its path: magic, the shard's size and time, the
// index, CRC-32C.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>

#include "data/webdataset/index.h"
#include "gigacat/core/cache.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

constexpr std::string_view kMagic = "GIGACAT shards 2";
constexpr uint64_t kMostCacheBytes = 16ull << 30;

std::span<const std::byte> as_span(std::string_view bytes) { return std::as_bytes(std::span<const char>(bytes)); }

// A shard as it was when its index was made.
struct Stamp {
  uint64_t size = 0;
  int64_t seconds = 0, nanoseconds = 0;
  bool operator==(const Stamp&) const = default;
};

std::optional<Stamp> stamp_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  return Stamp{static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

class Writer {
 public:
  template <class T>
  void value(const T& item) {
    out_.append(reinterpret_cast<const char*>(&item), sizeof(T));
  }
  void text(std::string_view text) {
    value<uint64_t>(text.size());
    out_ += text;
  }
  template <class T>
  void list(const std::vector<T>& items) {
    value<uint64_t>(items.size());
    out_.append(reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T));
  }
  std::string finish() {
    value(crc32c(as_span(out_)));
    return std::move(out_);
  }

 private:
  std::string out_{kMagic};
};

// Every read says whether the bytes were there.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  template <class T>
  bool value(T& item) {
    if (left_.size() < sizeof(T)) return false;
    std::memcpy(&item, left_.data(), sizeof(T));
    left_.remove_prefix(sizeof(T));
    return true;
  }
  bool text(std::string& out) {
    uint64_t size = 0;
    if (!value(size) || size > left_.size()) return false;
    out.assign(left_.substr(0, size));
    left_.remove_prefix(size);
    return true;
  }
  template <class T>
  bool list(std::vector<T>& out) {
    uint64_t size = 0;
    if (!value(size) || size > left_.size() / sizeof(T)) return false;
    out.resize(size);
    if (size > 0) std::memcpy(out.data(), left_.data(), size * sizeof(T));
    left_.remove_prefix(size * sizeof(T));
    return true;
  }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

void write_keys(const NameList& keys, Writer& out) {
  std::vector<uint32_t> lengths;
  std::string characters;
  for (size_t i = 0; i < keys.size(); ++i) {
    lengths.push_back(static_cast<uint32_t>(keys[i].size()));
    characters += keys[i];
  }
  out.list(lengths);
  out.text(characters);
}

bool read_keys(Reader& in, NameList& keys) {
  std::vector<uint32_t> lengths;
  std::string characters;
  if (!in.list(lengths) || !in.text(characters)) return false;
  uint64_t at = 0;
  for (const uint32_t length : lengths) {
    if (at + length > characters.size()) return false;
    keys.add(std::string_view(characters).substr(at, length));
    at += length;
  }
  return at == characters.size();
}

void write_left_out(const std::vector<LeftOut>& items, Writer& out) {
  out.value<uint64_t>(items.size());
  for (const LeftOut& item : items) {
    out.text(item.reason);
    out.text(item.example);
    out.value(item.count);
  }
}

bool read_left_out(Reader& in, std::vector<LeftOut>& items) {
  uint64_t size = 0;
  bool good = in.value(size);
  for (uint64_t i = 0; good && i < size; ++i) {
    LeftOut item;
    good = in.text(item.reason) && in.text(item.example) && in.value(item.count);
    if (good) items.push_back(std::move(item));
  }
  return good;
}

std::string serialise(const ShardIndex& index, const Stamp& stamp, const std::string& path) {
  Writer out;
  out.value(stamp);
  out.text(path);
  write_left_out(index.left_out, out);
  out.value(index.dotted);
  out.text(index.fault);
  write_keys(index.keys, out);
  out.list(index.labels);
  for (const auto& parts : index.parts) out.list(parts);
  return out.finish();
}

bool parts_fit(const ShardIndex& index, const Stamp& stamp) {
  for (const auto& parts : index.parts) {
    if (parts.size() != index.keys.size()) return false;
    for (const Part& part : parts) {
      if (part.offset() + part.size > stamp.size) return false;
    }
  }
  return index.labels.size() == index.keys.size();
}

std::optional<ShardIndex> parse(std::string_view bytes, const Stamp& stamp, const std::string& path) {
  if (bytes.size() < kMagic.size() + sizeof(uint32_t) || !bytes.starts_with(kMagic)) return std::nullopt;
  uint32_t crc = 0;
  std::memcpy(&crc, bytes.data() + bytes.size() - sizeof(crc), sizeof(crc));
  bytes.remove_suffix(sizeof(crc));
  if (crc32c(as_span(bytes)) != crc) return std::nullopt;
  Reader in(bytes.substr(kMagic.size()));
  Stamp stored;
  std::string stored_path;
  ShardIndex index;
  if (!in.value(stored) || stored != stamp || !in.text(stored_path) || stored_path != path) return std::nullopt;
  bool good = read_left_out(in, index.left_out) && in.value(index.dotted) && in.text(index.fault) &&
              read_keys(in, index.keys) && in.list(index.labels);
  for (auto& parts : index.parts) good = good && in.list(parts);
  if (!good || !in.at_end() || !parts_fit(index, stamp)) return std::nullopt;
  return index;
}

std::optional<ShardIndex> read_cached(const fs::path& file, const Stamp& stamp, const std::string& path) {
  if (!io::is_file(file)) return std::nullopt;
  try {
    return parse(read_file(file, kMostCacheBytes), stamp, path);
  } catch (const Error& fault) {
    log::debug("data: the cached index ", file.string(), " is passed over: ", fault.what());
    return std::nullopt;
  }
}

// Not synced to disk: a sync for each of ten thousand shards takes minutes, and a torn file does not pass its CRC.
void write_cached(const fs::path& file, const std::string& bytes) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  static std::atomic<int> count{0};
  const fs::path draft = cat(file.string(), ".", ::getpid(), ".", count++);
  try {
    FileWriter out(draft);
    out.write(bytes);
    out.flush();
    fs::rename(draft, file);
  } catch (const std::exception& fault) {
    log::debug("data: no index is cached: ", fault.what());
    fs::remove(draft, error);
  }
}

}  // namespace

fs::path index_folder(const std::string& setting) {
  if (setting == "none") return {};
  return setting.empty() ? cache_folder() : fs::path(setting);
}

ShardIndex load_shard_index(const fs::path& shard, const fs::path& cache, bool* was_cached) {
  if (was_cached != nullptr) *was_cached = false;
  const std::optional<Stamp> stamp = stamp_of(shard);
  if (cache.empty() || !stamp) return build_shard_index(shard);
  const std::string path = fs::absolute(shard).lexically_normal().string();
  const fs::path file = cache / "shards" / (sha256(as_span(path)).substr(0, 32) + ".index");
  if (std::optional<ShardIndex> index = read_cached(file, *stamp, path)) {
    if (was_cached != nullptr) *was_cached = true;
    return *std::move(index);
  }
  ShardIndex index = build_shard_index(shard);
  write_cached(file, serialise(index, *stamp, path));
  return index;
}

}  // namespace gigacat::data
