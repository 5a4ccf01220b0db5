#include "dist/children.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <utility>

#include "gigacat/core/error.h"

extern char** environ;

namespace gigacat::dist {
namespace {

constexpr size_t kLongestLine = 1 << 16;  // a child that prints no line ends must not fill this process's memory

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

LineStream& LineStream::operator=(LineStream&& other) noexcept {
  std::swap(source_, other.source_);
  target_ = other.target_;
  prefix_.swap(other.prefix_);
  rest_.swap(other.rest_);
  last_line_.swap(other.last_line_);
  last_error_.swap(other.last_error_);
  return *this;
}

LineStream::~LineStream() {
  if (open()) ::close(source_);
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
      ::close(std::exchange(source_, -1));
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
    if (bytes < 0 && errno != EINTR && errno != EAGAIN) return;  // nobody reads this process's output: the run goes on
    if (bytes > 0) done += static_cast<size_t>(bytes);
  }
}

namespace {

// This process's environment with some variables set on top, as NAME=VALUE.
std::vector<std::string> environment_with(const Variables& variables) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry, name = text.substr(0, text.find('='));
    const auto same = [&](const auto& variable) { return variable.first == name; };
    if (std::none_of(variables.begin(), variables.end(), same)) out.emplace_back(text);
  }
  for (const auto& [name, value] : variables) out.push_back(name + "=" + value);
  return out;
}

// True when it has ended; sets its code.
bool has_ended(Child& child) {
  int status = 0;
  if (::waitpid(child.process, &status, WNOHANG) != child.process) return false;
  child.killed = WIFSIGNALED(status);
  child.code = child.killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

void pump(Child& child) {
  child.out.pump();
  child.error.pump();
}

}  // namespace

void Children::start(const ChildSetup& setup) {
  Variables variables = setup.variables;
  variables.emplace_back(kLauncherVariable, std::to_string(::getpid()));
  if (setup.threads > 0 && std::getenv("OMP_NUM_THREADS") == nullptr)
    variables.emplace_back("OMP_NUM_THREADS", std::to_string(setup.threads));
  const std::vector<std::string> environment = environment_with(variables);
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string()};
  command.insert(command.end(), setup.arguments.begin(), setup.arguments.end());

  const Pipe out = make_pipe(), error = make_pipe();
  Child child{setup.number, 0, LineStream(out.read, setup.out, setup.out_prefix),
              LineStream(error.read, setup.error, setup.error_prefix)};
  const SpawnSetup spawn(out, error, setup.inherited);
  const int code = ::posix_spawn(&child.process, "/proc/self/exe", &spawn.actions_, &spawn.attributes_,
                                 pointers(command).data(), pointers(environment).data());
  ::close(out.write);
  ::close(error.write);
  if (code != 0) fail("cannot start process ", setup.number, ": ", std::strerror(code));
  running_.push_back(std::move(child));
}

Children::~Children() { signal(SIGKILL); }

void Children::signal(int number) const {
  for (const Child& child : running_) ::kill(-child.process, number);
}

std::vector<Child> Children::wait() {
  std::vector<pollfd> watched{{signals_.descriptor(), POLLIN, 0}};
  for (const Child& child : running_)
    for (const LineStream* stream : {&child.out, &child.error})
      if (stream->open()) watched.push_back({stream->source(), POLLIN, 0});
  ::poll(watched.data(), watched.size(), 200);  // milliseconds
  while (const std::optional<int> number = signals_.next()) {
    if (*number == SIGCHLD) continue;
    stop_signal_ = *number;
    signal(*number);
  }
  for (Child& child : running_) pump(child);
  const auto first =
      std::stable_partition(running_.begin(), running_.end(), [](Child& child) { return !has_ended(child); });
  std::vector<Child> ended(std::make_move_iterator(first), std::make_move_iterator(running_.end()));
  running_.erase(first, running_.end());
  for (Child& child : ended) pump(child);  // what it wrote last
  return ended;
}

}  // namespace gigacat::dist
