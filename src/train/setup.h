// Everything that a training loop works with, made in phases.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/data/loader.h"
#include "gigacat/dist/group.h"
#include "gigacat/run/config.h"
#include "gigacat/train/trainer.h"
#include "train/phases.h"
#include "train/resume.h"
#include "train/state.h"

namespace gigacat::train {

struct RunContext {
  at::Device device = at::kCPU;
  std::shared_ptr<dist::Group> group;
  std::shared_ptr<const data::Source> source;
  std::shared_future<std::string> data_identity;  // rank 0 only
  std::optional<RunDirectory> place;              // rank 0 only
  run::Gan gan;
  std::unique_ptr<TrainState> state;
  std::unique_ptr<pretrained::LatentSpace> space;
  std::unique_ptr<data::Loader> loader;  // begins at first_step
  std::vector<std::string> class_names;  // rank 0: of a model of classes, where the data or the checkpoint has any
  int64_t first_step = 0;                // steps done before this process took over
  std::string started;                   // UTC
};

// Opens what config.data names, checks it, and fills in data.num_classes where the config leaves it open.
// Errors: as data::open_source and data::check_source; UsageError for images with an autoencoder, which trains on their
// latents.
std::shared_ptr<const data::Source> open_data(run::RunConfig& config);

// Everything up to the first step. Errors: UsageError, Error; see train().
RunContext set_up(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options,
                  Phases& phases);

// run.json. `data_identity`: empty while it is not known yet.
void write_run_info(const RunContext& foundation, const run::RunConfig& config, const dist::Environment& environment,
                    const TrainOptions& options, const std::string& data_identity);

}  // namespace gigacat::train
