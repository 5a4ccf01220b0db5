// The machine that this process runs on.
#pragma once

#include <string>

namespace gigacat {

// "localhost" when it has no name.
std::string host_name();

}  // namespace gigacat
