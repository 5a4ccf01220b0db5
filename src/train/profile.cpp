#include "train/profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "train/stopwatch.h"

namespace gigacat::train {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

namespace {

torch::profiler::impl::ProfilerConfig what_to_record() {
  return torch::profiler::impl::ProfilerConfig(torch::profiler::impl::ProfilerState::KINETO,
                                               /*report_input_shapes=*/true, /*profile_memory=*/true);
}

}  // namespace

Profile::Profile(const run::ProfileSection& section, std::filesystem::path folder, at::Device device)
    : section_(section), folder_(std::move(folder)), device_(device) {}

// A run that fails in a traced step leaves no trace; the profiler must be off before LibTorch ends.
Profile::~Profile() {
  if (first_ >= 0) profiler::disableProfiler();
}

void Profile::begin_step(int64_t step) {
  const int64_t done = begun_++;
  if (section_.steps == 0 || done < section_.from) return;
  if (done >= section_.from + section_.steps) return end();
  if (done > section_.from) return;
  std::set<ActivityType> activities{ActivityType::CPU};
  if (device_.is_cuda()) activities.insert(ActivityType::CUDA);
  profiler::prepareProfiler(what_to_record(), activities);
  profiler::enableProfiler(
      what_to_record(), activities,
      {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE});
  first_ = step;
}

void Profile::end() {
  if (first_ < 0) return;
  synchronize(device_);
  const auto result = profiler::disableProfiler();
  const int64_t first = std::exchange(first_, -1);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail("cannot make the folder of traces ", folder_.string(), ": ", error.message());
  const fs::path file = folder_ / cat("trace-step-", first, ".json"), draft = folder_ / ".trace.tmp";
  result->save(draft.string());
  fs::rename(draft, file, error);
  if (error) fail("cannot write the trace ", file.string(), ": ", error.message());
  log::info("trace of steps ", first, " to ", first + begun_ - 1 - section_.from - 1, " in ", file.string(),
            ": open it in ui.perfetto.dev");
}

}  // namespace gigacat::train
