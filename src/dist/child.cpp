#include "dist/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "gigacat/core/error.h"

extern char** environ;

namespace gigacat::dist {
namespace {

constexpr size_t kLongestLine = 1 << 16;  // a child that prints no line ends must not fill the launcher's memory

struct Pipe {
  int read = -1, write = -1;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe: ", std::strerror(errno));
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) fail("cannot set up a pipe: ", std::strerror(errno));
  return {ends[0], ends[1]};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));  // exec's old signature
  out.push_back(nullptr);
  return out;
}

void check_spawn(int code) {
  if (code != 0) fail("cannot start a process: ", std::strerror(code));
}

// What a child starts with: its streams, all signals free, a process group of its own so that Ctrl-C reaches it only
// once, through the launcher.
class SpawnSetup {
 public:
  SpawnSetup(const Pipe& out, const Pipe& error, int inherited) {
    check_spawn(::posix_spawn_file_actions_init(&actions_));
    check_spawn(::posix_spawnattr_init(&attributes_));
    check_spawn(::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
    check_spawn(::posix_spawn_file_actions_adddup2(&actions_, out.write, STDOUT_FILENO));
    check_spawn(::posix_spawn_file_actions_adddup2(&actions_, error.write, STDERR_FILENO));
    if (inherited >= 0) check_spawn(::posix_spawn_file_actions_adddup2(&actions_, inherited, 3));
    sigset_t none, usual;
    ::sigemptyset(&none);
    ::sigemptyset(&usual);
    for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGPIPE, SIGCHLD}) ::sigaddset(&usual, number);
    check_spawn(::posix_spawnattr_setsigmask(&attributes_, &none));
    check_spawn(::posix_spawnattr_setsigdefault(&attributes_, &usual));
    check_spawn(::posix_spawnattr_setpgroup(&attributes_, 0));
    check_spawn(::posix_spawnattr_setflags(&attributes_,
                                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP));
  }
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

LineStream::LineStream(int source, int target, std::string prefix)
    : source_(source), target_(target), prefix_(std::move(prefix)) {}

LineStream::LineStream(LineStream&& other) noexcept
    : source_(std::exchange(other.source_, -1)),
      target_(other.target_),
      prefix_(std::move(other.prefix_)),
      rest_(std::move(other.rest_)),
      last_line_(std::move(other.last_line_)),
      last_error_(std::move(other.last_error_)) {}

LineStream::~LineStream() { close_source(); }

void LineStream::close_source() {
  if (source_ >= 0) ::close(source_);
  source_ = -1;
}

void LineStream::pump() {
  std::array<char, 1 << 14> buffer;
  while (open()) {
    const ssize_t bytes = ::read(source_, buffer.data(), buffer.size());
    if (bytes > 0) {
      take({buffer.data(), static_cast<size_t>(bytes)});
    } else if (bytes == 0 || (errno != EINTR && errno != EAGAIN)) {
      if (!rest_.empty()) write_line(rest_);
      rest_.clear();
      close_source();
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

void LineStream::take(std::string_view bytes) {
  rest_ += bytes;
  size_t begin = 0;
  for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
    write_line(std::string_view(rest_).substr(begin, end - begin));
  rest_.erase(0, begin);
  if (rest_.size() <= kLongestLine) return;
  write_line(rest_);
  rest_.clear();
}

void LineStream::write_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") != std::string_view::npos) last_line_ = line;
  if (line.find("error:") != std::string_view::npos) last_error_ = line;
  const std::string text = cat(prefix_, line, "\n");
  for (size_t done = 0; done < text.size();) {
    const ssize_t bytes = ::write(target_, text.data() + done, text.size() - done);
    if (bytes < 0 && errno != EINTR && errno != EAGAIN) return;  // nobody reads the launcher's output: the run goes on
    if (bytes > 0) done += static_cast<size_t>(bytes);
  }
}

void Child::signal(int number) const {
  if (running) ::kill(-process, number);
}

bool Child::has_ended() {
  int status = 0;
  if (!running || ::waitpid(process, &status, WNOHANG) != process) return false;
  running = false;
  code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

// This process' environment with some variables set anew.
std::vector<std::string> with_variables(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry, name = text.substr(0, text.find('='));
    const auto same = [&](const auto& variable) { return variable.first == name; };
    if (std::none_of(variables.begin(), variables.end(), same)) out.emplace_back(text);
  }
  for (const auto& [name, value] : variables) out.push_back(name + "=" + value);
  return out;
}

Child start_child(const ChildStreams& streams, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& environment, int inherited) {
  const Pipe out = make_pipe(), error = make_pipe();
  Child child{streams.rank, 0, LineStream(out.read, streams.out, streams.out_prefix),
              LineStream(error.read, streams.error, streams.error_prefix)};
  const SpawnSetup setup(out, error, inherited);
  const int code = ::posix_spawn(&child.process, "/proc/self/exe", &setup.actions_, &setup.attributes_,
                                 pointers(arguments).data(), pointers(environment).data());
  ::close(out.write);
  ::close(error.write);
  if (code != 0) fail("cannot start process ", streams.rank, ": ", std::strerror(code));
  return child;
}

}  // namespace gigacat::dist
