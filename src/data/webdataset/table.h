// All samples of a set of shards, in one table.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/webdataset/files.h"
#include "data/webdataset/index.h"
#include "gigacat/data/config.h"

namespace gigacat::data {

// Indexes of all shards, read on a few threads. A shard that is no tar is left empty and named in the log; what else is
// no sample goes to `left_out`. Errors: Error when more than data.max_bad_fraction of the shards are no tar.
std::vector<ShardIndex> load_indexes(const std::vector<std::string>& shards, const DataConfig& config,
                                     std::vector<LeftOut>& left_out);

// Rows are samples in shard order. A row takes its key, 8 bytes for the key's place, 4 for the label and 8 for each
// kind of member held: some 28 MB for a million images with six-digit keys.
class ShardTable {
 public:
  // Rows without a `required` member are left out; of the others the members of kinds `held` (with `required`) are
  // known.
  ShardTable(std::vector<std::string> shards, const std::vector<ShardIndex>& indexes, PartKind required,
             const std::vector<PartKind>& held);

  int64_t size() const { return static_cast<int64_t>(labels_.size()); }
  int32_t label(int64_t row) const { return labels_.at(row); }
  // Path of the row's shard below the folder common to all shards, and the key.
  std::string name(int64_t row) const;
  bool has(PartKind kind, int64_t row) const { return parts_[kind].at(row).exists(); }
  uint64_t bytes(PartKind kind, int64_t row) const { return parts_[kind].at(row).size; }
  // Content of a member. Errors: Error when it is not there, too large or cannot be read.
  std::string read(PartKind kind, int64_t row) const;

  const fs::path& folder() const { return folder_; }
  size_t shards() const { return ranges_.size(); }
  const std::vector<std::string>& paths() const { return files_->paths(); }  // of the shards
  // The row of `other` with the same shard and key, for each row here; -1: none.
  std::vector<int64_t> match(const ShardTable& other) const;

 private:
  struct Range {
    std::string name;  // of the shard, below folder_
    int64_t first = 0;
    NameList keys;
  };
  size_t shard_of(int64_t row) const;
  void append(std::string name, const ShardIndex& index, PartKind required);

  fs::path folder_;
  std::unique_ptr<ShardFiles> files_;
  std::vector<Range> ranges_;  // one for each shard
  std::vector<int32_t> labels_;
  std::array<bool, kPartKinds> held_{};
  std::array<std::vector<Part>, kPartKinds> parts_;
};

}  // namespace gigacat::data
