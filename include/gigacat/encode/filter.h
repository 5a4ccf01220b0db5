// Choosing image-text pairs for training: WebDataset shards in, smaller shards out.
// Source: GigaGAN (arXiv 2303.05511) appendix: CLIP score over 0.3, 512 px or more, aesthetic score over 5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/dist/group.h"
#include "gigacat/pretrained/text_image.h"

namespace gigacat::encode {

// `filter:` which pairs stay.
struct FilterConfig {
  std::vector<std::string> similarity_columns,
      aesthetic_columns;                               // of a sample's .json; the first that is there counts
  double similarity, aesthetic;                        // a pair stays above them; 0: not asked
  int64_t size;                                        // px of the short side at least; 0: not asked
  std::string missing;                                 // "drop" or "keep" a pair without a score
  std::string encoder, clip_weights, clip_vocabulary;  // what computes a similarity that no column holds
  void bind(config::Binder& b);
};

struct FilterRequest {
  std::string in;  // .tar, a pattern such as {00000..01234}.tar, or a folder of them
  std::filesystem::path out;
  FilterConfig filter;
};

struct FilterReport {
  int64_t shards = 0, done_before = 0;     // of them by an earlier, interrupted call
  int64_t read = 0, kept = 0;              // pairs
  std::map<std::string, int64_t> dropped;  // reason -> pairs
};

// Writes OUT/NAME.tar for every shard that keeps a pair, all members of the pair as they were, and OUT/provenance.json
// with settings and counts. Shards are shared among the ranks; each appears whole, and an interrupted call goes on
// behind the last. Errors: UsageError when OUT holds other files or other settings' shards, two shards have one name,
// or an encoder lacks its files; Error for a broken shard and for I/O.
FilterReport filter_pairs(const FilterRequest& request, dist::Group& group);

}  // namespace gigacat::encode
