// gigacat sample
#include "gigacat/sample/sample.h"

#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "launch.h"
#include "sample_flags.h"
#include "terminal.h"

namespace gigacat::cli {
namespace {

constexpr int64_t kMostShown = 16;  // on the terminal

struct Flags {
  sample::SampleRequest request;
  std::string prompts;  // file
  int ranks = 1;
};

// Lines of a file that are not empty, behind those that are there.
void read_prompts(const std::string& file, std::vector<std::string>& prompts) {
  for (const std::string& line : split(read_file(file), '\n'))
    if (const std::string prompt = trim(line); !prompt.empty()) prompts.push_back(prompt);
  if (prompts.empty()) fail<UsageError>("--prompts: ", file, " holds no caption");
}

int run(const Flags& flags, dist::Group& group) {
  sample::SampleRequest request = flags.request;
  request.show = shows_images() ? kMostShown : 0;
  const sample::SampleReport report = sample::write_samples(request, group);
  if (!group.is_first()) return kOk;
  show_images(report.first, report.written + report.kept);
  std::printf("%lld samples of %s in %s (%s%s)\n", static_cast<long long>(report.written + report.kept),
              report.checkpoint.c_str(), flags.request.out.c_str(), human_time(report.seconds).c_str(),
              report.kept > 0 ? cat(", ", report.kept, " were there").c_str() : "");
  return kOk;
}

void add_choice_flags(CLI::App& command, sample::SampleRequest& request, std::string& prompts) {
  const std::string group = "Which samples", how = "How they are drawn";
  add_sample_flags(command, request, group, how);
  command
      .add_option("--prompt", request.prompts,
                  "caption for a text-to-image model; may be repeated, captions are cycled")
      ->type_name("TEXT")
      ->excludes("--labels")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--prompts", prompts, "file with a caption in each line")->type_name("FILE")->group(group);
  command.add_option("--count", request.count, "number of samples")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.add_option("--seeds", request.seeds, "one sample of each seed, as 0,1,4-6")
      ->type_name("LIST")
      ->excludes("--seed")
      ->excludes("--count")
      ->group(group);
}

void add_drawing_flags(CLI::App& command, sample::SampleRequest& request) {
  const std::string group = "How they are drawn";
  command.add_option("--guidance", request.guidance, "style guidance scale; 1 is off")
      ->type_name("S")
      ->capture_default_str()
      ->group(group);
  command.add_flag("--all-stages", request.all_stages, "write the image of every stage, coarse first")->group(group);
  command
      .add_option("--upsampler", request.upsampler,
                  "enlarge the images: a run, checkpoint or generator file of recipe upsampler, or AuraSR's folder")
      ->type_name("FROM")
      ->group(group);
  command.add_option("--scale", request.scale, "how many times larger; 0: the upsampler's own factor")
      ->type_name("N")
      ->needs("--upsampler")
      ->capture_default_str()
      ->group(group);
  command.add_option("--weights", request.weights, "weights of a run or checkpoint: ema or generator")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
}

}  // namespace

void add_sample_flags(CLI::App& command, sample::SampleRequest& request, const std::string& which,
                      const std::string& how) {
  command
      .add_option("--labels,--class", request.labels,
                  "classes, cycled: all, or a list of numbers and names, as 0,4-6 or horse,ship")
      ->type_name("LIST")
      ->capture_default_str()
      ->group(which);
  command.add_option("--seed", request.seed, "seed of all samples")
      ->type_name("S")
      ->capture_default_str()
      ->group(which);
  command
      .add_option("--truncation,--trunc", request.truncation,
                  "truncation psi toward the mean style: 1 is off, 0 the mean (the official GAT code counts the other "
                  "way: its 0.3 is 0.7 here)")
      ->type_name("PSI")
      ->capture_default_str()
      ->group(how);
}

void add_sample(CLI::App& app, Chosen& chosen) {
  CLI::App* command =
      add_command(app, "sample", "draw samples from a run, a checkpoint or a generator file",
                  "gigacat sample runs/00000-emoji-cat -o grid.png --labels 0-7 --count 64 --truncation 0.7");
  auto flags = std::make_shared<Flags>();
  sample::SampleRequest& request = flags->request;
  command->add_option("FROM", request.from, "run folder, checkpoint folder, or generator .safetensors")
      ->type_name("")
      ->required();
  command->add_option("-o,--out", request.out, "folder for PNGs, or a file: .png, .jpg or .webp (grid), .npz (arr_0)")
      ->type_name("OUT")
      ->required();
  add_overrides(*command, request.overrides);
  add_choice_flags(*command, request, flags->prompts);
  add_drawing_flags(*command, request);
  command->add_option("--batch", request.batch, "samples in one pass on a GPU")
      ->type_name("N")
      ->capture_default_str()
      ->group("Processes");
  add_count(*command, "--ranks", flags->ranks, 1024, "processes to start on this machine", "Processes");
  command->callback([flags, &chosen] {
    if (!flags->prompts.empty()) read_prompts(flags->prompts, flags->request.prompts);
    chosen = [flags] {
      check_overrides(flags->request.overrides);
      return on_ranks(flags->ranks, [&](dist::Group& group) { return run(*flags, group); });
    };
  });
}

}  // namespace gigacat::cli
