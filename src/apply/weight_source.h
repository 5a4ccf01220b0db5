#pragma once

#include "gigacat/apply/sample.h"

namespace gigacat::apply {

// The files that belong to a checkpoint folder or a generator file, not looked into.
WeightSource source_of(const std::filesystem::path& origin, const std::string& weights);

}  // namespace gigacat::apply
