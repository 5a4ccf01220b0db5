#include "train/initial_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/nn/linear.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/class_names.h"
#include "gigacat/run/weight_source.h"

namespace gigacat::train {
namespace {

struct Source {
  nn::TensorMap generator, discriminator;
  std::vector<std::string> classes;
};

Source read_source(const fs::path& from) {
  check_initial_weights(from);
  if (fs::is_regular_file(from))
    return {nn::read_tensors(from), {}, run::read_class_names(fs::absolute(from).parent_path())};
  const run::WeightSource found = run::find_weights(from, "ema");
  const std::string fault = run::verify_checkpoint(found.origin, {"discriminator.safetensors"});
  if (!fault.empty()) fail<UsageError>("train.init: ", found.origin.string(), " is not a whole checkpoint: ", fault);
  return {nn::read_tensors(found.weights), nn::read_tensors(found.origin / "discriminator.safetensors"),
          found.class_names};
}

// Names of the tensors of a network that have a row for each of `classes`.
std::set<std::string> class_tables(const torch::nn::Module& network, const std::vector<std::string>& classes) {
  std::set<std::string> tables;
  for (const auto& item : network.named_modules())
    if (dynamic_cast<const nn::LabelTableImpl*>(item.value().get()))
      tables.insert(item.key() + ".embedding_table.weight");
  for (const auto& item : network.named_buffers())
    if (item.key() == "w_avg" && item.value().dim() == 2) tables.insert(item.key());
  const nn::TensorMap tensors = nn::state_of(network);
  std::erase_if(tables, [&](const std::string& name) { return tensors.at(name).size(0) != std::ssize(classes); });
  return tables;
}

// Returns the number of classes that both name.
int64_t copy_rows(const at::Tensor& to, const at::Tensor& from, const std::vector<std::string>& to_classes,
                  const std::vector<std::string>& from_classes) {
  int64_t copied = 0;
  for (int64_t row = 0; row < to.size(0); ++row) {
    const auto found = std::ranges::find(from_classes, to_classes[static_cast<size_t>(row)]);
    if (found == from_classes.end()) continue;
    to[row].copy_(from[found - from_classes.begin()]);
    ++copied;
  }
  return copied;
}

nlohmann::ordered_json to_json(const Adopted& adopted) {
  return {{"taken", adopted.taken}, {"rows", adopted.rows}, {"drawn", adopted.drawn}, {"left", adopted.left}};
}

std::string summary(const char* network, const Adopted& adopted) {
  return cat(network, " ", adopted.taken.size(), " tensors taken, ", adopted.rows.size(), " in rows of classes, ",
             adopted.drawn.size(), " drawn, ", adopted.left.size(), " left");
}

}  // namespace

Adopted adopt(const torch::nn::Module& network, const nn::TensorMap& source, const std::vector<std::string>& classes,
              const std::vector<std::string>& source_classes) {
  const at::NoGradGuard no_grad;
  const nn::TensorMap target = nn::state_of(network);
  const std::set<std::string> tables = class_tables(network, classes);
  Adopted adopted;
  for (const auto& [name, to] : target) {
    const auto found = source.find(name);
    if (found == source.end()) {
      adopted.drawn.push_back(name);
      continue;
    }
    const at::Tensor& from = found->second;
    const bool rows = tables.contains(name) && classes != source_classes && from.dim() == to.dim() &&
                      from.size(0) == std::ssize(source_classes) && from.sizes().slice(1) == to.sizes().slice(1);
    if (rows && copy_rows(to, from, classes, source_classes) > 0) {
      adopted.rows.push_back(name);
    } else if (!rows && from.sizes() == to.sizes()) {
      to.copy_(from);
      adopted.taken.push_back(name);
    } else {
      adopted.drawn.push_back(name);
      adopted.left.push_back(name);
    }
  }
  for (const auto& [name, tensor] : source)
    if (!target.contains(name)) adopted.left.push_back(name);
  return adopted;
}

void check_initial_weights(const fs::path& from) {
  if (!from.empty() && !run::holds_generator(from))
    fail<UsageError>("train.init: ", from.string(), " (looked for from ", fs::current_path().string(),
                     ") holds no weights: give a run folder, a checkpoint folder or a generator's .safetensors file");
}

void start_from(TrainState& state, const fs::path& from, const std::vector<std::string>& classes, const fs::path& run) {
  const Source source = read_source(from);
  const Adopted generator = adopt(state.generator.network, source.generator, classes, source.classes);
  if (generator.taken.empty())
    fail<UsageError>("train.init: none of the ", source.generator.size(), " tensors of ", from.string(),
                     " has the name and shape of one of this run's generator: is it of the same recipe and width?");
  const Adopted discriminator = adopt(state.discriminator.network, source.discriminator, classes, source.classes);
  state.ema.reset();
  const nlohmann::ordered_json record{
      {"init", from.string()}, {"generator", to_json(generator)}, {"discriminator", to_json(discriminator)}};
  write_atomically(run / "init.json", record.dump(2) + "\n");
  log::info("weights of ", from.string(), ": ", summary("generator", generator), "; ",
            summary("discriminator", discriminator), " (init.json names them)");
}

}  // namespace gigacat::train
