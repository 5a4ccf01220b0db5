#include "gigacat/data/emoji.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "data/emoji_font.h"
#include "data/unicode_lists.h"
#include "gigacat/core/cpus.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/installation.h"
#include "gigacat/core/log.h"
#include "gigacat/core/provenance.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/image.h"

namespace gigacat::data {

namespace {

using nlohmann::ordered_json;

constexpr int64_t kRecipeVersion = 1;  // raised when the same options would give other bytes
constexpr uint64_t kMostText = 64 << 20;

void check_options(const EmojiOptions& options) {
  const auto one_of = [](const char* what, const std::string& value, const std::vector<std::string>& known) {
    if (std::ranges::find(known, value) == known.end()) {
      fail<UsageError>(what, " is \"", value, "\"; known: ", join(known));
    }
  };
  one_of("skin_tones", options.skin_tones, {"default", "all"});
  one_of("background", options.background, {"white", "black", "transparent"});
  if (options.size < 8 || options.size > 4096)
    fail<UsageError>("size is ", options.size, " px; from 8 to 4096 are possible");
  if (options.shard_size < 1)
    fail<UsageError>("shard_size is ", options.shard_size, "; a shard holds one sample or more");
}

void need_file(const fs::path& path, const char* what, const char* package) {
  std::error_code fault;
  if (fs::is_regular_file(path, fault)) return;
  fail<UsageError>("no ", what, " at ", path.string(), "; on Debian and Ubuntu: apt-get install ", package);
}

struct Sources {
  EmojiList list;
  Keywords keywords;
  ordered_json identity;  // what the provenance says of them
};

// Whether one of the words stands in a name by itself: "red" in "red heart", not in "bored face".
bool has_word(const EmojiSequence& sequence, const std::vector<std::string>& words) {
  std::string word;
  for (const char c : sequence.name + " ") {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower >= 'a' && lower <= 'z') {
      word += lower;
    } else {
      if (std::ranges::find(words, word) != words.end()) return true;
      word.clear();
    }
  }
  return false;
}

// CLDR keeps the keywords of composed sequences (skin tones, families, flags) in another folder.
fs::path derived_annotations(const fs::path& keywords) {
  return keywords.parent_path().parent_path() / "annotationsDerived" / keywords.filename();
}

Sources read_sources(const EmojiOptions& options) {
  need_file(options.font, "emoji font", "fonts-noto-color-emoji");
  need_file(options.list, "list of emoji", "unicode-data");
  need_file(options.keywords, "list of keywords", "unicode-cldr-core");
  Sources sources;
  sources.list = parse_emoji_list(read_file(options.list, kMostText), options.list.string());
  sources.identity = {{"unicode", sources.list.version},
                      {"font", sha256_file(options.font)},
                      {"list", sha256_file(options.list)},
                      {"keywords", ordered_json::array()}};
  for (const fs::path& path : {options.keywords, derived_annotations(options.keywords)}) {
    if (path != options.keywords && !fs::exists(path)) continue;
    parse_annotations(read_file(path, kMostText), path.string(), sources.keywords);
    sources.identity["keywords"].push_back(sha256_file(path));
  }
  if (options.skin_tones == "default") std::erase_if(sources.list.sequences, &EmojiSequence::has_skin_tone);
  if (!options.only.empty())
    std::erase_if(sources.list.sequences, [&](const EmojiSequence& s) { return !has_word(s, options.only); });
  if (sources.list.sequences.empty()) fail<UsageError>("only: no emoji's name has the word ", join(options.only));
  return sources;
}

// All that decides the content of the set.
ordered_json make_provenance(const EmojiOptions& options, const ordered_json& sources) {
  ordered_json provenance = {{"kind", "emoji"},
                             {"recipe_version", kRecipeVersion},
                             {"source", sources},
                             {"filter", {{"status", "fully-qualified"}, {"skin_tones", options.skin_tones}}},
                             {"crop", "whole glyph, fitted with a margin of 1/16"},
                             {"size", options.size},
                             {"background", options.background},
                             {"shard_size", options.shard_size}};
  if (!options.only.empty()) provenance["filter"]["only"] = options.only;
  return provenance;
}

std::string shard_name(size_t shard) {
  char name[32];
  std::snprintf(name, sizeof name, "emoji-%06zu.tar", shard);
  return name;
}

// The provenance of the set in `out`, or null when there is none. Errors: UsageError when another kind of data set is
// there.
ordered_json read_stored(const fs::path& out) {
  const fs::path path = provenance_file(out);
  if (!fs::exists(path)) return nullptr;
  ordered_json provenance = ordered_json::parse(read_file(path, kMostText), nullptr, false);
  if (!provenance.is_object() || provenance.value("kind", "") != "emoji") {
    fail<UsageError>(path.string(), " belongs to another data set; choose another folder");
  }
  return provenance;
}

// Fills `report` and says yes when `stored` is of the same provenance and its shards are all there at their sizes.
bool is_complete(const fs::path& out, const ordered_json& stored, const ordered_json& wanted, EmojiReport& report) try {
  if (stored.is_null() || !fs::exists(out / "classes.txt")) return false;
  for (const auto& [key, value] : wanted.items()) {
    if (stored.at(key) != value) return false;
  }
  const ordered_json& shards = stored.at("shards");
  for (const auto& [name, bytes] : shards.items()) {
    if (!fs::exists(out / name) || fs::file_size(out / name) != bytes.get<uint64_t>()) return false;
  }
  report = {.written = stored.at("samples").get<int64_t>(),
            .skipped = stored.at("skipped").get<int64_t>(),
            .shards = static_cast<int64_t>(shards.size()),
            .classes = stored.at("classes").get<int64_t>()};
  return true;
} catch (const nlohmann::json::exception&) {
  return false;  // a provenance that another version wrote: the set is made anew
}

// PNGs in the order of `sequences`; empty for one that the font does not have.
std::vector<std::string> render_all(const EmojiOptions& options, const std::vector<EmojiSequence>& sequences) {
  std::vector<std::string> pngs(sequences.size());
  const size_t workers = std::clamp<size_t>(usable_cpus(), 1, 16);
  std::vector<std::exception_ptr> faults(workers);
  std::atomic<size_t> next = 0;
  const auto work = [&](size_t worker) {
    try {
      const EmojiFont font(options.font);
      for (size_t i = next++; i < sequences.size(); i = next++) {
        const io::Image glyph = font.render(sequences[i].code_points);
        if (!glyph.pixels.empty()) pngs[i] = io::encode_png(compose_emoji(glyph, options.size, options.background));
      }
    } catch (...) {
      faults[worker] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t worker = 0; worker < workers; ++worker) threads.emplace_back(work, worker);
  }
  for (const std::exception_ptr& fault : faults) {
    if (fault) std::rethrow_exception(fault);
  }
  return pngs;
}

std::vector<std::string> hex_codes(const EmojiSequence& sequence) {
  std::vector<std::string> codes;
  for (const uint32_t code : sequence.code_points) {
    char text[16];
    std::snprintf(text, sizeof text, "%04x", code);
    codes.emplace_back(text);
  }
  return codes;
}

void add_sample(io::TarWriter& tar, const EmojiSequence& sequence, const Keywords& keywords, const std::string& png) {
  const std::vector<std::string> codes = hex_codes(sequence);
  const ordered_json description = {{"name", sequence.name},         {"group", sequence.group},
                                    {"subgroup", sequence.subgroup}, {"keywords", find_keywords(keywords, sequence)},
                                    {"code_points", codes},          {"emoji", sequence.utf8()}};
  const std::string key = join(codes, "_");
  tar.add(key + ".png", png);
  tar.add(key + ".cls", cat(sequence.group_index));
  tar.add(key + ".txt", sequence.name);
  tar.add(key + ".json", description.dump());
}

// Writes the shards of the samples in `drawn` and says their names and sizes.
ordered_json write_shards(const fs::path& out, int64_t shard_size, const Sources& sources,
                          const std::vector<std::string>& pngs, const std::vector<size_t>& drawn) {
  ordered_json shards = ordered_json::object();
  const size_t step = std::min(static_cast<size_t>(shard_size), drawn.size());
  for (size_t first = 0; first < drawn.size(); first += step) {
    const std::string name = shard_name(first / step);
    write_atomically(out / name, [&](FileWriter& file) {
      io::TarWriter tar(file);
      for (size_t i = first; i < std::min(first + step, drawn.size()); ++i) {
        add_sample(tar, sources.list.sequences[drawn[i]], sources.keywords, pngs[drawn[i]]);
      }
      tar.finish();
    });
    shards[name] = fs::file_size(out / name);
  }
  return shards;
}

// Shards of an earlier, larger set would be read as part of this one.
void remove_stale_shards(const fs::path& out, const ordered_json& shards) {
  std::vector<fs::path> stale;
  for (const fs::directory_entry& entry : fs::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("emoji-") && name.ends_with(".tar") && !shards.contains(name)) stale.push_back(entry.path());
  }
  for (const fs::path& path : stale) fs::remove(path);
}

