// `gigacat train` with the toy GAN registered, for tests that need processes of their own.
//   toy_train [--ranks N] [--resume RUN | CONFIG.yaml] [path=value ...]
#include <iostream>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/dist/launcher.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/train/trainer.h"
#include "train/toy/recipe.h"

namespace gigacat::train {
namespace {

int run(std::vector<std::string> arguments) {
  if (arguments.size() > 1 && arguments[0] == "--ranks") {
    const auto ranks = static_cast<int>(parse_int(arguments[1], "--ranks"));
    arguments.erase(arguments.begin(), arguments.begin() + 2);
    return dist::launch_local(arguments, {.ranks = ranks});
  }
  recipes::register_recipe("toy", toy::make);
  TrainOptions options{.command = join(arguments, " ")};
  std::string config = arguments.at(0);
  if (config == "--resume") {
    options.resume = arguments.at(1);
    config = arguments[1] + "/config.yaml";
    arguments.erase(arguments.begin());
  }
  const auto loaded = run::load_config(config, {arguments.begin() + 1, arguments.end()});
  return train(*loaded, dist::Environment::detect(), options);
}

}  // namespace
}  // namespace gigacat::train

int main(int count, char** values) {
  try {
    return gigacat::train::run({values + 1, values + count});
  } catch (const gigacat::UsageError& error) {
    std::cerr << "error: " << error.what() << std::endl;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << std::endl;
    return 1;
  }
}
