// Facts of images and statistics as JSON.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gigacat::eval {

// A JSON object of texts, in which seed, truncation, guidance, downscale and images are numbers.
nlohmann::json to_json(const std::map<std::string, std::string>& description);

}  // namespace gigacat::eval
