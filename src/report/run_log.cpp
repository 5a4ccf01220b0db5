// log.txt of a run as sessions and events.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <optional>
#include <sstream>
#include <string_view>

#include "gigacat/report/run_record.h"

namespace gigacat::report {
namespace {

constexpr size_t kMostEvents = 200;

struct LogLine {
  std::string time;    // "2026-11-30 22:11:03"
  double seconds = 0;  // of some epoch
  std::string level, text;
};

// "2026-11-30 22:11:03.123 warning: text"; nothing for a continuation of the line before.
std::optional<LogLine> parse_line(const std::string& line) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, milliseconds = 0, length = 0;
  int second = 0;
  if (std::sscanf(line.c_str(), "%4d-%2d-%2d %2d:%2d:%2d.%3d %n", &year, &month, &day, &hour, &minute, &second,
                  &milliseconds, &length) != 7 ||
      length == 0)
    return std::nullopt;
  LogLine parsed;
  parsed.time = line.substr(0, 19);
  const std::chrono::sys_days date{std::chrono::year(year) / month / day};
  parsed.seconds = static_cast<double>(date.time_since_epoch().count()) * 86400 + hour * 3600 + minute * 60 + second +
                   milliseconds / 1000.0;
  parsed.text = line.substr(static_cast<size_t>(length));
  for (const std::string_view level : {"debug: ", "warning: ", "error: "})
    if (parsed.text.starts_with(level)) {
      parsed.level = level.substr(0, level.size() - 2);
      parsed.text.erase(0, level.size());
    }
  return parsed;
}

// N of "step N kimg ..." or "PREFIX N ..."; -1 for other texts.
int64_t number_after(const std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return -1;
  size_t end = prefix.size();
  while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
  if (end == prefix.size() || end - prefix.size() > 15) return -1;
  return std::stoll(text.substr(prefix.size(), end - prefix.size()));
}

// The text with each number as "#", by which repetitions are known.
std::string without_numbers(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (!std::isdigit(static_cast<unsigned char>(c)))
      out += c;
    else if (out.empty() || out.back() != '#')
      out += '#';
  return out;
}

class LogReader {
 public:
  LogReader(std::vector<Session>& sessions, std::vector<Event>& events) : sessions_(sessions), events_(events) {}

  void add(const LogLine& line) {
    const bool begins = line.text.starts_with("run folder ") || line.text.starts_with("going on with run ");
    if (begins || sessions_.empty()) begin(line);
    Session& session = sessions_.back();
    session.ended = line.time;
    session.seconds = line.seconds - began_;
    if (const int64_t step = number_after(line.text, "going on after step "); step >= 0) {
      session.first_step = session.last_step = step;
      event("resumed", line.time, step, line.text);
    } else if (const int64_t at = number_after(line.text, "step "); at >= 0) {
      session.last_step = std::max(session.last_step, at);
    }
    if (number_after(line.text, "done: ") >= 0) session.end = "finished";
    if (number_after(line.text, "stopped on request after step ") >= 0) {
      session.end = "stopped on request";
      event("stopped", line.time, session.last_step, line.text);
    }
    if (line.level == "error") session.end = "failed: " + line.text;
    if (line.level == "warning" || line.level == "error") event(line.level, line.time, session.last_step, line.text);
  }

  void finish(bool alive) {
    if (sessions_.empty()) return;
    Session& last = sessions_.back();
    if (alive && last.end.empty()) last.end = "running";
    if (last.end.empty()) killed(last);
  }

 private:
  void begin(const LogLine& line) {
    if (!sessions_.empty() && sessions_.back().end.empty()) killed(sessions_.back());
    sessions_.push_back({.started = line.time});
    began_ = line.seconds;
  }

  void killed(const Session& session) {
    event("killed", session.ended, session.last_step,
          "the process ended without a last word: it was killed, or the machine went down");
  }

  void event(const std::string& kind, const std::string& time, int64_t step, const std::string& text) {
    const std::string shape = kind + without_numbers(text);
    const bool may_repeat = kind == "warning" || kind == "error";
    for (size_t i = 0; may_repeat && i < events_.size(); ++i)
      if (events_[i].kind == kind && kind + without_numbers(events_[i].text) == shape) {
        ++events_[i].times;
        return;
      }
    if (events_.size() < kMostEvents) events_.push_back({kind, time, step, text, 1});
  }

  std::vector<Session>& sessions_;
  std::vector<Event>& events_;
  double began_ = 0;
};

}  // namespace

void read_log(const std::string& text, bool alive, std::vector<Session>& sessions, std::vector<Event>& events) {
  LogReader reader(sessions, events);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (const auto parsed = parse_line(line)) reader.add(*parsed);
  reader.finish(alive);
}

}  // namespace gigacat::report
