// gigacat upsample
#include "gigacat/upsample/upsample.h"

#include <cmath>
#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::cli {
namespace {

struct Flags {
  upsample::UpsampleRequest request;
  std::vector<std::string> inputs;  // by -i
  std::string memory;
};

// "2G", "512M", "1.5GiB" -> bytes.
uint64_t parse_bytes(const std::string& text) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const std::string known = "KMGT";
  const size_t power = unit.empty() ? std::string::npos : known.find(unit[0]);
  const bool plain = unit.empty() || (power != std::string::npos &&
                                      (unit.size() == 1 || unit.substr(1) == "B" || unit.substr(1) == "iB"));
  if (used == 0 || !plain || !(value > 0) || value > 1e15)
    fail<UsageError>("--memory ", text, ": give a size, as 2G or 512M");
  return static_cast<uint64_t>(value * std::pow(1024.0, unit.empty() ? 0 : static_cast<double>(power + 1)));
}

int run(Flags& flags) {
  upsample::UpsampleRequest& request = flags.request;
  request.inputs.insert(request.inputs.end(), flags.inputs.begin(), flags.inputs.end());
  if (!flags.memory.empty()) request.options.memory = parse_bytes(flags.memory);
  const upsample::UpsampleReport report = upsample::upsample_files(request);
  for (const std::string& reason : report.failed) std::fprintf(stderr, "error: %s\n", reason.c_str());
  if (request.out != "-") {
    const std::string kept = report.kept > 0 ? cat(", ", report.kept, " were there") : "";
    const std::string renewed =
        report.renewed > 0 ? cat(", ", report.renewed, " made anew: their inputs had changed") : "";
    std::printf("%lld images in %s (%s%s%s)\n", static_cast<long long>(report.written + report.kept),
                request.out.c_str(), human_time(report.seconds).c_str(), kept.c_str(), renewed.c_str());
  }
  return report.failed.empty() ? kOk : kFailure;
}

void add_tile_flags(CLI::App& command, Flags& flags) {
  const std::string group = "Tiles";
  upsample::UpsampleOptions& options = flags.request.options;
  command.add_option("-t,--tile", options.tile, "side of a tile of the image; 0: the network's own")
      ->type_name("PX")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  command.add_option("--overlap,--tile_pad", options.overlap, "how far neighbouring tiles overlap")
      ->type_name("PX")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  command.add_option("--blend", options.blend, "feather, or aura-sr's checkerboard, even, plain")
      ->type_name("HOW")
      ->capture_default_str()
      ->group(group);
  command.add_option("--memory", flags.memory, "memory to use in addition to weights and images, as 2G; default 1G")
      ->type_name("SIZE")
      ->group(group);
}

}  // namespace

void add_upsample(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "upsample", "make images larger with a trained upsampler",
                                  "gigacat upsample photos -o large --weights aura-sr-v2 --scale 4");
  auto flags = std::make_shared<Flags>();
  upsample::UpsampleRequest& request = flags->request;
  command->add_option("IN", request.inputs, "images and folders of images; - is standard input")->type_name("");
  command->add_option("-i,--input", flags->inputs, "image or folder of images, as IN; may be repeated")
      ->type_name("IN")
      ->allow_extra_args(false);
  command->add_option("-o,--output", request.out, "a file for one image, else a folder; - is standard output")
      ->type_name("OUT")
      ->required();
  command
      ->add_option("--weights", request.weights,
                   "a run, checkpoint or generator file of recipe upsampler, or AuraSR's folder")
      ->type_name("FROM")
      ->required();
  command->add_option("-s,--scale,--outscale", request.options.scale, "how many times larger, 2 to 64")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--prompt", request.options.prompt, "caption of the images, for an upsampler that reads captions")
      ->type_name("TEXT");
  command->add_option("--seed", request.options.seed, "seed of the latent and the noise")
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--precision", request.precision, "fp32 or bf16")->type_name("TYPE")->capture_default_str();
  command->add_option("--device", request.device, "auto, cpu, cuda, cuda:N")
      ->type_name("DEVICE")
      ->capture_default_str();
  command->add_option("--ext", request.extension, "format of files in a folder: auto (the input's), png, jpg, webp")
      ->type_name("EXT")
      ->capture_default_str()
      ->group("Names");
  command->add_option("--suffix", request.suffix, "text added to the names of files in a folder")
      ->type_name("TEXT")
      ->group("Names");
  add_tile_flags(*command, *flags);
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace gigacat::cli
