// The log and the progress bar write to the process's own terminal: each case runs in a child whose terminal is a pipe
// or a pseudo-terminal. The cases are disabled tests of this program.
#include "gigacat/core/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "temporary_folder.h"

namespace gigacat {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

enum class Output { pipe, terminal };

std::string read_all(int fd) {
  std::string text;
  char part[4096];
  ssize_t got;
  while ((got = ::read(fd, part, sizeof part)) > 0) text.append(part, got);
  ::close(fd);
  return text;
}

// Runs a case; returns what it wrote to stderr.
std::string run_case(const std::string& name, Output output, const std::string& file = "") {
  int ours = -1, theirs = -1, ends[2];
  if (output == Output::terminal) {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = 40;
    EXPECT_EQ(::openpty(&ours, &theirs, nullptr, nullptr, &size), 0);
  } else {
    EXPECT_EQ(::pipe(ends), 0);
    ours = ends[0];
    theirs = ends[1];
  }
  const std::string filter = "--gtest_filter=LogCase.DISABLED_" + name;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(theirs, STDERR_FILENO);
    ::dup2(::open("/dev/null", O_WRONLY), STDOUT_FILENO);
    ::setenv("GIGACAT_TEST_LOG", file.c_str(), 1);
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    ::execl("/proc/self/exe", "core_tests", filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
    ::_exit(127);
  }
  ::close(theirs);
  std::string text = read_all(ours);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << text;
  return text;
}

TEST(LogCase, DISABLED_Levels) {
  log::debug("hidden");
  log::info("plain ", 1, " {}");
  log::warn("careful");
  log::error("broken");
  log::set_level(log::Level::warn);
  log::info("hidden too");
}

TEST(LogCase, DISABLED_Rank) {
  log::set_rank(2, 4);
  log::info("quiet");
  log::warn("loud");
}

TEST(LogCase, DISABLED_File) {
  log::info("before");
  log::open_file(::getenv("GIGACAT_TEST_LOG"));
  log::debug("detail");
  log::record(log::Level::error, "why it ended");
  log::set_rank(1, 2);
  log::info("quiet");
}

TEST(LogCase, DISABLED_FullDisk) {
  log::open_file("/dev/full");
  log::info("first");
  log::info("second");
}

TEST(LogCase, DISABLED_Hostile) { log::info("file \x1b[2J\r\x07 name"); }

TEST(LogCase, DISABLED_Threads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) {
        log::info("thread ", t, " ", std::string(100, static_cast<char>('a' + t)), " end");
        log::set_status_line(cat("status ", i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(LogCase, DISABLED_Status) {
  log::set_status_line("working " + std::string(100, '#'));
  log::info("a line");
  log::set_status_line("");
  log::info("done");
}

TEST(LogCase, DISABLED_Progress) {
  Progress progress("train", "step", 4, 0, /*plain_every=*/0.05);
  for (int i = 1; i <= 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    progress.update(i, cat("loss 0.", i));
  }
  progress.finish();
  progress.finish();
}

TEST(LogCase, DISABLED_ProgressCutShort) {
  Progress progress("index", "file", 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(110));
  progress.update(3);
}

TEST(LogCase, DISABLED_ProgressAtItsStart) {
  Progress progress("sampling", "sample", 4, 0, /*plain_every=*/0.05);
  std::this_thread::sleep_for(std::chrono::milliseconds(110));
  progress.update(0);
}

TEST(Log, PlainLines) {
  const std::string text = run_case("Levels", Output::pipe);
  EXPECT_THAT(text, MatchesRegex("[0-9:]{8} plain 1 \\{\\}\n[0-9:]{8} warning: careful\n[0-9:]{8} error: broken\n"));
}

TEST(Log, ColoursOnATerminalAlone) {
  EXPECT_THAT(run_case("Levels", Output::terminal), ContainsRegex("\x1b\\[[0-9;]*m.*warning: "));
  EXPECT_THAT(run_case("Levels", Output::pipe), Not(HasSubstr("\x1b")));
}

TEST(Log, OtherRanksAreNamedAndQuiet) {
  EXPECT_THAT(run_case("Rank", Output::pipe), MatchesRegex("[0-9:]{8} warning: \\[rank 2\\] loud\n"));
}

TEST(Log, FileHoldsAllLinesWithTheirDate) {
  const TemporaryFolder folder;
  const std::string file = folder.file("log.txt", "earlier\n").string();
  EXPECT_THAT(run_case("File", Output::pipe, file), MatchesRegex("[0-9:]{8} before\n"));
  const std::string date = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\\.[0-9]{3} ";
  EXPECT_THAT(read_file(file), MatchesRegex("earlier\n" + date + "debug: detail\n" + date + "error: why it ended\n" +
                                            date + "\\[rank 1\\] quiet\n"));
}

TEST(Log, FileThatCannotBeOpened) {
  const TemporaryFolder folder;
  try {
    log::open_file(folder.file("a", "") / "log.txt");
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("cannot open the log"), HasSubstr("log.txt")));
  }
}

TEST(Log, AFullDiskIsSaidOnceAndStopsNothing) {
  const std::string text = run_case("FullDisk", Output::pipe);
  EXPECT_THAT(text, AllOf(HasSubstr("first\n"), HasSubstr("second\n"), HasSubstr("error: cannot write the log")));
  EXPECT_EQ(text.find("cannot write"), text.rfind("cannot write"));
}

TEST(Log, ControlCharactersAreShownNotSent) {
  EXPECT_THAT(run_case("Hostile", Output::pipe), HasSubstr("file \\x1b[2J\\x0d\\x07 name\n"));
}

TEST(Log, ThreadsDoNotMixLines) {
  const std::vector<std::string> lines = split(trim(run_case("Threads", Output::pipe)), '\n');
  EXPECT_EQ(lines.size(), 400);
  for (const std::string& line : lines) {
    ASSERT_THAT(line, MatchesRegex("[0-9:]{8} thread [0-3] (a{100}|b{100}|c{100}|d{100}) end"));
  }
}

TEST(StatusLine, IsWipedAndDrawnAgain) {
  const std::string text = run_case("Status", Output::terminal);
  const std::string status = "working " + std::string(31, '#');  // one column less than the terminal has
  EXPECT_THAT(text,
              AllOf(HasSubstr(status + "\r\x1b[K"), HasSubstr("a line\r\n" + status), Not(HasSubstr(status + "#"))));
  EXPECT_THAT(text, ContainsRegex("\r\x1b\\[K[0-9:]{8} done\r\n$"));
}

TEST(StatusLine, IsNotForPipes) {
  EXPECT_THAT(run_case("Status", Output::pipe), MatchesRegex("[0-9:]{8} a line\n[0-9:]{8} done\n"));
}

TEST(Progress, PlainLines) {
  const std::string text = run_case("Progress", Output::pipe);
  EXPECT_THAT(text, ContainsRegex("train step 1/4, [0-9.]+ steps/s, [0-9.]+ s left, loss 0\\.1\n"));
  EXPECT_THAT(text, ContainsRegex("train step 4/4, [0-9.]+ steps/s, took 0\\.[0-9] s, loss 0\\.4\n$"));
  EXPECT_EQ(text.find("took"), text.rfind("took"));
}

TEST(Progress, SaysNoRateBeforeAnythingIsDone) {
  EXPECT_THAT(run_case("ProgressAtItsStart", Output::pipe), MatchesRegex("[0-9:]{8} sampling sample 0/4\n"));
}

TEST(Progress, BarOnATerminal) {
  const std::string text = run_case("Progress", Output::terminal);
  EXPECT_THAT(text, HasSubstr("train [############............] step 2"));
  EXPECT_THAT(text, ContainsRegex("\r\x1b\\[K[0-9:]{8} train step 4/4"));
}

TEST(Progress, LeavesNoBarWhenItIsCutShort) {
  const std::string text = run_case("ProgressCutShort", Output::terminal);
  EXPECT_THAT(text, HasSubstr("index file 3, "));
  EXPECT_TRUE(text.ends_with("\r\x1b[K")) << text;
}

}  // namespace
}  // namespace gigacat
