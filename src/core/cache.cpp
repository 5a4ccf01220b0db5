#include "gigacat/core/cache.h"

#include <cstdlib>
#include <utility>

namespace gigacat {

std::filesystem::path cache_folder() {
  for (const auto& [variable, below] :
       {std::pair("GIGACAT_CACHE", ""), std::pair("XDG_CACHE_HOME", "gigacat"), std::pair("HOME", ".cache/gigacat")})
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0')
      return *below == '\0' ? std::filesystem::path(value) : std::filesystem::path(value) / below;
  return {};
}

}  // namespace gigacat
