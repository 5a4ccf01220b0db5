#include "data/webdataset/table.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "data/left_out.h"
#include "data/sidecar.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/core/parallel.h"
#include "gigacat/core/progress.h"

namespace gigacat::data {

namespace {

constexpr size_t kMostOpenShards = 128;
constexpr int64_t kIndexThreads = 8;

bool is_below(const fs::path& folder, const fs::path& file) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first == folder.end();
}

// Deepest folder that holds all shards.
fs::path common_folder(const std::vector<std::string>& shards) {
  fs::path common = fs::absolute(shards.front()).lexically_normal().parent_path();
  for (const std::string& shard : shards) {
    const fs::path file = fs::absolute(shard).lexically_normal();
    while (!is_below(common, file)) common = common.parent_path();
  }
  return common;
}

std::string name_below(const fs::path& folder, const std::string& shard) {
  return fs::absolute(shard).lexically_normal().lexically_relative(folder).generic_string();
}

struct Loaded {
  ShardIndex index;
  bool cached = false;
  std::string fault;
};

Loaded load_one(const std::string& shard, const fs::path& cache) {
  Loaded loaded;
  try {
    loaded.index = load_shard_index(shard, cache, &loaded.cached);
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    loaded.fault = error.what();
  }
  return loaded;
}

void check_faults(const std::vector<std::string>& shards, const std::vector<Loaded>& loaded, double most_bad) {
  int64_t broken = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const Loaded& item = loaded[i];
    if (!item.fault.empty()) {
      log::warn("data: a shard is left out: ", item.fault);
      if (static_cast<double>(++broken) > most_bad * static_cast<double>(shards.size()))
        fail(item.fault, " (data.max_bad_fraction = ", most_bad, " of ", shards.size(),
             " shards may be broken: remove them, or give a larger fraction)");
    }
    if (!item.index.fault.empty()) log::warn("data: ", shards[i], ": ", item.index.fault);
  }
}

// With the shard at the front of each example.
void gather(const std::vector<std::string>& shards, const std::vector<ShardIndex>& indexes,
            std::vector<LeftOut>& left_out) {
  LeftOutCounter counter;
  counter.add(left_out);
  int64_t dotted = 0;
  for (size_t i = 0; i < indexes.size(); ++i) {
    dotted += indexes[i].dotted;
    for (LeftOut item : indexes[i].left_out) {
      item.example = cat(fs::path(shards[i]).filename().string(), "/", item.example);
      counter.add({item});
    }
  }
  left_out = counter.items();
  if (dotted > 0)
    log::info("data: ", dotted,
              " samples have a dot in their names; they are read whole, while webdataset's own readers "
              "take what follows the first dot for the ending");
}

}  // namespace

std::vector<ShardIndex> load_indexes(const std::vector<std::string>& shards, const DataConfig& config,
                                     std::vector<LeftOut>& left_out) {
  const fs::path cache = index_folder(config.cache);
  std::vector<Loaded> loaded(shards.size());
  Progress progress("indexing", "shard", static_cast<int64_t>(shards.size()));
  std::mutex mutex;
  int64_t done = 0;
  parallel_for(static_cast<int64_t>(shards.size()), kIndexThreads, [&](int64_t i) {
    loaded[i] = load_one(shards[i], cache);
    const std::lock_guard lock(mutex);
    progress.update(++done);
  });
  check_faults(shards, loaded, config.max_bad_fraction);
  std::vector<ShardIndex> indexes;
  int64_t cached = 0;
  for (Loaded& item : loaded) {
    cached += item.cached;
    indexes.push_back(std::move(item.index));
  }
  gather(shards, indexes, left_out);
  log::debug("data: indexes of ", shards.size(), " shards, ", cached, " from ", cache.string());
  return indexes;
}

ShardTable::ShardTable(std::vector<std::string> shards, const std::vector<ShardIndex>& indexes, PartKind required,
                       const std::vector<PartKind>& held)
    : folder_(common_folder(shards)), files_(std::make_unique<ShardFiles>(std::move(shards), kMostOpenShards)) {
  held_[required] = true;
  for (const PartKind kind : held) held_[kind] = true;
  for (size_t s = 0; s < indexes.size(); ++s) append(name_below(folder_, files_->paths()[s]), indexes[s], required);
}

void ShardTable::append(std::string name, const ShardIndex& index, PartKind required) {
  Range range{.name = std::move(name), .first = size()};
  for (size_t i = 0; i < index.keys.size(); ++i) {
    if (!index.parts[required][i].exists()) continue;
    range.keys.add(index.keys[i]);
    labels_.push_back(index.labels[i]);
    for (size_t kind = 0; kind < kPartKinds; ++kind) {
      if (held_[kind]) parts_[kind].push_back(index.parts[kind][i]);
    }
  }
  ranges_.push_back(std::move(range));
}

size_t ShardTable::shard_of(int64_t row) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), row,
                                      [](int64_t r, const Range& range) { return r < range.first; });
  return static_cast<size_t>(after - ranges_.begin()) - 1;
}

std::string ShardTable::name(int64_t row) const {
  const Range& range = ranges_[shard_of(row)];
  return cat(range.name, "/", range.keys[row - range.first]);
}

std::string ShardTable::read(PartKind kind, int64_t row) const {
  static constexpr std::array<std::string_view, kPartKinds> kNames = {"image", ".npy", ".txt", ".json",
                                                                      ".features.npy"};
  const Part& part = parts_[kind].at(row);
  if (!part.exists()) fail(name(row), " has no ", kNames[kind]);
  if (part.size > kMostSampleBytes)
    fail(name(row), ": its ", kNames[kind], " is larger than ", human_bytes(kMostSampleBytes));
  return files_->read(shard_of(row), part.offset(), part.size);
}

std::vector<int64_t> ShardTable::match(const ShardTable& other) const {
  std::unordered_map<std::string, size_t> other_shards;
  for (size_t s = 0; s < other.ranges_.size(); ++s) other_shards.emplace(other.ranges_[s].name, s);
  std::vector<int64_t> rows(size(), -1);
  for (size_t s = 0; s < ranges_.size(); ++s) {
    const auto shard = other_shards.find(ranges_[s].name);
    if (shard == other_shards.end()) continue;
    const Range& theirs = other.ranges_[shard->second];
    std::unordered_map<std::string_view, int64_t> by_key;
    for (size_t i = 0; i < theirs.keys.size(); ++i)
      by_key.emplace(theirs.keys[i], theirs.first + static_cast<int64_t>(i));
    for (size_t i = 0; i < ranges_[s].keys.size(); ++i) {
      if (const auto found = by_key.find(ranges_[s].keys[i]); found != by_key.end())
        rows[ranges_[s].first + i] = found->second;
    }
  }
  return rows;
}

}  // namespace gigacat::data
