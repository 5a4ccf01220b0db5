#include "gigacat/train/trainer.h"

#include <c10/util/Exception.h>

#include <memory>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "train/loop.h"

namespace gigacat::train {

namespace {

int run(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options) {
  std::unique_ptr<Loop> loop;
  const auto place = [&loop] {
    return loop ? cat("after step ", loop->step()) : std::string("at the start of the run");
  };
  try {
    loop = std::make_unique<Loop>(config, environment, options);
    return loop->run();
  } catch (const c10::OutOfMemoryError& error) {
    fail("out of memory ", place(),
         ": lower train.batch, or raise train.accumulate, or set train.activation_checkpoint=blocks (",
         error.what_without_backtrace(), ")");
  } catch (const c10::Error& error) {
    fail("LibTorch failed ", place(), ": ", error.what_without_backtrace());
  }
}

}  // namespace

int train(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options) {
  try {
    return run(config, environment, options);
  } catch (const std::exception& error) {
    log::record(log::Level::error, error.what());  // the caller tells the terminal
    log::flush();
    throw;
  }
}

}  // namespace gigacat::train
