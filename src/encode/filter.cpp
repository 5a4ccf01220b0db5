// A shard's headers -> its pairs -> their scores -> the pairs that stay.
#include "gigacat/encode/filter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/core/provenance.h"
#include "gigacat/core/resumable_folder.h"
#include "gigacat/core/text.h"
#include "gigacat/data/source.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/image.h"

namespace gigacat::encode {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::hours kLongestFilter{24 * 30};  // one rank may have far more left to do than another
constexpr int64_t kLookedAt = 224;                     // px, of images that an encoder sees

// The members of one key, in the shard's order.
struct Pair {
  std::vector<const io::Member*> members;
  std::string_view image, caption, json;  // contents; empty: none
};

std::string_view ending_of(const std::string& name) {
  const size_t slash = name.rfind('/'), dot = name.find('.', slash == std::string::npos ? 0 : slash);
  return dot == std::string::npos ? std::string_view() : std::string_view(name).substr(dot);
}

bool is_image(std::string_view ending) {
  for (const char* known : {".jpg", ".jpeg", ".png", ".webp"})
    if (ending == known) return true;
  return false;
}

std::vector<Pair> pairs_of(const std::vector<io::Member>& members, std::span<const std::byte> shard) {
  std::vector<Pair> pairs;
  std::map<std::string, size_t, std::less<>> places;
  for (const io::Member& member : members) {
    const std::string_view ending = ending_of(member.name);
    const std::string key = member.name.substr(0, member.name.size() - ending.size());
    const auto [place, added] = places.try_emplace(key, pairs.size());
    if (added) pairs.emplace_back();
    Pair& pair = pairs[place->second];
    pair.members.push_back(&member);
    const std::string_view content(reinterpret_cast<const char*>(shard.data()) + member.offset, member.size);
    if (is_image(ending)) pair.image = content;
    if (ending == ".txt") pair.caption = content;
    if (ending == ".json") pair.json = content;
  }
  return pairs;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Cosine of an image's and its caption's embedding.
class Scorer {
 public:
  Scorer(const FilterConfig& config, at::Device device)
      : encoder_(
            pretrained::make_text_image_encoder({config.encoder, config.clip_weights, config.clip_vocabulary}, device)),
        device_(device) {}

  double operator()(const Pair& pair) {
    const at::NoGradGuard no_grad;
    const io::Image image =
        io::resize_and_crop_clip(io::decode_image(bytes_of(pair.image), "a pair's image"), kLookedAt);
    const at::Tensor pixels = at::tensor(at::ArrayRef<uint8_t>(image.pixels.data(), image.pixels.size()), at::kByte)
                                  .view({1, kLookedAt, kLookedAt, 3})
                                  .permute({0, 3, 1, 2});
    const at::Tensor seen = encoder_->look(pixels.to(device_).to(at::kFloat) / 127.5 - 1).embedding;
    const at::Tensor read = encoder_->read({trim(pair.caption)}).embedding;
    return at::cosine_similarity(seen, read).item<double>();
  }

 private:
  std::unique_ptr<pretrained::TextImageEncoder> encoder_;
  at::Device device_;
};

// The first of the columns that holds a number.
std::optional<double> column(const ordered_json& json, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (const auto found = json.find(name); found != json.end() && found->is_number()) return found->get<double>();
  return std::nullopt;
}

class Judge {
 public:
  Judge(const FilterConfig& config, at::Device device) : config_(config) {
    if (config.encoder != "none" && config.similarity > 0) scorer_.emplace(config, device);
  }

  // Why a pair goes; empty: it stays.
  std::string operator()(const Pair& pair) {
    if (pair.image.empty()) return "no image";
    ordered_json json = ordered_json::parse(pair.json, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) json = ordered_json::object();
    if (config_.size > 0) {
      const auto side = short_side(pair);
      if (!side) return "broken image";
      if (*side < config_.size) return "too small";
    }
    if (config_.aesthetic > 0)
      if (const std::string reason = judged("aesthetic", column(json, config_.aesthetic_columns), config_.aesthetic);
          !reason.empty())
        return reason;
    if (config_.similarity <= 0) return "";
    std::optional<double> similarity = column(json, config_.similarity_columns);
    if (!similarity && scorer_) {
      if (trim(pair.caption).empty()) return "no caption";
      try {
        similarity = (*scorer_)(pair);
      } catch (const InternalError&) {
        throw;
      } catch (const Error&) {
        return "broken image";
      }
    }
    return judged("similarity", similarity, config_.similarity);
  }

 private:
  static std::optional<int64_t> short_side(const Pair& pair) try {
    const io::ImageHeader header = io::probe_image(bytes_of(pair.image), "a pair's image");
    return std::min(header.height, header.width);
  } catch (const InternalError&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }

  std::string judged(const std::string& what, std::optional<double> value, double least) const {
    if (!value) return config_.missing == "keep" ? "" : "no " + what;
    return *value > least ? "" : "low " + what;
  }

  const FilterConfig& config_;
  std::optional<Scorer> scorer_;
};

std::vector<std::string> shards_of(const std::string& in) {
  const bool folder = fs::is_directory(in);
  const std::vector<std::string> shards = data::expand_shards(folder ? (fs::path(in) / "*.tar").string() : in);
  if (shards.empty()) fail<UsageError>("no shard (.tar) matches ", in);
  std::set<std::string> names;
  for (const std::string& shard : shards) {
    if (!fs::is_regular_file(shard)) fail<UsageError>("the shard ", shard, " is not there");
    if (!names.insert(fs::path(shard).filename().string()).second)
      fail<UsageError>("two shards are called ", fs::path(shard).filename().string(), ": filter one folder at a time");
  }
  return shards;
}

ordered_json settings_of(const FilterRequest& request, const std::vector<std::string>& shards) {
  const FilterConfig& f = request.filter;
  ordered_json sources = ordered_json::array();
  for (const std::string& shard : shards)
    sources.push_back({fs::path(shard).filename().string(), static_cast<int64_t>(fs::file_size(shard))});
  return {{"similarity", f.similarity},
          {"similarity_columns", f.similarity_columns},
          {"aesthetic", f.aesthetic},
          {"aesthetic_columns", f.aesthetic_columns},
          {"size", f.size},
          {"missing", f.missing},
          {"encoder", f.encoder},
          {"clip_weights", fs::path(f.clip_weights).filename().string()},
          {"shards", sources}};
}

std::string name_of(const std::string& shard) { return fs::path(shard).filename().string(); }

// The pairs of one shard that stay, written; how many were read, kept and dropped.
ordered_json filter_shard(const std::string& shard, const fs::path& out, Judge& judge) {
  const std::vector<io::Member> members = io::index_tar(shard);
  const MappedFile file(shard);
  const std::vector<Pair> pairs = pairs_of(members, file.bytes());
  std::vector<const Pair*> kept;
  std::map<std::string, int64_t> dropped;
  for (const Pair& pair : pairs) {
    const std::string reason = judge(pair);
    if (reason.empty())
      kept.push_back(&pair);
    else
      ++dropped[reason];
  }
  if (!kept.empty())
    write_atomically(out / fs::path(shard).filename(), [&](FileWriter& sink) {
      io::TarWriter tar(sink);
      for (const Pair* pair : kept)
        for (const io::Member* member : pair->members)
          tar.add(member->name, {reinterpret_cast<const char*>(file.bytes().data()) + member->offset,
                                 static_cast<size_t>(member->size)});
      tar.finish();
    });
  return {{"read", pairs.size()}, {"kept", kept.size()}, {"dropped", dropped}};
}

void add(FilterReport& report, const ordered_json& result) {
  ++report.shards;
  report.read += result.at("read").get<int64_t>();
  report.kept += result.at("kept").get<int64_t>();
  for (const auto& [reason, count] : result.at("dropped").items()) report.dropped[reason] += count.get<int64_t>();
}

FilterReport filter_report(const ordered_json& provenance) {
  FilterReport report;
  add(report, provenance.at("pairs"));
  report.shards = report.done_before = std::ssize(provenance.at("settings").at("shards"));
  return report;
}

}  // namespace

void FilterConfig::bind(config::Binder& b) {
  b.field("similarity", similarity, 0.3, "CLIP score of image and caption that a pair must pass; 0: not asked",
          {.min = 0, .max = 1, .source = "GigaGAN"});
  b.field("similarity_columns", similarity_columns, {"similarity", "clip_similarity_vitl14", "clip_similarity_vitb32"},
          "keys of a pair's .json that may hold it; the first that is there counts");
  b.field("aesthetic", aesthetic, 5.0, "aesthetic score that a pair must pass; 0: not asked",
          {.min = 0, .source = "GigaGAN"});
  b.field("aesthetic_columns", aesthetic_columns,
          {"aesthetic", "AESTHETIC_SCORE", "aesthetic_score_laion_v2", "aesthetic_score"}, "the same for this score");
  b.field("size", size, 512, "short side of an image, at least; 0: not asked",
          {.min = 0, .unit = "px", .source = "GigaGAN"});
  b.field("missing", missing, "drop", "what becomes of a pair without a score that is asked",
          {.choices = {"drop", "keep"}});
  b.field("encoder", encoder, "none", "what computes a similarity that no column holds",
          {.choices = {"none", "clip", "fake"}});
  b.field("clip_weights", clip_weights, "", "safetensors file of CLIP");
  b.field("clip_vocabulary", clip_vocabulary, "", "bpe_simple_vocab_16e6.txt or .txt.gz of CLIP's tokenizer");
}

FilterReport filter_pairs(const FilterRequest& request, dist::Group& group) {
  const std::vector<std::string> shards = shards_of(request.in);
  const ordered_json settings = settings_of(request, shards);
  const ResumableFolder folder(request.out, ".filter/settings.json");
  const ordered_json before = read_json_file(provenance_file(request.out));
  dist::on_first(group, "output folder", [&] {
    folder.prepare(settings, before.is_object() ? before.value("settings", ordered_json()) : ordered_json());
    return std::string();
  });
  if (before.is_object()) return filter_report(before);

  Judge judge(request.filter, group.device());
  Progress progress("filtering", "shard", std::ssize(shards));
  int64_t done_before = 0;
  for (size_t s = static_cast<size_t>(group.rank()); s < shards.size(); s += static_cast<size_t>(group.size())) {
    if (folder.note(name_of(shards[s])).is_object())
      ++done_before;
    else
      folder.write_note(name_of(shards[s]), filter_shard(shards[s], request.out, judge));
    progress.update(static_cast<int64_t>(s) + 1);
  }
  progress.finish();
  group.barrier("all shards filtered", kLongestFilter);

  FilterReport report;
  for (const std::string& shard : shards) add(report, folder.note(name_of(shard)));
  report.done_before = static_cast<int64_t>(group.sum(static_cast<double>(done_before), "shards kept"));
  group.barrier("results read");
  if (group.is_first()) {
    const ordered_json provenance = {
        {"kind", "filtered"},
        {"settings", settings},
        {"pairs", {{"read", report.read}, {"kept", report.kept}, {"dropped", report.dropped}}}};
    write_atomically(request.out / kProvenanceFile, provenance.dump(2) + "\n");
    folder.remove_notes();
  }
  return report;
}

}  // namespace gigacat::encode
