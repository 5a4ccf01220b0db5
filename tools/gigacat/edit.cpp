// gigacat edit
#include "gigacat/edit/edit.h"

#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"
#include "gigacat/edit/project.h"

namespace gigacat::cli {
namespace {

using edit::Edit;
using edit::EditRequest;

int run(const EditRequest& request) {
  check_overrides(request.overrides);
  const edit::EditReport report = edit::write_edit(request, dist::choose_device("auto", 0));
  std::printf("%lld x %lld images of %s in %s\n", static_cast<long long>(report.rows),
              static_cast<long long>(report.columns), report.checkpoint.c_str(), request.out.c_str());
  return kOk;
}

void add_edit(CLI::App& parent, Chosen& chosen, Edit what, const std::string& name, const std::string& help,
              const std::string& example) {
  CLI::App* command = add_command(parent, name, help, example);
  auto request = std::make_shared<EditRequest>();
  request->what = what;
  command->add_option("FROM", request->from, "run folder, checkpoint folder, or generator .safetensors")
      ->type_name("")
      ->required();
  command
      ->add_option(
          "-o,--out", request->out,
          what == Edit::interpolate ? "file to write: .png, or .webp for an animation" : "file to write, a .png")
      ->type_name("OUT")
      ->required();
  command->add_option("--prompt", request->prompts, "caption for a text-to-image model; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  command
      ->add_option("--labels,--class", request->labels,
                   "class, or two classes as 0,1, by number or name; default: class 0")
      ->type_name("LIST")
      ->excludes("--prompt");
  command->add_option("--seeds", request->seeds, "seeds of the rows' latents")
      ->type_name("LIST")
      ->capture_default_str();
  command->add_option("--styles", request->styles, "rows from files of `edit project`, in place of --seeds")
      ->type_name("FILE")
      ->excludes("--seeds")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--weights", request->weights, "weights to use: ema or generator")
      ->type_name("NAME")
      ->capture_default_str();
  if (what == Edit::truncation)
    command->add_option("--psi", request->psi, "values of psi")->delimiter(',')->type_name("LIST");
  else
    command->add_option("--truncation,--trunc", request->truncation, "truncation psi; 1 is off")
        ->type_name("PSI")
        ->capture_default_str();
  if (what == Edit::interpolate)
    command->add_option("--steps", request->steps, "images from one end to the other, both included")
        ->type_name("N")
        ->capture_default_str();
  if (what == Edit::style_mix) {
    command->add_option("--columns", request->columns, "seeds of the columns' latents")
        ->type_name("LIST")
        ->capture_default_str();
    command
        ->add_option("--crossover", request->crossover,
                     "first layer that takes the columns' style; default: the middle layer")
        ->type_name("N");
  }
  add_overrides(*command, request->overrides);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace

namespace {

int run(const edit::ProjectRequest& request) {
  check_overrides(request.overrides);
  const edit::ProjectReport report = edit::project(request, dist::choose_device("auto", 0));
  std::printf("%s: style of %s in %s, distance %.4f, of the mean style's image %.4f\n", request.out.c_str(),
              request.image.c_str(), report.checkpoint.c_str(), report.last, report.first);
  return kOk;
}

void add_project(CLI::App& parent, Chosen& chosen) {
  CLI::App* command = add_command(parent, "project", "find the style whose image is nearest to a given one",
                                  "gigacat edit project runs/00000-emoji-text photo.png -o photo.safetensors --prompt "
                                  "'red heart'");
  auto request = std::make_shared<edit::ProjectRequest>();
  command->add_option("FROM", request->from, "run folder, checkpoint folder, or generator .safetensors")
      ->type_name("")
      ->required();
  command->add_option("IMAGE", request->image, "image file; its centred square is resized to the model's size")
      ->type_name("")
      ->required();
  command
      ->add_option("-o,--out", request->out,
                   "style file to write, for --styles of the other edits; its image goes into a .found.png next to it")
      ->type_name("OUT.safetensors")
      ->required();
  command->add_option("--prompt", request->prompt, "caption of the image, for a text-to-image model")
      ->type_name("TEXT");
  command->add_option("--class", request->label, "class of the image, by number or name; default: class 0")
      ->type_name("CLASS");
  command->add_option("--steps", request->steps, "steps of Adam")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--lr", request->lr, "learning rate, in standard deviations of the styles")
      ->check(CLI::PositiveNumber)
      ->type_name("RATE")
      ->capture_default_str();
  command->add_flag("--each-layer", request->each_layer,
                    "find a style for each layer: a closer image, less suited to edits");
  command
      ->add_option("--lpips", request->lpips,
                   "weights of LPIPS, as alexnet,lpips-alex; without them pixels and edges are compared")
      ->type_name("LIST");
  command->add_option("--seed", request->seed, "seed of the noise")->type_name("S")->capture_default_str();
  command->add_option("--weights", request->weights, "weights to use: ema or generator")
      ->type_name("NAME")
      ->capture_default_str();
  add_overrides(*command, request->overrides);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace

void add_edit(CLI::App& app, Chosen& chosen) {
  const std::string from = "gigacat edit interpolate runs/00000-emoji-text -o hearts.png";
  CLI::App* command = add_command(app, "edit", "interpolate, mix and truncate what a generator makes",
                                  from + " --prompt 'red heart' --prompt 'blue heart'");
  command->require_subcommand(1);
  const std::string start = "gigacat edit ", run = " runs/00000-emoji-text -o out.png --prompt 'red heart'";
  add_edit(*command, chosen, Edit::interpolate, "interpolate",
           "from one prompt or class to another; with one of them, from each seed to the next",
           start + "interpolate" + run + " --prompt 'blue heart' --seeds 0-3");
  add_edit(*command, chosen, Edit::style_mix, "style-mix", "coarse layers of the rows, fine layers of the columns",
           start + "style-mix" + run + " --seeds 0-3 --columns 4-7");
  add_edit(*command, chosen, Edit::prompt_mix, "prompt-mix",
           "one prompt for the coarse layers, another for the fine ones",
           start + "prompt-mix" + run + " --prompt 'green apple'");
  add_edit(*command, chosen, Edit::truncation, "truncation", "the same samples at several strengths of truncation",
           start + "truncation" + run + " --psi 1,0.8,0.5,0");
  add_project(*command, chosen);
}

}  // namespace gigacat::cli
