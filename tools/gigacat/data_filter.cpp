// gigacat data filter
#include <cstdio>

#include "cli.h"
#include "gigacat/encode/filter.h"
#include "launch.h"

namespace gigacat::cli {
namespace {

struct Flags {
  encode::FilterRequest request;
  std::vector<std::string> settings;
  int ranks = 1;
};

int filter(const encode::FilterRequest& request, dist::Group& group) {
  const encode::FilterReport report = encode::filter_pairs(request, group);
  if (!group.is_first()) return kOk;
  std::printf("%lld of %lld pairs of %lld shards in %s", static_cast<long long>(report.kept),
              static_cast<long long>(report.read), static_cast<long long>(report.shards), request.out.c_str());
  if (report.done_before > 0) std::printf(", %lld shards were done", static_cast<long long>(report.done_before));
  std::printf("\n");
  for (const auto& [reason, count] : report.dropped)
    std::printf("  %-14s %lld\n", reason.c_str(), static_cast<long long>(count));
  return kOk;
}

int run(Flags& flags) {
  check_overrides(flags.settings);
  check_out_folder(flags.request.out.string());
  config::Binder binder;
  flags.request.filter.bind(binder);
  config::Document::parse("", "command line", flags.settings).apply(binder);
  return on_ranks(flags.ranks, [&](dist::Group& group) { return filter(flags.request, group); });
}

}  // namespace

void add_data_filter(CLI::App& group, Chosen& chosen) {
  CLI::App* command = add_command(
      group, "filter", "choose image-text pairs by CLIP score, size and aesthetic score, into new shards",
      "gigacat data filter 'data/laion/{00000..01234}.tar' data/laion-good similarity=0.3 size=512 aesthetic=5\n\n"
      "Keys: similarity, aesthetic, size (0: any), similarity_columns, aesthetic_columns (of the .json), missing "
      "(drop, keep), encoder (none, clip: computes a similarity that no column holds), clip_weights, clip_vocabulary.");
  auto flags = std::make_shared<Flags>();
  command->add_option("IN", flags->request.in, ".tar shards: a file, a pattern or a folder")->type_name("")->required();
  command->add_option("OUT", flags->request.out, "folder for the new shards")->type_name("")->required();
  command->add_option("SETTINGS", flags->settings, "values, as size=512")->type_name("");
  add_count(*command, "--ranks", flags->ranks, 1024, "processes to start on this machine", "Processes");
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace gigacat::cli
