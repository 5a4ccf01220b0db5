// Counting of what lies in a data set and becomes no sample.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/data/source.h"

namespace gigacat::data {

// Ends like a tar packed as a whole: .tar.gz, .tgz, .tar.zst, .tar.xz, .tar.bz2 and their like.
bool is_compressed_tar(std::string_view name);
// Ends in .npy and holds no features of a sample.
bool is_array(std::string_view name);
// The command that unpacks such a file, without the file's name: "zstd -d".
std::string unpack_command(std::string_view name);

class LeftOutCounter {
 public:
  void add(std::string_view reason, std::string_view example, int64_t count = 1);
  void add(const std::vector<LeftOut>& others);
  // A file whose name is none that a reader takes. Counted when it is a picture or an archive by its ending or, where
  // the ending says nothing, by its first bytes, which `head` gives.
  void add_unread(std::string_view name, const std::function<std::string()>& head);

  const std::vector<LeftOut>& items() const { return items_; }

 private:
  std::vector<LeftOut> items_;
};

// First 16 bytes of a file, "" when it cannot be read.
std::string head_of(const std::string& path);

}  // namespace gigacat::data
