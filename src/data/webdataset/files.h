// Shards open for reading by position.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace gigacat::data {

// Reads from many files with few of them open: the one used longest ago is closed first. Thread-safe.
class ShardFiles {
 public:
  ShardFiles(std::vector<std::string> paths, size_t most_open);
  // Errors: Error naming the file when it cannot be opened or ends before offset + size.
  std::string read(size_t file, uint64_t offset, uint64_t size) const;
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  class Descriptor;
  struct Opened {
    std::shared_ptr<Descriptor> descriptor;
    std::list<size_t>::iterator place;
  };
  std::shared_ptr<Descriptor> open(size_t file) const;

  std::vector<std::string> paths_;
  size_t most_open_;
  mutable std::mutex mutex_;
  mutable std::list<size_t> recent_;  // newest first
  mutable std::unordered_map<size_t, Opened> opened_;
};

}  // namespace gigacat::data
