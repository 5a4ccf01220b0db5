// Whether files hold latents or the moments that latents are drawn from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "gigacat/data/source.h"

namespace gigacat::data {

// latent for C channels, moments for 2C. Errors: UsageError for another number, naming `name`.
Content latent_content(int64_t channels, const std::string& name, const DataConfig& config);

// The same from the first of `count` samples that can be read; broken ones are met again, and counted, by the loader.
// `sure`: what was said of the data calls them latents; otherwise numbers that look like an image are refused.
// Errors: UsageError when it is no float [C, H, W] or [1, C, H, W], Error when none of the first can be read.
Content probe_latents(int64_t count, const std::function<std::string(int64_t)>& name,
                      const std::function<std::string(int64_t)>& read, const DataConfig& config, bool sure);

}  // namespace gigacat::data
