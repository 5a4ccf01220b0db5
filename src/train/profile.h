// A trace of some steps for chrome://tracing or ui.perfetto.dev, made by LibTorch's profiler.
#pragma once

#include <ATen/record_function.h>

#include <cstdint>
#include <filesystem>

#include "gigacat/run/config.h"

namespace gigacat::train {

// A named stretch of the trace while it lives: const Range range("D"). It costs nothing while nothing is traced.
class Range {
 public:
  explicit Range(const char* name) : guard_(at::RecordScope::USER_SCOPE) {
    if (guard_.isActive()) guard_.before(name);
  }

 private:
  at::RecordFunction guard_;
};

class Profile {
 public:
  // Traces section.steps steps after section.from of them, with shapes and every allocation, into
  // FOLDER/trace-step-N.json.
  Profile(const run::ProfileSection& section, std::filesystem::path folder, at::Device device);
  ~Profile();
  // Before each step; the loop's last step is followed by end().
  void begin_step(int64_t step);
  // Writes the trace if one is being made. Errors: Error when it cannot be written.
  void end();

 private:
  run::ProfileSection section_;
  std::filesystem::path folder_;
  at::Device device_;
  int64_t begun_ = 0, first_ = -1;  // steps begun; the first that is traced, -1 outside a trace
};

}  // namespace gigacat::train
