// Many strings in one block of memory: 8 bytes each besides the characters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat::data {

class NameList {
 public:
  void add(std::string_view name) {
    characters_ += name;
    ends_.push_back(characters_.size());
  }
  std::string_view operator[](size_t i) const {
    const uint64_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(characters_).substr(begin, ends_[i] - begin);
  }
  size_t size() const { return ends_.size(); }

 private:
  std::string characters_;
  std::vector<uint64_t> ends_;
};

}  // namespace gigacat::data
