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
// `arrays`: samples are KEY.npy even where the shards hold images too.
std::unique_ptr<Source> open_webdataset(const DataConfig& config, bool arrays);

// `source` with NAME.features.npy of `folder` for each sample.
std::unique_ptr<Source> with_feature_folder(std::unique_ptr<Source> source, const std::string& folder);

}  // namespace gigacat::data
