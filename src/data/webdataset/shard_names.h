// Names of shards: brace ranges, globs, folders (expand_shards in gigacat/data/source.h).
#pragma once

#include <string>
#include <vector>

#include "gigacat/data/source.h"

namespace gigacat::data {

// Whether a path is a pattern of tar shards: ends with .tar (compressed or not), or holds braces
// or wildcards.
bool is_shard_pattern(const std::string& path);

// Whether `path` is such a pattern or a folder of shards.
bool names_shards(const std::string& path);

// The shards that a pattern or a folder names; compressed ones in a folder go to `left_out`. Errors: UsageError when
// there is none, or one that is named is compressed or not there.
std::vector<std::string> find_shards(const std::string& path, std::vector<LeftOut>& left_out);

}  // namespace gigacat::data
