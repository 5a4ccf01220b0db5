#include "train/signals.h"

#include <ATen/ATen.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "gigacat/train/trainer.h"

namespace gigacat::train {
namespace {

constexpr int kSignals[3] = {SIGINT, SIGTERM, SIGUSR1};
// A terminal's Ctrl-C may reach a rank twice at once, from the terminal and from the launcher.
constexpr time_t kSecondsToInsist = 2;

volatile sig_atomic_t requested = 0;
volatile time_t requested_at = 0;

int exit_code(int signal) {
  switch (signal) {
    case SIGINT:
      return kExitInterrupted;
    case SIGTERM:
      return kExitTerminated;
    default:
      return kExitTimeLimit;
  }
}

void on_signal(int signal) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (requested == 0) {
    requested = exit_code(signal);
    requested_at = now.tv_sec;
  } else if (signal == SIGINT && now.tv_sec - requested_at > kSecondsToInsist) {
    _exit(kExitInterrupted);
  }
}

}  // namespace

StopSignals::StopSignals() {
  requested = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &action, &before_[i]);
}

StopSignals::~StopSignals() {
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

int StopSignals::agreed(dist::Group& group) const {
  const int own = requested;
  if (group.size() == 1) return own;
  at::Tensor code = at::full({1}, own, at::kInt);
  group.all_reduce(code, dist::Reduce::max, "stop requests");
  return code.item<int>();
}

double StopSignals::seconds_since_request() const {
  if (requested == 0) return 0;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec - requested_at);
}

}  // namespace gigacat::train
