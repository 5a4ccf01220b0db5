#include "data/webdataset/index.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "data/listing.h"
#include "data/sidecar.h"
#include "data/webdataset/files.h"
#include "gigacat/core/error.h"
#include "gigacat/io/archive.h"

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
  return lower.find('.') == std::string::npos && is_image("." + lower) ? kImage : kPartKinds;
}

// "a/b/key.features.npy" -> "a/b/key", "features.npy".
std::pair<std::string_view, std::string_view> split_key(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string_view::npos ? 0 : slash + 1);
  if (dot == std::string_view::npos) return {name, {}};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

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

// Hidden names, such as the "._key.jpg" that macOS adds, have an empty key.
bool has_key(std::string_view key) { return !key.empty() && !key.ends_with('/'); }

std::vector<Draft> group(const std::vector<io::Member>& members) {
  std::vector<Draft> drafts;
  std::unordered_map<std::string_view, size_t> by_key;
  for (const io::Member& member : members) {
    const auto [key, ending] = split_key(member.name);
    const size_t kind = kind_of(ending);
    if (kind == kPartKinds || !has_key(key)) continue;
    const auto [found, is_new] = by_key.try_emplace(key, drafts.size());
    if (is_new) drafts.push_back({.key = std::string(key)});
    Draft& draft = drafts[found->second];
    Part& part = kind == kLabel ? draft.label : draft.parts[kind];
    if (!part.exists() && !to_part(member, part)) draft.oversized = true;
  }
  return drafts;
}

// Returns why the key is no sample, or "".
std::string read_label(const Draft& draft, const ShardFiles& file, int32_t& label) {
  label = -1;
  if (!draft.label.exists()) return "";
  constexpr uint32_t kMostDigits = 64;
  if (draft.label.size > kMostDigits) return "its .cls is no number";
  try {
    label = parse_label(file.read(0, draft.label.offset(), draft.label.size), "its .cls");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string unusable(const Draft& draft) {
  if (draft.oversized) return "a member is larger than 4 GiB";
  const bool has_content =
      draft.parts[kImage].exists() || draft.parts[kArray].exists() || draft.parts[kFeatures].exists();
  return has_content ? "" : "no image (.jpg, .jpeg, .png, .webp, .bmp) or .npy";
}

}  // namespace

ShardIndex build_shard_index(const fs::path& shard) {
  ShardIndex index;
  const std::vector<io::Member> members = io::index_tar(shard, &index.fault);
  const ShardFiles file({shard.string()}, 1);
  for (const Draft& draft : group(members)) {
    int32_t label = -1;
    std::string reason = unusable(draft);
    if (reason.empty()) reason = read_label(draft, file, label);
    if (!reason.empty()) {
      if (index.skipped++ == 0) index.fault += cat(index.fault.empty() ? "" : "; ", draft.key, ": ", reason);
      continue;
    }
    index.keys.add(draft.key);
    index.labels.push_back(label);
    for (size_t kind = 0; kind < kPartKinds; ++kind) index.parts[kind].push_back(draft.parts[kind]);
  }
  return index;
}

}  // namespace gigacat::data
