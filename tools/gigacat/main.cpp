#include "cli.h"

#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>

#include "gigacat/core/cpus.h"

namespace {

using namespace gigacat::cli;

// OpenMP counts the machine's processors, also in a container that may use only some of them.
void limit_threads() {
  if (std::getenv("OMP_NUM_THREADS") == nullptr && at::get_num_threads() > gigacat::usable_cpus())
    at::set_num_threads(gigacat::usable_cpus());
}

int run(int argc, char** argv) {
  CLI::App app("Trains large generative adversarial networks and samples from them.", "gigacat");
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  app.footer("\nExample:\n  gigacat train configs/quickstart/emoji-cat.yaml\n\n`gigacat COMMAND --help` says more.");
  Chosen chosen;
  add_train(app, chosen);
  add_sample(app, chosen);
  add_upsample(app, chosen);
  add_eval(app, chosen);
  add_report(app, chosen);
  add_edit(app, chosen);
  add_data(app, chosen);
  add_config(app, chosen);
  add_sweep(app, chosen);
  add_weights(app, chosen);
  add_import(app, chosen);
  add_export(app, chosen);
  add_info(app, chosen);
  add_doctor(app, chosen);
  add_completion(app, chosen);
  add_man(app, chosen);
  add_version(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ExtrasError& error) {
    const std::string hint = quote_hint(app.remaining(/*recurse=*/true));
    std::fprintf(stderr, "error: %s%s (see --help)\n", error.what(), hint.c_str());
    return kUsage;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "error: %s (see --help)\n", error.what());
    return kUsage;
  }
  limit_threads();
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  return guarded([&] { return run(argc, argv); });
}
