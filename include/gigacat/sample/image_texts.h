// What the PNG files that a generator made say of where they come from.
#pragma once

#include "gigacat/io/image.h"
#include "gigacat/run/weight_source.h"

namespace gigacat::sample {

// Adds "Software" (a keyword of the PNG standard), "checkpoint" (run::short_name) and "weights_crc32c". Equal for equal
// weights, wherever the run lies.
void add_origin(io::PngTexts& texts, const run::WeightSource& source);

}  // namespace gigacat::sample
