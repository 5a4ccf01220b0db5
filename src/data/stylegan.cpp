// StyleGAN's data sets: a zip or a folder of images with dataset.json.
#include <algorithm>

#include "data/file_source.h"
#include "data/fingerprint.h"
#include "data/listing.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/core/provenance.h"
#include "gigacat/io/archive.h"

namespace gigacat::data {

namespace {

class ZipSource : public Source {
 public:
  ZipSource(const fs::path& path, const DataConfig& config) : path_(path), zip_(path), captions_(config) {
    for (size_t i = 0; i < zip_.entries().size(); ++i) {
      if (is_visible_image(zip_.entries()[i].name)) entries_.push_back(i);
    }
    if (entries_.empty())
      fail<UsageError>("data.path: ", path.string(), " holds no image (.png, .jpg, .jpeg, .webp, .bmp)");
    std::sort(entries_.begin(), entries_.end(),
              [this](size_t a, size_t b) { return zip_.entries()[a].name < zip_.entries()[b].name; });
    const int64_t labels = zip_.find("dataset.json");
    if (labels >= 0) read_labels(labels);
  }

  int64_t size() const override { return static_cast<int64_t>(entries_.size()); }
  int64_t label(int64_t index) const override { return labels_.empty() ? -1 : labels_.at(index); }
  std::string name(int64_t index) const override { return entry(index).name; }
  const std::vector<std::string>& class_names() const override { return classes_; }
  std::string provenance() const override {
    return read_optional(zip_.find(kProvenanceFile) >= 0 ? kProvenanceFile : kOldProvenanceFile);
  }

  RawSample read(int64_t index) const override {
    RawSample sample;
    sample.name = name(index);
    sample.bytes = zip_.read(entry(index), kMostSampleBytes);
    sample.label = label(index);
    if (captions_.wanted) {
      const std::string file = cat(stem(sample.name), captions_.ending());
      sample.caption = captions_.extract(read_member(file), file);
    }
    return sample;
  }

  std::string identity() const override {
    Fingerprint print;
    for (int64_t i = 0; i < size(); ++i) print.add(entry(i).name, entry(i).size, label(i));
    return print.digest();
  }

 private:
  static bool is_visible_image(std::string_view name) {
    const std::string_view base = name.substr(name.rfind('/') + 1);
    return is_image(name) && !base.starts_with('.') && !name.starts_with("__MACOSX/");
  }

  const io::ZipFile::Entry& entry(int64_t index) const { return zip_.entries()[entries_.at(index)]; }

  std::string read_member(const std::string& name) const {
    const int64_t found = zip_.find(name);
    if (found < 0) fail(path_.string(), " has no ", name);
    return zip_.read(zip_.entries()[found], kMostSampleBytes);
  }

  std::string read_optional(const std::string& name) const {
    const int64_t found = zip_.find(name);
    return found < 0 ? "" : zip_.read(zip_.entries()[found], 1 << 20);
  }

  void read_labels(int64_t member) {
    NameList names;
    for (const size_t i : entries_) names.add(zip_.entries()[i].name);
    labels_ =
        parse_dataset_json(zip_.read(zip_.entries()[member], 1ull << 30), path_.string() + "/dataset.json", names);
  }

  fs::path path_;
  io::ZipFile zip_;
  CaptionRule captions_;
  std::vector<size_t> entries_;  // images of the zip in name order
  std::vector<int32_t> labels_;
  std::vector<std::string> classes_;
};

}  // namespace

std::unique_ptr<Source> open_stylegan_folder(const DataConfig& config) {
  FileSet set;
  set.root = config.path;
  for (const std::string& name : list_files(set.root, is_image)) set.names.add(name);
  if (set.names.size() == 0) fail<UsageError>("data.path: no image in ", config.path);
  const fs::path labels = set.root / "dataset.json";
  if (is_file(labels)) set.labels = parse_dataset_json(read_file(labels, 1ull << 30), labels.string(), set.names);
  set.captions = CaptionRule(config);
  set.provenance = read_provenance(set.root);
  return make_file_source(std::move(set));
}

std::unique_ptr<Source> open_stylegan(const DataConfig& config) {
  if (is_folder(config.path)) return open_stylegan_folder(config);
  if (!is_file(config.path)) fail<UsageError>("data.path: ", config.path, " is neither a zip nor a folder");
  return std::make_unique<ZipSource>(config.path, config);
}

}  // namespace gigacat::data
