#include "data/webdataset/index.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "data/left_out.h"
#include "data/sidecar.h"
#include "data/webdataset/files.h"
#include "gigacat/core/error.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

// kPartKinds stands for a member that nothing reads, kLabel for the .cls.
constexpr size_t kLabel = kPartKinds + 1;

size_t kind_of(std::string_view ending) {
  std::string lower(ending);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "cls") return kLabel;
  if (lower == "npy") return kArray;
  if (lower == "txt") return kText;
  if (lower == "json") return kJson;
  if (lower == "features.npy") return kFeatures;
  return lower.find('.') == std::string::npos && io::is_image("." + lower) ? kImage : kPartKinds;
}

// "a/b/key.features.npy" -> "a/b/key", "features.npy".
std::pair<std::string_view, std::string_view> split_key(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string_view::npos ? 0 : slash + 1);
  if (dot == std::string_view::npos) return {name, {}};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

// "a/photo 2.5.png" -> "a/photo 2.5", "png"; "a/photo 2.5.features.npy" -> "a/photo 2.5", "features.npy".
std::pair<std::string_view, std::string_view> split_at_last(std::string_view name) {
  constexpr std::string_view features = ".features.npy";
  if (name.ends_with(features)) return {name.substr(0, name.size() - features.size()), features.substr(1)};
  const std::string_view key = io::stem(name);
  return {key, name.substr(std::min(name.size(), key.size() + 1))};
}

bool is_content(size_t kind) { return kind == kImage || kind == kArray || kind == kFeatures; }

// Everything of one key while the shard is being read.
struct Draft {
  std::string key;
  std::array<Part, kPartKinds> parts{};
  Part label;
  bool oversized = false;
};

bool to_part(const io::Member& member, Part& part) {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  GIGACAT_CHECK(member.offset % 512 == 0 && member.offset > 0, "tar data at ", member.offset);
  if (member.offset / 512 > kMost || member.size > kMost) return false;
  part = {static_cast<uint32_t>(member.offset / 512), static_cast<uint32_t>(member.size)};
  return true;
}

// Keys up to the first dot with a member to train on.
std::unordered_set<std::string_view> find_plain_keys(const std::vector<io::Member>& members) {
  std::unordered_set<std::string_view> keys;
  for (const io::Member& member : members) {
    const auto [key, ending] = split_key(member.name);
    if (is_content(kind_of(ending))) keys.insert(key);
  }
  return keys;
}

// "image.png" of "7.image.png" and "8.image.png": an ending with a word in front that images of several keys share,
// none of which has a plain member. Of several such fields the one that is named as an image, or the most frequent. "":
// none.
std::string find_image_field(const std::vector<io::Member>& members,
                             const std::unordered_set<std::string_view>& plain) {
  static constexpr std::array<std::string_view, 6> preferred = {"image.", "img.", "rgb.", "photo.", "picture.", "jpg."};
  std::map<std::string, int64_t> counts;
  for (const io::Member& member : members) {
    const auto [key, ending] = split_key(member.name);
    const bool word = !ending.empty() && std::isalpha(static_cast<unsigned char>(ending.front())) != 0;
    if (word && ending.find('.') != std::string_view::npos && io::is_image(ending) && !plain.contains(key) &&
        !io::is_leftover(member.name))
      ++counts[std::string(ending)];
  }
  std::string best;
  int64_t most = 1;
  for (const auto& [field, count] : counts) {
    const bool named =
        std::any_of(preferred.begin(), preferred.end(), [&](std::string_view p) { return field.starts_with(p); });
    if (named && count > 1) return field;
    if (count > most) best = field, most = count;
  }
  return best;
}

// Sorts the members of a shard into keys.
class Grouping {
 public:
  Grouping(const std::vector<io::Member>& members, const ShardFiles& file)
      : plain_(find_plain_keys(members)), image_field_(find_image_field(members, plain_)), file_(file) {
    for (const io::Member& member : members) {
      const auto [key, ending] = split_key(member.name);
      if (!image_field_.empty() && ending == image_field_) with_field_.insert(key);
    }
    for (const io::Member& member : members) {
      if (!io::is_leftover(member.name)) add(member);
    }
  }

