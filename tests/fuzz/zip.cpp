// The zip reader: directory and members.
#include <cstdlib>

#include "fuzz.h"
#include "gigacat/io/archive.h"

FUZZ(bytes) {
  constexpr uint64_t most = 1 << 20;  // bytes of an unpacked member
  const gigacat::fuzz::File file(bytes);
  const gigacat::io::ZipFile zip(file.path());
  for (const auto& entry : zip.entries()) {
    if (zip.find(entry.name) < 0 || entry.name.starts_with('/')) std::abort();
    try {
      if (zip.read(entry, most).size() != entry.size) std::abort();
      gigacat::fuzz::sink = zip.view(entry).size();
    } catch (const gigacat::InternalError&) {
      throw;
    } catch (const gigacat::Error&) {  // one bad member does not keep the others from being read
    }
  }
}
