// gigacat report
#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/report/run_report.h"

namespace gigacat::cli {
namespace {

struct Flags {
  std::vector<std::string> runs;
  std::string out;
  report::ReportOptions options;
};

int run(const Flags& flags) {
  std::vector<report::RunRecord> runs;
  for (const std::string& folder : flags.runs) runs.push_back(report::read_run(folder));
  const std::string page = report::to_html(runs, flags.options);
  write_atomically(flags.out, page);
  std::printf("report of %zu run%s in %s (%s)\n", runs.size(), runs.size() == 1 ? "" : "s", flags.out.c_str(),
              human_bytes(static_cast<double>(page.size())).c_str());
  return kOk;
}

}  // namespace

void add_report(CLI::App& app, Chosen& chosen) {
  CLI::App* command =
      add_command(app, "report", "one HTML page of one or several runs: samples, curves, config, events",
                  "gigacat report runs/00000-emoji-cat runs/00001-emoji-cat -o page.html");
  auto flags = std::make_shared<Flags>();
  command->add_option("RUN", flags->runs, "run folders")->type_name("")->required();
  command->add_option("-o,--out", flags->out, "HTML file to write")->type_name("FILE")->required();
  command->add_option("--title", flags->options.title, "title of the page; without it the names of the runs")
      ->type_name("TEXT");
  command->add_option("--grids", flags->options.most_grids, "most sample grids of a run that the page holds")
      ->type_name("N")
      ->check(CLI::Range(size_t{1}, size_t{10000}).description(""))
      ->capture_default_str();
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace gigacat::cli
