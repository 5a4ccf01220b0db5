#include "gigacat/core/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "gigacat/core/log.h"
#include "gigacat/core/text.h"

namespace gigacat {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string bar(double fraction) {
  constexpr int width = 24;
  const int full = static_cast<int>(width * std::clamp(fraction, 0.0, 1.0));
  return cat("[", std::string(full, '#'), std::string(width - full, '.'), "]");
}

std::string rate_text(double rate, const std::string& unit) {
  char text[32];
  std::snprintf(text, sizeof text, rate < 9.995 ? "%.2f " : rate < 99.95 ? "%.1f " : "%.0f ", rate);
  return cat(text, unit, "s/s");
}

}  // namespace

Progress::Progress(std::string title, std::string unit, int64_t total, int64_t start, double plain_every)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      start_(start),
      done_(start),
      plain_every_(plain_every),
      terminal_(::isatty(STDERR_FILENO) == 1),
      began_(Clock::now()),
      drawn_(began_) {}

Progress::~Progress() {
  if (!finished_ && terminal_) log::set_status_line("");
}

void Progress::update(int64_t done, std::string_view note) {
  done_ = done;
  note_ = note;
  const double since = seconds_between(drawn_, Clock::now());
  if (since >= (terminal_ ? 0.1 : plain_every_)) draw(/*last=*/false);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (terminal_) log::set_status_line("");
  draw(/*last=*/true);
}

void Progress::draw(bool last) {
  drawn_ = Clock::now();
  const double elapsed = seconds_between(began_, drawn_);
  const double rate = elapsed > 0 ? static_cast<double>(done_ - start_) / elapsed : 0;
  std::string line = title_;
  if (terminal_ && !last && total_ > 0) line += cat(" ", bar(static_cast<double>(done_) / static_cast<double>(total_)));
  line += cat(" ", unit_, " ", done_);
  if (total_ > 0) line += cat("/", total_);
  if (done_ > start_) line += cat(", ", rate_text(rate, unit_));
  if (last) {
    line += cat(", took ", human_time(elapsed));
  } else if (total_ > done_ && rate > 0) {
    line += cat(", ", human_time(static_cast<double>(total_ - done_) / rate), " left");
  }
  if (!note_.empty()) line += cat(", ", note_);
  if (terminal_ && !last) {
    log::set_status_line(line);
  } else {
    log::info(line);
  }
}

}  // namespace gigacat
