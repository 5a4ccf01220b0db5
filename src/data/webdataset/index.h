// What a WebDataset shard holds: found once by reading its headers, then kept in the cache folder.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/names.h"

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
  int64_t skipped = 0;                              // keys with nothing to train on, or with a .cls that is no number
  std::string fault;                                // a truncated end, the first key skipped; or ""
};

// Reads the shard's headers and .cls members. Members of a key (the name up to the first dot after the last slash) need
// not be adjacent; of members that appear twice the first counts. Errors: Error for a file that is no tar.
ShardIndex build_shard_index(const fs::path& shard);

// The cached index where shard's path, size and time are those it was made from, else a new one, which is then cached.
// An empty `cache` means none. A cache that cannot be read or written is passed over.
ShardIndex load_shard_index(const fs::path& shard, const fs::path& cache, bool* was_cached = nullptr);

// Folder of cached indexes for the value of data.cache; empty for no cache.
fs::path index_folder(const std::string& setting);

}  // namespace gigacat::data
