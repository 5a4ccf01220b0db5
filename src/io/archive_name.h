// What both kinds of archive ask of a member's name.
#pragma once

#include <string>
#include <string_view>

namespace gigacat::io {

// The name without leading "./". Errors: Error, naming `archive`, for a name that is empty or absolute or holds ".." or
// NUL.
std::string member_name(std::string_view archive, std::string_view name);

}  // namespace gigacat::io
