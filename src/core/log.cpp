#include "gigacat/core/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "gigacat/core/error.h"

namespace gigacat::log {
namespace {

bool is_terminal() {
  static const bool answer = ::isatty(STDERR_FILENO) == 1;
  return answer;
}

bool wants_colour() {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  return is_terminal() && !dumb && std::getenv("NO_COLOR") == nullptr;
}

// The pattern's %* : nothing before an ordinary line, a word before one that asks for attention.
class Prefix : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string_view word = message.level == spdlog::level::debug  ? "debug: "
                                  : message.level == spdlog::level::warn ? "warning: "
                                  : message.level == spdlog::level::err  ? "error: "
                                                                         : "";
    out.append(word.data(), word.data() + word.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Prefix>(); }
};

std::unique_ptr<spdlog::formatter> make_formatter(const char* pattern) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<Prefix>('*').set_pattern(pattern);
  return formatter;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Names of files come from outside: a control character in one must not reach the terminal.
std::string printable(std::string_view line) {
  std::string text;
  text.reserve(line.size());
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      text += "\\x";
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 15];
    } else {
      text += c;
    }
  }
  return text;
}

// As much of `line` as fits into one row: a longer one would wrap and could not be wiped.
std::string_view one_row(std::string_view line) {
  winsize size{};
  const size_t columns = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
  size_t characters = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(line[i]) & 0xC0) != 0x80;
    if (starts && ++characters > columns) return line.substr(0, i);
  }
  return line;
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

struct State {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::ansicolor_stderr_sink_mt> terminal;
  spdlog::logger logger{"gigacat"};
  std::string status, rank_text;
  Level level = Level::info;
  int rank = 0;
  bool failed = false;

  State() {
    const auto mode = wants_colour() ? spdlog::color_mode::always : spdlog::color_mode::never;
    terminal = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(mode);
    terminal->set_formatter(make_formatter("%H:%M:%S %^%*%$%v"));
    logger.sinks().push_back(terminal);
    logger.set_level(spdlog::level::debug);
    logger.flush_on(spdlog::level::debug);
    logger.set_error_handler([this](const std::string& reason) { report_once(reason); });
    apply_level();
  }

  // A full disk must not fill the terminal too.
  void report_once(const std::string& reason) {
    if (!failed) print(cat("error: cannot write the log: ", reason, "\n"));
    failed = true;
  }

  void apply_level() {
    const Level least = rank == 0 ? level : std::max(level, Level::warn);
    terminal->set_level(to_spdlog(least));
  }

  void wipe() const {
    if (!status.empty()) print("\r\033[K");
  }
  void draw() const {
    if (!status.empty()) print(one_row(status));
  }
};

// Never destroyed: destructors of other globals may still log.
State& state() {
  static State* const kept = new State;
  return *kept;
}

}  // namespace

void write(Level level, std::string_view line) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.wipe();
  const std::string text = s.rank_text + printable(line);
  s.logger.log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
  s.draw();
}

void record(Level level, std::string_view line) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto before = s.terminal->level();
  s.terminal->set_level(spdlog::level::off);
  const std::string text = s.rank_text + printable(line);
  s.logger.log(to_spdlog(level), spdlog::string_view_t(text.data(), text.size()));
  s.terminal->set_level(before);
}

void set_level(Level level) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.level = level;
  s.apply_level();
}

void set_rank(int rank, int world) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.rank = rank;
  s.rank_text = world > 1 && rank != 0 ? cat("[rank ", rank, "] ") : "";
  s.apply_level();
}

void open_file(const std::filesystem::path& path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  try {
    auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    file->set_formatter(make_formatter("%Y-%m-%d %H:%M:%S.%e %*%v"));
    s.logger.sinks().resize(1);
    s.logger.sinks().push_back(std::move(file));
  } catch (const spdlog::spdlog_ex& error) {
    fail("cannot open the log ", path.string(), ": ", error.what());
  }
}

void set_status_line(std::string_view line) {
  if (!is_terminal()) return;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.wipe();
  s.status = printable(line);
  s.draw();
}

void flush() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.logger.flush();
}

}  // namespace gigacat::log
