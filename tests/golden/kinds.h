// The kinds of golden cases: each builds its network from the case's config, runs it and compares.
#pragma once

#include <string>
#include <vector>

#include "golden/case.h"

namespace gigacat::golden {

using Check = void (*)(Case&);

// Of kinds that compute on the CPU wherever the others do.
inline constexpr bool kOnHost = true;

struct Kind {
  std::string name;
  Check check;
  bool on_host = false;  // what it computes is always computed on the CPU
};

// The kind of a case by its name: the longest known one that the name starts with ("gat/generator_no_qk_norm" is a
// gat/generator). Errors: Error that lists the kinds when none fits.
Kind find_kind(const std::string& case_name);

std::vector<Kind> network_kinds();        // single networks and functions
std::vector<Kind> step_kinds();           // whole training steps
std::vector<Kind> pretrained_kinds();     // frozen networks and what stands before them
std::vector<Kind> metric_kinds();         // evaluation: metrics and what comes before the networks
std::vector<Kind> gigagan_kinds();        // GigaGAN's blocks
std::vector<Kind> gigagan_model_kinds();  // its networks, losses, sizes and edits
std::vector<Kind> upsampler_kinds();      // AuraSR and tiling

}  // namespace gigacat::golden
