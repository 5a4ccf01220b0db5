// The training loop over what set_up() made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/train/checkpoint.h"
#include "gigacat/train/config.h"
#include "gigacat/train/trainer.h"
#include "train/batch.h"
#include "train/evaluation.h"
#include "train/gan_step.h"
#include "train/monitor.h"
#include "train/profile.h"
#include "train/setup.h"
#include "train/signals.h"
#include "train/snapshot.h"
#include "train/stopwatch.h"

namespace gigacat::train {

class Loop {
 public:
  Loop(RunConfig& config, const dist::Environment& environment, const TrainOptions& options);
  // Trains. Returns an exit code, see train().
  int run();
  int64_t step() const { return state_.step; }

 private:
  void show_examples();
  void open_files();
  std::vector<MicroBatch> next_batch();
  void report(const std::vector<MicroBatch>& batches, const at::Tensor& fakes);
  void write(StepFigures& figures, const std::vector<MicroBatch>& batches);
  void first_step_done();
  void draw_samples();
  void evaluate();
  void save();
  bool has_time_to_save(int stop);
  int finish(int stop);

  RunConfig& config_;
  dist::Environment environment_;
  TrainOptions options_;
  Phases phases_;
  Foundation made_;
  TrainState& state_;
  dist::Group& group_;
  recipes::Recipe& recipe_;
  GanStep gan_step_;
  BatchOptions batch_options_;
  int64_t first_step_, saved_step_ = -1;
  StopSignals signals_;
  Stopwatch watch_;
  std::unique_ptr<Evaluation> evaluation_;  // none when eval.every is 0
  // Rank 0's.
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<Snapshot> snapshot_;
  std::unique_ptr<CheckpointWriter> writer_;
  std::unique_ptr<BestCheckpoint> best_;
  std::unique_ptr<Profile> profile_;
};

}  // namespace gigacat::train
