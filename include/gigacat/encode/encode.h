// From images to latents on disk: a data set that training reads without its autoencoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/data/config.h"
#include "gigacat/dist/group.h"
#include "gigacat/pretrained/autoencoder.h"

namespace gigacat::encode {

// `encode:` what is written.
struct EncodeConfig {
  std::string layout;      // "shards": OUT/latents-NNNNNN.tar; "repa": OUT/vae-sd and OUT/images
  int64_t piece;           // samples of the data set in a shard, and what an interrupted call does again
  bool flip, keep_images;  // each image mirrored too; the image stored beside its latent
  // Frozen features stored beside, KEY.features.npy [1 + N, F] float32, for loss.align=precomputed: an encoder's name
  // or "none"; the file of its weights or a known name.
  std::string features, features_weights;
  void bind(config::Binder& b);
};

// Which images become which files.
struct EncodeRequest {
  std::filesystem::path out;
  data::DataConfig data;  // the images, with resolution, crop, labels and captions
  pretrained::AutoencoderConfig autoencoder;
  EncodeConfig encode;
};

struct EncodeReport {
  int64_t written = 0, bad = 0;        // samples in OUT; images that could not be decoded and were left out
  int64_t kept = 0;                    // of those written: by an earlier, interrupted call
  std::vector<std::string> first_bad;  // up to 20 lines "name: reason"
  std::vector<int64_t> latent;         // C, h, w
  double mean = 0, deviation = 0;      // of all latent elements
  double seconds = 0;
};

// Encodes every image of request.data. A file holds a latent [C, h, w] or, of an autoencoder that gives a
// distribution, mean and deviation [2C, h, w], float32. Sample i is a function of image i alone, whatever the number of
// ranks. An interrupted call goes on; OUT counts as complete with its provenance.json, which names source and
// autoencoder. Errors: UsageError when OUT holds other files or latents of other settings, or the data set holds
// latents; Error when more images are bad than data.max_bad_fraction, and for I/O.
EncodeReport encode_images(const EncodeRequest& request, dist::Group& group);

}  // namespace gigacat::encode
