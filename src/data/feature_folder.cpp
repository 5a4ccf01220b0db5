// Alignment features in a folder of their own: NAME.features.npy for the sample NAME.jpg (or SHARD/NAME).
#include <filesystem>

#include "data/sidecar.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace fs = std::filesystem;

namespace {

class FeatureFolderSource : public Source {
 public:
  FeatureFolderSource(std::unique_ptr<Source> inner, fs::path folder)
      : inner_(std::move(inner)), folder_(std::move(folder)) {}

  int64_t size() const override { return inner_->size(); }
  int64_t label(int64_t index) const override { return inner_->label(index); }
  std::string name(int64_t index) const override { return inner_->name(index); }
  Content content() const override { return inner_->content(); }
  std::vector<int64_t> pixel_shape() const override { return inner_->pixel_shape(); }
  bool has_features() const override { return true; }
  const std::vector<std::string>& class_names() const override { return inner_->class_names(); }
  std::string listing_digest() const override { return inner_->listing_digest(); }
  std::string version() const override { return inner_->version(); }
  std::string provenance() const override { return inner_->provenance(); }
  std::string format() const override { return inner_->format(); }
  std::vector<LeftOut> left_out() const override { return inner_->left_out(); }

  RawSample read(int64_t index) const override {
    RawSample sample = inner_->read(index);
    sample.feature_bytes = read_file(folder_ / cat(io::stem(sample.name), ".features.npy"), kMostSampleBytes);
    return sample;
  }

 private:
  std::unique_ptr<Source> inner_;
  fs::path folder_;
};

}  // namespace

std::unique_ptr<Source> with_feature_folder(std::unique_ptr<Source> source, const std::string& folder) {
  if (!io::is_folder(folder)) fail<UsageError>("data.features: ", folder, " is no folder");
  return std::make_unique<FeatureFolderSource>(std::move(source), folder);
}

}  // namespace gigacat::data
