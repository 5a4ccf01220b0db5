// Samples that are files below a folder: image folders, StyleGAN folders, latents.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/names.h"
#include "data/sidecar.h"
#include "gigacat/data/source.h"

namespace gigacat::data {

namespace fs = std::filesystem;

struct FileSet {
  fs::path root;
  NameList names;                    // relative to root, "/" between
  std::vector<int32_t> labels;       // one for each name, or none at all
  std::vector<std::string> classes;  // in label order, when known
  Content content = Content::image;
  CaptionRule captions;
  fs::path raw_root;
  NameList raw_names;  // image of each latent, or none
  std::string provenance, format;
  std::vector<LeftOut> left_out;
};

std::unique_ptr<Source> make_file_source(FileSet set);

}  // namespace gigacat::data
