// Names of shards: brace ranges, globs, folders (expand_shards in gigacat/data/source.h).
#pragma once

#include <string>
#include <vector>

namespace gigacat::data {

// Whether a path is a pattern of tar shards: ends with .tar, or holds braces or wildcards.
bool is_shard_pattern(const std::string& path);

// Whether `path` is such a pattern or a folder of shards.
bool names_shards(const std::string& path);

// The shards that a pattern or a folder names. Errors: UsageError when there is none.
std::vector<std::string> find_shards(const std::string& path);

}  // namespace gigacat::data
