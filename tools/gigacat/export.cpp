// gigacat export
#include "gigacat/export/export.h"

#include <cstdio>

#include "cli.h"

namespace gigacat::cli {

void add_export(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "export", "write a trained generator for other programs",
                                  "gigacat export runs/00000-emoji-cat -o generator.safetensors");
  auto request = std::make_shared<exports::ExportRequest>();
  command->add_option("FROM", request->from, "run folder, checkpoint folder, or generator .safetensors")
      ->type_name("")
      ->required();
  command->add_option("-o,--out", request->out, "file or folder to write")->type_name("OUT")->required();
  command
      ->add_option("--to", request->to,
                   "safetensors; torchscript: a file for torch.jit.load; huggingface: a folder with weights, card and "
                   "Python; official: a GAT run for the official PyTorch code")
      ->type_name("FORMAT")
      ->capture_default_str();
  command->add_option("--weights", request->weights, "weights to export: ema or generator")
      ->type_name("NAME")
      ->capture_default_str();
  command->add_option("--dtype", request->dtype, "type of the weights: fp32, fp16 or bf16")
      ->type_name("TYPE")
      ->capture_default_str();
  command->add_option("--license", request->license, "licence that the card of huggingface names")
      ->type_name("NAME")
      ->capture_default_str();
  command->callback([request, &chosen] {
    chosen = [request] {
      const exports::ExportReport report = exports::export_run(*request);
      std::printf("%s of %s\n", report.out.c_str(), report.checkpoint.c_str());
      return kOk;
    };
  });
}

}  // namespace gigacat::cli
