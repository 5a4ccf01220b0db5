// The index of tar files.
#include <cstdlib>

#include "fuzz.h"
#include "gigacat/io/archive.h"

FUZZ(bytes) {
  const gigacat::fuzz::File file(bytes);
  std::string fault;
  for (const gigacat::io::Member& member : gigacat::io::index_tar(file.path(), &fault)) {
    if (member.offset > bytes.size() || member.size > bytes.size() - member.offset) std::abort();
    if (member.name.empty() || member.name.starts_with('/')) std::abort();
    gigacat::fuzz::sink = gigacat::fuzz::sink + member.size;
  }
}
