// The training loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/run/checkpoint.h"
#include "gigacat/run/config.h"
#include "gigacat/sample/sample_grid.h"
#include "gigacat/sample/sampler.h"
#include "gigacat/train/trainer.h"
#include "train/batch.h"
#include "train/evaluation.h"
#include "train/gan_step.h"
#include "train/monitor.h"
#include "train/profile.h"
#include "train/setup.h"
#include "train/signals.h"
#include "train/stopwatch.h"

namespace gigacat::train {

class Loop {
 public:
  Loop(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options);
  // Trains. Returns an exit code, see train().
  int run();
  int64_t step() const { return state_.step; }

 private:
  void set_examples();
  void open_files();
  std::vector<MicroBatch> next_batch();
  void report(const std::vector<MicroBatch>& batches, const std::vector<at::Tensor>& fakes);
  void write(StepFigures& figures, const std::vector<MicroBatch>& batches);
  void first_step_done();
  void draw_samples();
  void show_samples();
  void evaluate();
  void save();
  bool has_time_to_save(int stop);
  int finish(int stop);

  run::RunConfig& config_;
  dist::Environment environment_;
  TrainOptions options_;
  Phases phases_;
  RunContext context_;
  TrainState& state_;
  dist::Group& group_;
  recipes::Recipe& recipe_;
  GanStep gan_step_;
  BatchOptions batch_options_;
  int64_t first_step_, saved_step_ = -1;
  StopSignals signals_;
  Stopwatch stopwatch_;
  std::unique_ptr<sample::Sampler> average_, live_;  // of the averaged generator, and of the one in training
  std::unique_ptr<Evaluation> evaluation_;           // none when eval.every is 0
  // Rank 0's.
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<sample::SampleGrid> grid_;
  std::unique_ptr<run::CheckpointWriter> writer_;
  std::unique_ptr<BestCheckpoint> best_;
  std::unique_ptr<Profile> profile_;
};

}  // namespace gigacat::train
