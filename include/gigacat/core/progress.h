// One progress line: a bar on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace gigacat {

class Progress {
 public:
  // `unit`: what is counted ("step", "image"). A total of 0 means unknown. `plain_every`: seconds between plain lines.
  Progress(std::string title, std::string unit, int64_t total, int64_t start = 0, double plain_every = 10);
  ~Progress();
  // Sets the count; `note` is shown behind the rate (losses, ...). Redraws at most ten times a second.
  void update(int64_t done, std::string_view note = "");
  // Last state as one log line; the bar is removed.
  void finish();

 private:
  void draw(bool last);
  std::string title_, unit_, note_;
  int64_t total_, start_, done_;
  double plain_every_;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point began_, drawn_;
};

}  // namespace gigacat
