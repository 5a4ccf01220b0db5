#include "archive_name.h"

#include "bytes.h"
#include "gigacat/core/error.h"

namespace gigacat::io {

std::string member_name(std::string_view archive, std::string_view name) {
  while (name.starts_with("./")) name.remove_prefix(2);
  if (name.empty()) fail(archive, ": a member has no name");
  if (name.find('\0') != name.npos) fail(archive, ": member '", shown(name), "' has a NUL byte in its name, refused");
  if (name.front() == '/') fail(archive, ": member '", shown(name), "' has an absolute path, refused");
  for (const std::string& part : split(name, '/')) {
    if (part == "..") fail(archive, ": member '", shown(name), "' leads out of its folder, refused");
  }
  return std::string(name);
}

}  // namespace gigacat::io
