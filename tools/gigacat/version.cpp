// gigacat version
#include <cstdio>

#include "cli.h"
#include "gigacat/core/text.h"

namespace gigacat::cli {

std::string version_line() { return "gigacat " GIGACAT_VERSION; }

void add_version(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "version", "print the version", "gigacat version");
  command->callback([&chosen] {
    chosen = [] {
      std::puts(version_line().c_str());
      return kOk;
    };
  });
}

}  // namespace gigacat::cli
