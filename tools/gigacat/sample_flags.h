// What `sample` and `eval` share: which samples of a run or checkpoint, drawn how.
#pragma once

#include <string>

#include "cli.h"
#include "gigacat/sample/sample.h"

namespace gigacat::cli {

// --labels and --seed in the group `which` of the help, --truncation in `how`.
void add_sample_flags(CLI::App& command, sample::SampleRequest& request, const std::string& which,
                      const std::string& how);

}  // namespace gigacat::cli
