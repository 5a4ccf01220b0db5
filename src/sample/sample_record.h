// What is written of samples besides their pixels: samples.json, and texts in PNG files under the same names.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "gigacat/io/image.h"
#include "sample/sample_plan.h"

namespace gigacat::sample {

// samples.json: what an interrupted call must have in common with this one, and a list of the samples.
nlohmann::ordered_json settings_of(const SampleRequest& request, const OpenedSampler& opened,
                                   const std::vector<SampleSpec>& specs);

// Of one image: seed, index, class and its name, or prompt, stage where there are several, truncation, guidance, and
// where the weights come from.
io::PngTexts texts_of_sample(const SampleRequest& request, const OpenedSampler& opened, const SampleSpec& spec,
                             int64_t stage);
// Of a grid: the settings of the call.
io::PngTexts texts_of_grid(const SampleRequest& request, const OpenedSampler& opened, int64_t count);

}  // namespace gigacat::sample