  const std::vector<Draft>& drafts() const { return drafts_; }
  const std::vector<LeftOut>& left_out() const { return left_out_.items(); }

 private:
  void add(const io::Member& member) {
    auto [key, ending] = split_key(member.name);
    size_t kind = kind_of(ending);
    const bool plain = plain_.contains(key) || with_field_.contains(key);
    if (plain && ending == image_field_ && !plain_.contains(key)) {
      kind = kImage;
    } else if (!plain && kind == kPartKinds) {
      std::tie(key, ending) = split_at_last(member.name);
      kind = kind_of(ending);
    }
    if (kind == kPartKinds) return pass_over(member, plain ? ending : std::string_view());
    const auto [found, is_new] = by_key_.try_emplace(key, drafts_.size());
    if (is_new) drafts_.push_back({.key = std::string(key)});
    Draft& draft = drafts_[found->second];
    Part& part = kind == kLabel ? draft.label : draft.parts[kind];
    if (part.exists() && kind == kImage)
      left_out_.add("second images of a key, of which the first counts", member.name);
    if (!part.exists() && !to_part(member, part)) draft.oversized = true;
  }

  // `ending`: of a sample that has a plain member; "" otherwise.
  void pass_over(const io::Member& member, std::string_view ending) {
    const size_t dot = ending.rfind('.');
    if (dot != std::string_view::npos && io::is_image(ending))
      return left_out_.add(cat("images of a sample besides its first, with endings such as .", ending), member.name);
    left_out_.add_unread(member.name,
                         [&] { return file_.read(0, member.offset, std::min<uint64_t>(member.size, 16)); });
  }

  std::unordered_set<std::string_view> plain_;  // keys with a plain member to train on
  std::string image_field_;
  std::unordered_set<std::string_view> with_field_;  // keys whose image is that field
  const ShardFiles& file_;
  std::vector<Draft> drafts_;
  std::unordered_map<std::string_view, size_t> by_key_;
  LeftOutCounter left_out_;
};

// Returns why the key is no sample, or "".
std::string read_label(const Draft& draft, const ShardFiles& file, int32_t& label) {
  label = -1;
  if (!draft.label.exists()) return "";
  constexpr uint32_t kMostDigits = 64;
  const std::string wrong = "have a .cls that is no class number";
  if (draft.label.size > kMostDigits) return wrong;
  try {
    label = parse_label(file.read(0, draft.label.offset(), draft.label.size), ".cls");
  } catch (const Error&) {
    return wrong;
  }
  return "";
}

std::string unusable(const Draft& draft) {
  if (draft.oversized) return "have a member of more than 4 GiB";
  const bool has_content =
      draft.parts[kImage].exists() || draft.parts[kArray].exists() || draft.parts[kFeatures].exists();
  return has_content ? "" : "have no image (.jpg, .jpeg, .png, .webp, .bmp) and no .npy";
}

}  // namespace

ShardIndex build_shard_index(const fs::path& shard) {
  ShardIndex index;
  const std::vector<io::Member> members = io::index_tar(shard, &index.fault);
  const ShardFiles file({shard.string()}, 1);
  const Grouping grouping(members, file);
  LeftOutCounter left_out;
  left_out.add(grouping.left_out());
  for (const Draft& draft : grouping.drafts()) {
    int32_t label = -1;
    std::string reason = unusable(draft);
    if (reason.empty()) reason = read_label(draft, file, label);
    if (!reason.empty()) {
      left_out.add("keys that " + reason, draft.key);
      continue;
    }
    index.keys.add(draft.key);
    index.dotted += draft.key.find('.', draft.key.rfind('/') + 1) != std::string::npos;
    index.labels.push_back(label);
    for (size_t kind = 0; kind < kPartKinds; ++kind) index.parts[kind].push_back(draft.parts[kind]);
  }
  index.left_out = left_out.items();
  return index;
}

}  // namespace gigacat::data