EmojiReport write_set(const fs::path& out, const EmojiOptions& options, const Sources& sources,
                      ordered_json provenance) {
  const std::vector<std::string> pngs = render_all(options, sources.list.sequences);
  std::vector<size_t> drawn;
  for (size_t i = 0; i < pngs.size(); ++i) {
    if (!pngs[i].empty()) drawn.push_back(i);
  }
  if (drawn.empty()) fail(options.font.string(), " has none of the sequences in ", options.list.string());

  fs::create_directories(out);
  // The set counts as complete only once its provenance is back.
  for (const char* name : {kProvenanceFile, kOldProvenanceFile}) fs::remove(out / name);
  provenance["shards"] = write_shards(out, options.shard_size, sources, pngs, drawn);
  remove_stale_shards(out, provenance["shards"]);
  const EmojiReport report = {.written = static_cast<int64_t>(drawn.size()),
                              .skipped = static_cast<int64_t>(pngs.size() - drawn.size()),
                              .shards = static_cast<int64_t>(provenance["shards"].size()),
                              .classes = static_cast<int64_t>(sources.list.groups.size())};
  provenance["samples"] = report.written;
  provenance["skipped"] = report.skipped;
  provenance["classes"] = report.classes;
  write_atomically(out / "classes.txt", join(sources.list.groups, "\n") + "\n");
  write_atomically(out / kProvenanceFile, provenance.dump(2) + "\n");
  return report;
}

}  // namespace

fs::path emoji_file(const fs::path& own, const fs::path& system) {
  const fs::path share = share_folder(), file = share / "emoji" / own;
  return !share.empty() && fs::exists(file) ? file : system;
}

EmojiReport make_emoji(const std::filesystem::path& out, const EmojiOptions& options) try {
  check_options(options);
  const Sources sources = read_sources(options);
  const ordered_json provenance = make_provenance(options, sources.identity);
  EmojiReport report;
  if (is_complete(out, read_stored(out), provenance, report)) {
    log::info(out.string(), ": already there with these options, kept");
    return report;
  }
  return write_set(out, options, sources, provenance);
} catch (const fs::filesystem_error& fault) {
  fail(fault.what());
}

}  // namespace gigacat::data
