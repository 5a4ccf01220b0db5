// gigacat data emoji|inspect|stats, and those of data_encode.cpp and data_filter.cpp
#include <algorithm>
#include <cstdio>

#include "cli.h"
#include "eval_flags.h"
#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/data/emoji.h"
#include "gigacat/data/inspect.h"
#include "gigacat/eval/evaluate.h"
#include "gigacat/run/config.h"
#include "launch.h"

namespace gigacat::cli {
namespace {

struct EmojiFlags {
  std::string out;
  std::vector<std::string> settings;
};

// The settings of `data emoji`, given as KEY=VALUE.
struct EmojiSettings {
  std::string font, list, keywords, skin_tones, background;
  int64_t size, shard_size;
  std::vector<std::string> only;
  void bind(config::Binder& b) {
    const data::EmojiOptions standard;
    b.field("size", size, standard.size, "side of an image", {.min = 8, .max = 4096, .unit = "px"});
    b.field("skin_tones", skin_tones, standard.skin_tones, "variants", {.choices = {"default", "all"}});
    b.field("background", background, standard.background, "behind the glyph",
            {.choices = {"white", "black", "transparent"}});
    b.field("only", only, {}, "words: emoji whose name has one of them; empty: all");
    b.field("shard_size", shard_size, standard.shard_size, "samples in a shard", {.min = 1});
    b.field("font", font, standard.font.string(), "Noto Color Emoji");
    b.field("list", list, standard.list.string(), "Unicode's emoji-test.txt");
    b.field("keywords", keywords, standard.keywords.string(), "annotations of CLDR");
  }
  data::EmojiOptions options() const { return {font, list, keywords, skin_tones, size, shard_size, background, only}; }
};

int emoji(const EmojiFlags& flags) {
  check_overrides(flags.settings);
  EmojiSettings settings;
  config::Binder binder;
  settings.bind(binder);
  config::Document::parse("", "command line", flags.settings).apply(binder);
  const data::EmojiReport report = data::make_emoji(flags.out, settings.options());
  std::printf("%s: %lld images of %lld classes in %lld shards", flags.out.c_str(),
              static_cast<long long>(report.written), static_cast<long long>(report.classes),
              static_cast<long long>(report.shards));
  if (report.skipped > 0) std::printf(", %lld sequences without a glyph", static_cast<long long>(report.skipped));
  std::printf("\n");
  return kOk;
}

struct InspectFlags {
  std::string what, sheet;
  int64_t limit = 1000;
  std::vector<std::string> overrides;
};

// The `data:` section of a config, or the defaults for a path.
data::DataConfig data_config(const InspectFlags& flags) {
  check_overrides(flags.overrides);
  const std::string extension = fs::path(flags.what).extension().string();
  if (extension == ".yaml" || extension == ".yml") return run::load_config(flags.what, flags.overrides)->data;
  data::DataConfig data;
  config::Binder binder;
  binder.section("data", data, "");
  // A sheet needs one size for all images; the config's key can say another.
  std::vector<std::string> values = {"data.path=" + flags.what, "data.resolution=64"};
  values.insert(values.end(), flags.overrides.begin(), flags.overrides.end());
  config::Document::parse("", "command line", values).apply(binder);
  return data;
}

template <class Map>
void print_counts(const char* title, const Map& counts, size_t most, const std::vector<std::string>& names = {}) {
  std::vector<std::pair<int64_t, std::string>> rows;
  for (const auto& [key, count] : counts) {
    std::string name = cat(key);
    if constexpr (std::is_same_v<typename Map::key_type, int64_t>)
      if (key >= 0 && key < std::ssize(names)) name += " " + names[static_cast<size_t>(key)];
    rows.emplace_back(count, name);
  }
  if (rows.size() > most)
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::printf("%s: %zu\n", title, rows.size());
  for (size_t i = 0; i < std::min(most, rows.size()); ++i)
    std::printf("  %8lld  %s\n", static_cast<long long>(rows[i].first), rows[i].second.c_str());
  if (rows.size() > most) std::printf("            and %zu more\n", rows.size() - most);
}

void print(const data::Source& source, const data::Inspection& found) {
  std::printf("samples: %lld (%lld labelled, %lld with a caption)\n", static_cast<long long>(source.size()),
              static_cast<long long>(found.with_label), static_cast<long long>(found.with_caption));
  std::printf("taken for: %s\n", found.format.c_str());
  for (const data::LeftOut& item : found.left_out) std::printf("left out: %s\n", item.text().c_str());
  print_counts("classes", found.classes, 20, source.class_names());
  print_counts("sizes", found.sizes, 10);
  std::printf("read: %lld, bad: %lld, %.0f images/s\n", static_cast<long long>(found.samples),
              static_cast<long long>(found.bad), found.images_per_second);
  for (const std::string& line : found.first_bad) std::printf("  bad: %s\n", line.c_str());
  std::printf("identity: %s\n", found.identity.c_str());
  if (!found.provenance.empty()) std::printf("provenance: %s\n", trim(found.provenance).c_str());
}

int inspect(const InspectFlags& flags) {
  if (flags.limit < 0) fail<UsageError>("--limit must be 0 (all) or more, not ", flags.limit);
  const data::DataConfig config = data_config(flags);
  const auto source = data::open_source(config);
  print(*source, data::inspect(*source, config, flags.limit));
  if (!flags.sheet.empty()) {
    write_atomically(flags.sheet, data::contact_sheet(*source, config, 8, 12));
    std::printf("sheet: %s\n", flags.sheet.c_str());
  }
  return kOk;
}

struct StatsFlags {
  std::string what, out;
  eval::Request request;
  NetworkFlags networks;
  int ranks = 1;
};

int stats(const StatsFlags& flags, dist::Group& group) {
  eval::FeatureNetworks networks = make_networks(flags.networks, group.device());
  const auto images = eval::open_images(flags.what);
  const eval::StatisticsFile file = eval::measure(*images, flags.request, networks, group);
  if (!group.is_first()) return kOk;
  eval::write_statistics(flags.out, file);
  std::vector<std::string> features;
  for (const auto& [feature, gaussian] : file.gaussians) features.push_back(feature);
  std::printf("%s: mean and covariance of %s features of %s images of %s, protocol %s\n", flags.out.c_str(),
              join(features, " and ").c_str(), file.description.at("images").c_str(), flags.what.c_str(),
              file.description.at("protocol").c_str());
  return kOk;
}

void add_stats(CLI::App& group, Chosen& chosen) {
  CLI::App* command = add_command(group, "stats", "reference statistics of a data set, for `eval --real`",
                                  "gigacat data stats data/imagenet -o imagenet.npz --protocol adm");
  auto flags = std::make_shared<StatsFlags>();
  command->add_option("WHAT", flags->what, "images: a folder, .tar shards, a .zip or an .npz")
      ->type_name("")
      ->required();
  command->add_option("-o,--out", flags->out, "file to write")->type_name("FILE.npz")->required();
  command->add_option("--num", flags->request.real_count, "the first N images; 0: all")
      ->type_name("N")
      ->capture_default_str();
  add_bad_flag(*command, flags->request.max_bad_fraction);
  add_network_flags(*command, flags->networks);
  command->add_option("--batch", flags->request.batch, "images at once; 0: 16 on a CPU, 64 on a GPU")
      ->type_name("N")
      ->capture_default_str()
      ->group("Processes");
  add_count(*command, "--ranks", flags->ranks, 1024, "processes to start on this machine", "Processes");
  command->callback([flags, &chosen] {
    chosen = [flags] { return on_ranks(flags->ranks, [&](dist::Group& ranks) { return stats(*flags, ranks); }); };
  });
}

void add_emoji(CLI::App& group, Chosen& chosen) {
  CLI::App* command =
      add_command(group, "emoji", "make the built-in data set: every emoji with its name, as WebDataset shards",
                  "gigacat data emoji data/emoji size=32 skin_tones=all\n\n"
                  "Keys: size, skin_tones (default, all), background (white, black, transparent), shard_size, only "
                  "(words of names, as only=[red,blue]), font, list, "
                  "keywords.");
  auto flags = std::make_shared<EmojiFlags>();
  command->add_option("OUT", flags->out, "folder for the shards")->type_name("")->required();
  command->add_option("SETTINGS", flags->settings, "values, as size=32")->type_name("");
  command->callback([flags, &chosen] { chosen = [flags] { return emoji(*flags); }; });
}

void add_inspect(CLI::App& group, Chosen& chosen) {
  CLI::App* command = add_command(group, "inspect", "count, time and show what is in a data set",
                                  "gigacat data inspect data/emoji --sheet sheet.png data.resolution=32");
  auto flags = std::make_shared<InspectFlags>();
  command->add_option("WHAT", flags->what, "data set, or a config whose data section names it")
      ->type_name("")
      ->required();
  add_overrides(*command, flags->overrides);
  command->add_option("--limit", flags->limit, "samples to read; 0: all")->type_name("N")->capture_default_str();
  command->add_option("--sheet", flags->sheet, "contact sheet to write")->type_name("FILE.png");
  command->callback([flags, &chosen] { chosen = [flags] { return inspect(*flags); }; });
}

}  // namespace

void add_data(CLI::App& app, Chosen& chosen) {
  CLI::App* group =
      add_command(app, "data", "make, encode, filter and inspect data sets", "gigacat data emoji data/emoji size=32");
  group->require_subcommand(1);
  add_emoji(*group, chosen);
  add_inspect(*group, chosen);
  add_data_encode(*group, chosen);
  add_data_filter(*group, chosen);
  add_stats(*group, chosen);
}

}  // namespace gigacat::cli
