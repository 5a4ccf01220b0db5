// Log lines: to the terminal, and to the run's log.txt once it is known. Thread-safe. spdlog stays inside log.cpp: its
// fmt and the one that comes with LibTorch do not compile together.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "gigacat/core/text.h"

namespace gigacat::log {

enum class Level { debug, info, warn, error };

// Writes one line. Lines from ranks other than 0 carry "[rank r]".
void write(Level level, std::string_view line);

// The arguments joined, as one line of the level.
template <class... Args>
void debug(const Args&... args) {
  write(Level::debug, cat(args...));
}
template <class... Args>
void info(const Args&... args) {
  write(Level::info, cat(args...));
}
template <class... Args>
void warn(const Args&... args) {
  write(Level::warn, cat(args...));
}
template <class... Args>
void error(const Args&... args) {
  write(Level::error, cat(args...));
}

// One line to the file alone, for what the terminal is told in another way. Nothing without a file.
void record(Level level, std::string_view line);

// Lowest level that is written to the terminal (default info).
void set_level(Level level);

// Rank that is named in each line; ranks other than 0 write warnings and errors alone to the terminal.
void set_rank(int rank, int world);

// Appends all lines to `path` too, with date and time. Errors: Error when the file cannot be opened.
void open_file(const std::filesystem::path& path);

// Called by the progress bar: its line is wiped before a log line is printed and drawn again after. "" removes it.
void set_status_line(std::string_view line);

// Flushes terminal and file.
void flush();

}  // namespace gigacat::log
