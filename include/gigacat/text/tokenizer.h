// CLIP's byte-pair tokenizer. Source: github.com/openai/CLIP simple_tokenizer.py, github.com/mlfoundations/open_clip.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gigacat::text {

class Tokenizer {
 public:
  // `vocabulary`: bpe_simple_vocab_16e6.txt, or the same packed by gzip. Errors: Error when it is not that file.
  explicit Tokenizer(const std::filesystem::path& vocabulary);

  // Ids of a text in UTF-8 without start and end: repaired (wrong encodings, HTML, widths, quotes), spaces joined,
  // lower case. <start_of_text> and <end_of_text> within it are start() and end().
  std::vector<int64_t> encode(std::string_view text) const;
  // Start, ids, end, then zeros: int64 [N, context]; of longer texts the first, with the end in the last place.
  at::Tensor tokens(const std::vector<std::string>& texts, int64_t context = 77) const;

  int64_t start() const { return size() - 2; }
  int64_t end() const { return size() - 1; }
  // Of the vocabulary: 49408.
  int64_t size() const { return size_; }

 private:
  struct Merge {
    int64_t rank, result;
  };
  void add_word(std::string_view bytes, std::vector<int64_t>& ids) const;

  int64_t size_ = 0;
  std::vector<int64_t> byte_ids_;               // 256: of a byte within a word; 256 more at its end
  std::unordered_map<uint64_t, Merge> merges_;  // by the pair of ids
};

}  // namespace gigacat::text
