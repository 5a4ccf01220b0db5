// Zips of images, and folders of images with dataset.json: StyleGAN's data sets, and pictures zipped as they lay.
#include <algorithm>

#include "data/about.h"
#include "data/class_folders.h"
#include "data/file_source.h"
#include "data/fingerprint.h"
#include "data/left_out.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/core/provenance.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

constexpr uint64_t kMostLabels = 1ull << 30;  // bytes of dataset.json

std::string describe(std::string_view what, const std::vector<std::string>& classes, bool labelled, bool has_json) {
  if (has_json) return cat(what, labelled ? ", labels from dataset.json" : ", no labels in dataset.json");
  return classes.empty() ? cat(what, " without classes") : cat(what, ", ", classes.size(), " classes by folder");
}

// "00000/img00000000.png": folders of dataset_tool.py are no classes.
bool is_numbered(std::string_view name) {
  constexpr std::string_view digits = "0123456789";
  const std::string_view base = io::stem(name.substr(name.rfind('/') + 1));
  return base.size() == 11 && base.starts_with("img") && base.find_first_not_of(digits, 3) == std::string_view::npos;
}

// Names in zips of some Windows programs have backslashes.
std::string with_slashes(std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  return name;
}

class ZipSource : public Source {
 public:
  ZipSource(const fs::path& path, const DataConfig& config) : path_(path), zip_(path), captions_(config) {
    find_images();
    std::vector<std::string> names;
    for (const size_t i : entries_) names.push_back(with_slashes(zip_.entries()[i].name));
    const std::string root = shared_folder(names);
    const int64_t labels = find_labels(root);
    if (labels >= 0) {
      labels_ = read_labels(labels, names);
      classes_ = parse_class_names(read_optional(folder_of(labels) + kClassFile, kMostLabels));
    } else if (!std::all_of(names.begin(), names.end(), is_numbered)) {
      ClassFolders folders = label_by_folder(names, root);
      classes_ = std::move(folders.classes);
      labels_ = std::move(folders.labels);
    }
    format_ = describe("zip of images", classes_, !labels_.empty(), labels >= 0);
  }

  int64_t size() const override { return static_cast<int64_t>(entries_.size()); }
  int64_t label(int64_t index) const override { return labels_.empty() ? -1 : labels_.at(index); }
  std::string name(int64_t index) const override { return entry(index).name; }
  const std::vector<std::string>& class_names() const override { return classes_; }
  std::string format() const override { return format_; }
  std::vector<LeftOut> left_out() const override { return left_out_.items(); }
  std::string provenance() const override {
    return read_optional(zip_.find(kProvenanceFile) >= 0 ? kProvenanceFile : kOldProvenanceFile, 1 << 20);
  }

  RawSample read(int64_t index) const override {
    RawSample sample;
    sample.name = name(index);
    sample.bytes = zip_.read(entry(index), kMostSampleBytes);
    sample.label = label(index);
    if (captions_.wanted) {
      const std::string file = cat(io::stem(sample.name), captions_.ending());
      sample.caption = captions_.extract(read_member(file), file);
    }
    return sample;
  }

  std::string listing_digest() const override {
    Fingerprint print;
    for (int64_t i = 0; i < size(); ++i) print.add(entry(i).name, entry(i).size, label(i));
    return print.digest();
  }

  std::string version() const override {
    Fingerprint print;
    for (int64_t i = 0; i < size(); ++i) print.add("", entry(i).crc32, -1);
    return print.digest();
  }

 private:
  const io::ZipFile::Entry& entry(int64_t index) const { return zip_.entries()[entries_.at(index)]; }

  void find_images() {
    for (size_t i = 0; i < zip_.entries().size(); ++i) {
      const std::string name = with_slashes(zip_.entries()[i].name);
      if (io::is_leftover(name)) continue;
      if (io::is_image(name))
        entries_.push_back(i);
      else
        left_out_.add_unread(name, [&] { return zip_.read(zip_.entries()[i], kMostSampleBytes).substr(0, 16); });
    }
    if (entries_.empty())
      fail<UsageError>("data.path: ", path_.string(), " holds no image (.png, .jpg, .jpeg, .webp, .bmp)",
                       left_out_.items().empty() ? "" : "; " + left_out_.items().front().text());
    std::sort(entries_.begin(), entries_.end(),
              [this](size_t a, size_t b) { return zip_.entries()[a].name < zip_.entries()[b].name; });
  }

  // dataset.json in one of the folders around all images, the innermost first; -1: none.
  int64_t find_labels(std::string folder) const {
    for (;;) {
      if (const int64_t found = zip_.find(folder + "dataset.json"); found >= 0 || folder.empty()) return found;
      folder.pop_back();
      folder.resize(folder.rfind('/') + 1);
    }
  }

  std::string folder_of(int64_t member) const {
    const std::string& name = zip_.entries()[member].name;
    return name.substr(0, name.rfind('/') + 1);
  }

  std::string read_member(const std::string& name) const {
    const int64_t found = zip_.find(name);
    if (found < 0) fail(path_.string(), " has no ", name);
    return zip_.read(zip_.entries()[found], kMostSampleBytes);
  }

  std::string read_optional(const std::string& name, uint64_t most) const {
    const int64_t found = zip_.find(name);
    return found < 0 ? "" : zip_.read(zip_.entries()[found], most);
  }

  // The names in dataset.json are relative to its folder.
  std::vector<int32_t> read_labels(int64_t member, std::vector<std::string> names) {
    const std::string folder = folder_of(member);
    for (std::string& name : names) name.erase(0, folder.size());
    std::vector<LeftOut> left_out;
    std::vector<int32_t> labels = parse_dataset_json(zip_.read(zip_.entries()[member], kMostLabels),
                                                     cat(path_.string(), "/", folder, "dataset.json"), names, left_out);
    left_out_.add(left_out);
    return labels;
  }

  fs::path path_;
  io::ZipFile zip_;
  CaptionRule captions_;
  std::vector<size_t> entries_;  // images of the zip in name order
  std::vector<int32_t> labels_;
  std::vector<std::string> classes_;
  std::string format_;
  LeftOutCounter left_out_;
};

}  // namespace

std::unique_ptr<Source> open_stylegan_folder(const DataConfig& config) {
  FileSet set;
  set.root = config.path;
  const std::vector<std::string> names = list_images(set.root, set.left_out);
  for (const std::string& name : names) set.names.add(name);
  if (names.empty()) fail<UsageError>("data.path: no image in ", config.path);
  const fs::path labels = set.root / "dataset.json";
  const bool has_json = io::is_file(labels);
  if (has_json) set.labels = parse_dataset_json(read_file(labels, kMostLabels), labels.string(), names, set.left_out);
  set.classes = read_class_names(set.root);
  set.format = describe("folder of images", {}, !set.labels.empty(), has_json);
  set.captions = CaptionRule(config);
  set.provenance = read_provenance(set.root);
  return make_file_source(std::move(set));
}

std::unique_ptr<Source> open_stylegan(const DataConfig& config) {
  if (io::is_folder(config.path)) return open_stylegan_folder(config);
  if (!io::is_file(config.path)) fail<UsageError>("data.path: ", config.path, " is neither a zip nor a folder");
  return std::make_unique<ZipSource>(config.path, config);
}

}  // namespace gigacat::data
