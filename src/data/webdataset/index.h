// What a WebDataset shard holds: found once by reading its headers, then kept in the cache folder.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/names.h"
#include "gigacat/data/source.h"

namespace gigacat::data {

namespace fs = std::filesystem;

// Where a member's data lies. Tar data begins on 512-byte blocks, never on the first: 32 bits reach 2 TiB.
struct Part {
  uint32_t block = 0, size = 0;
  bool exists() const { return block != 0; }
  uint64_t offset() const { return uint64_t{block} * 512; }
};

enum PartKind : size_t { kImage, kArray, kText, kJson, kFeatures, kPartKinds };

struct ShardIndex {
  NameList keys;                                    // in order of first appearance
  std::vector<int32_t> labels;                      // -1: none
  std::array<std::vector<Part>, kPartKinds> parts;  // each as long as keys
  std::vector<LeftOut> left_out;                    // keys without a sample, members that are not read
  int64_t dotted = 0;                               // keys with a dot, which webdataset's own readers would cut there
  std::string fault;                                // a truncated end, or ""
};

// Reads the shard's headers and .cls members. The key of a member is its name up to the first dot after the last slash.
// Where no member of a key is an image or array, either several keys share a field ("7.image.png", "7.depth.png"), of
// which one is read, or the dot belongs to the names ("photo 2.5.png"): the key then reaches to the last dot (or to
// ".features.npy"). Members of a key need not be adjacent; of images that appear twice the first
// counts. Errors: Error for a file that is no tar.
ShardIndex build_shard_index(const fs::path& shard);

// The cached index where shard's path, size and time are those it was made from, else a new one, which is then cached.
// An empty `cache` means none. A cache that cannot be read or written is passed over.
ShardIndex load_shard_index(const fs::path& shard, const fs::path& cache, bool* was_cached = nullptr);

// Folder of cached indexes for the value of data.cache; empty for no cache.
fs::path index_folder(const std::string& setting);

}  // namespace gigacat::data
