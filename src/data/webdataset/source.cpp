// WebDataset shards, read in any order through an index of each.
#include <algorithm>
#include <optional>

#include "data/about.h"
#include "data/fingerprint.h"
#include "data/latents.h"
#include "data/sidecar.h"
#include "data/sources.h"
#include "data/webdataset/shard_names.h"
#include "data/webdataset/table.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::data {

namespace {

bool any_part(const std::vector<ShardIndex>& indexes, PartKind kind) {
  const auto exists = [](const Part& part) { return part.exists(); };
  return std::any_of(indexes.begin(), indexes.end(), [&](const ShardIndex& index) {
    return std::any_of(index.parts[kind].begin(), index.parts[kind].end(), exists);
  });
}

class ShardSource : public Source {
 public:
  ShardSource(ShardTable table, PartKind main, const DataConfig& config, std::vector<LeftOut> left_out)
      : table_(std::move(table)),
        left_out_(std::move(left_out)),
        main_(main),
        captions_(config),
        raw_(main == kArray && config.raw_resolution > 0),
        classes_(read_class_names(table_.folder())) {
    if (main_ != kArray) return;
    const auto read_array = [this](int64_t i) { return table_.read(kArray, i); };
    const bool sure = config.kind == "latents" || says_latents(read_provenance(table_.folder()));
    content_ = probe_latents(
        size(), [this](int64_t i) { return table_.name(i); }, read_array, config, sure);
  }

  int64_t size() const override { return table_.size(); }
  int64_t label(int64_t index) const override { return table_.label(index); }
  std::string name(int64_t index) const override { return table_.name(index); }
  Content content() const override { return content_; }
  bool has_features() const override { return features_.has_value(); }
  const std::vector<std::string>& class_names() const override { return classes_; }
  std::vector<LeftOut> left_out() const override { return left_out_; }
  std::string format() const override {
    const std::string_view what = content_ == Content::image    ? "images"
                                  : content_ == Content::latent ? "latents"
                                                                : "moments of latents";
    return cat(table_.shards(), " WebDataset shards of ", what);
  }
  std::string provenance() const override { return read_provenance(table_.folder()); }

  RawSample read(int64_t index) const override {
    RawSample sample;
    sample.name = name(index);
    sample.bytes = table_.read(main_, index);
    sample.label = label(index);
    if (captions_.wanted) {
      const PartKind kind = captions_.column.empty() ? kText : kJson;
      sample.caption = captions_.extract(table_.read(kind, index), sample.name);
    }
    if (raw_) sample.raw_bytes = table_.read(kImage, index);
    if (features_) {
      if (feature_rows_[index] < 0) fail(sample.name, " has no features in data.features");
      sample.feature_bytes = features_->read(kFeatures, feature_rows_[index]);
    }
    return sample;
  }

  std::string listing_digest() const override {
    Fingerprint print;
    for (int64_t i = 0; i < size(); ++i) print.add(name(i), table_.bytes(main_, i), label(i));
    return print.digest();
  }

  std::string version() const override {
    Fingerprint print;
    for (const std::string& shard : table_.paths()) print.add("", 0, write_time(shard));
    return print.digest();
  }

  // Errors: UsageError when no sample has any.
  void add_features(ShardTable features, const std::string& pattern) {
    feature_rows_ = table_.match(features);
    features_.emplace(std::move(features));
    if (std::all_of(feature_rows_.begin(), feature_rows_.end(), [](int64_t row) { return row < 0; }))
      fail<UsageError>("data.features: ", pattern,
                       " holds no KEY.features.npy in a shard of the same name and key as a sample, such as ", name(0));
  }

 private:
  ShardTable table_;
  std::vector<LeftOut> left_out_;
  PartKind main_;
  CaptionRule captions_;
  bool raw_;  // images of the latents are read too
  Content content_ = Content::image;
  std::vector<std::string> classes_;
  std::optional<ShardTable> features_;
  std::vector<int64_t> feature_rows_;
};

// Keys of the shards that `main` is missing from.
void count_other_keys(const std::vector<ShardIndex>& indexes, PartKind main, int64_t samples,
                      std::vector<LeftOut>& left_out) {
  LeftOut others{
      .reason = main == kImage ? "keys without an image, in shards that hold images" : "keys without a latent (.npy)",
      .example = {}};
  for (const ShardIndex& index : indexes) {
    others.count += static_cast<int64_t>(index.keys.size());
    for (size_t i = 0; i < index.keys.size() && others.example.empty(); ++i)
      if (!index.parts[main][i].exists()) others.example = index.keys[i];
  }
  others.count -= samples;
  if (others.count > 0) left_out.push_back(others);
}

ShardTable open_table(const std::string& path, const DataConfig& config, PartKind required) {
  std::vector<LeftOut> left_out;
  std::vector<std::string> shards = find_shards(path, left_out);
  const std::vector<ShardIndex> indexes = load_indexes(shards, config, left_out);
  return ShardTable(std::move(shards), indexes, required, {});
}

}  // namespace

std::unique_ptr<Source> open_webdataset(const DataConfig& config, bool arrays) {
  std::vector<LeftOut> left_out;
  std::vector<std::string> shards = find_shards(config.path, left_out);
  const std::vector<ShardIndex> indexes = load_indexes(shards, config, left_out);
  const PartKind main = arrays || !any_part(indexes, kImage) ? kArray : kImage;
  std::vector<PartKind> held;
  if (config.captions) held.push_back(config.caption_column.empty() ? kText : kJson);
  if (main == kArray && config.raw_resolution > 0) held.push_back(kImage);
  ShardTable table(shards, indexes, main, held);
  if (table.size() == 0)
    fail<UsageError>("data.path: the ", shards.size(), " shards of ", config.path, " hold no ",
                     arrays ? "latent (KEY.npy)" : "image (KEY.jpg, .png, .webp) and no latent (KEY.npy)",
                     left_out.empty() ? "" : "; " + left_out.front().text());
  count_other_keys(indexes, main, table.size(), left_out);
  auto source = std::make_unique<ShardSource>(std::move(table), main, config, std::move(left_out));
  if (config.features != "none" && names_shards(config.features))
    source->add_features(open_table(config.features, config, kFeatures), config.features);
  return source;
}

}  // namespace gigacat::data
