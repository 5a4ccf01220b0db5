// The folder of what is kept between runs: weights, statistics, indexes of shards.
#pragma once

#include <filesystem>

namespace gigacat {

// $GIGACAT_CACHE, else $XDG_CACHE_HOME/gigacat, else ~/.cache/gigacat; empty when none of the variables is set.
std::filesystem::path cache_folder();

}  // namespace gigacat
