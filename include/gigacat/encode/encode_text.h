// From captions to the features of a frozen text encoder on disk: training then runs no text encoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "gigacat/core/config.h"
#include "gigacat/data/config.h"
#include "gigacat/dist/group.h"

namespace gigacat::encode {

// `text:` which encoder, and what is written.
struct EncodeTextConfig {
  std::string encoder, clip_weights, clip_vocabulary, type;
  int64_t batch, piece;
  void bind(config::Binder& b);
};

struct EncodeTextRequest {
  std::filesystem::path out;
  data::DataConfig data;  // whose captions
  EncodeTextConfig text;
};

struct EncodeTextReport {
  int64_t captions = 0;  // different ones in OUT, with the empty one
  int64_t samples = 0;   // whose captions they are
  double seconds = 0;
};

// Writes OUT/text-NNNNNN.safetensors (pretrained/text_store.h), one for each `piece` samples, and provenance.json at
// the end. Ranks share the pieces; an interrupted call goes on. Errors: UsageError when OUT holds other files or
// features of other settings, or the data set has no captions.
EncodeTextReport encode_text(const EncodeTextRequest& request, dist::Group& group);

}  // namespace gigacat::encode
