// One opener for each kind of data set. Errors of all: UsageError when nothing usable is there, Error for broken files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/data/source.h"

namespace gigacat::data {

std::unique_ptr<Source> open_folder(const DataConfig& config);
std::unique_ptr<Source> open_stylegan(const DataConfig& config);
std::unique_ptr<Source> open_latent_folder(const DataConfig& config);
std::unique_ptr<Source> open_npz(const DataConfig& config);
// `arrays`: samples are KEY.npy even where an image lies beside.
std::unique_ptr<Source> open_webdataset(const DataConfig& config, bool arrays);

// Whether a path is a pattern of tar shards: ends with .tar, or holds braces or wildcards.
bool is_shard_pattern(const std::string& path);
// Whether `path` is such a pattern or a folder of shards.
bool names_shards(const std::string& path);
// The shards that a pattern or a folder names. Errors: UsageError when there is none.
std::vector<std::string> find_shards(const std::string& path);

// `source` with NAME.features.npy of `folder` beside each sample.
std::unique_ptr<Source> with_feature_folder(std::unique_ptr<Source> source, const std::string& folder);

}  // namespace gigacat::data
