#include "gigacat/core/host.h"

#include <limits.h>
#include <unistd.h>

#include <array>

namespace gigacat {

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  const bool known = gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0';
  return known ? name.data() : "localhost";
}

}  // namespace gigacat
