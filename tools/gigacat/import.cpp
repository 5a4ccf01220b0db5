// gigacat import
#include "gigacat/export/import.h"

#include <cstdio>

#include "cli.h"
#include "gigacat/core/text.h"

namespace gigacat::cli {
namespace {

int run(exports::ImportRequest request) {
  check_overrides(request.overrides);
  request.command = cat("gigacat import ", request.file.string());
  const exports::ImportReport report = exports::import_file(request);
  std::printf("%s: %s\n", request.file.c_str(), report.what.c_str());
  std::printf("sha256: %s\n", report.sha256.c_str());
  if (!report.dropped.empty()) std::printf("not used here: %s\n", join(report.dropped).c_str());
  std::printf("%lld tensors in %s\n", static_cast<long long>(report.tensors), report.out.c_str());
  if (report.kind == "gat-checkpoint")
    std::printf("go on with: gigacat train --resume %s; samples: gigacat sample %s -o samples\n", report.out.c_str(),
                report.out.c_str());
  return kOk;
}

}  // namespace

void add_import(CLI::App& app, Chosen& chosen) {
  CLI::App* command =
      add_command(app, "import", "convert weights of other programs to safetensors; no code in them is run",
                  "gigacat import inception-2015-12-05.pt -o weights/inception.safetensors");
  auto request = std::make_shared<exports::ImportRequest>();
  command->add_option("FILE", request->file, ".safetensors, .pt, .pth, .bin (torch.save or TorchScript)")
      ->type_name("")
      ->required();
  command->add_option("-o,--out", request->out, "file or folder to write; for a GAT checkpoint the folder of runs")
      ->type_name("OUT");
  add_overrides(*command, request->overrides);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace gigacat::cli
