#include "dist/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "../src/dist/sockets.h"
#include "gigacat/core/error.h"
#include "paths.h"

extern char** environ;

namespace gigacat::test {

using Clock = std::chrono::steady_clock;

namespace {

std::vector<std::string> environment_with(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!variables.contains(text.substr(0, text.find('=')))) out.push_back(text);
  }
  for (const auto& [name, value] : variables)
    if (!value.empty()) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Program::Program(const std::vector<std::string>& command, const std::map<std::string, std::string>& variables) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2: ", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  const std::vector<std::string> environment = environment_with(variables);
  const int code = ::posix_spawn(&process_, command[0].c_str(), &actions, nullptr, pointers(command).data(),
                                 pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  output_ = ends[0];
  if (code != 0) fail("cannot start ", command[0], ": ", std::strerror(code));
}

Program::~Program() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ::close(output_);
}

void Program::signal(int number) const { ::kill(process_, number); }

bool Program::read_some(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd watched{output_, POLLIN, 0};
  if (left <= 0 || ::poll(&watched, 1, static_cast<int>(left)) <= 0) return false;
  std::array<char, 4096> buffer;
  const ssize_t bytes = ::read(output_, buffer.data(), buffer.size());
  if (bytes <= 0) return false;
  text_.append(buffer.data(), static_cast<size_t>(bytes));
  return true;
}

bool Program::wait_for(const std::string& text, double seconds) {
  const auto deadline = in_seconds(seconds);
  while (text_.find(text) == std::string::npos)
    if (!read_some(deadline)) return false;
  return true;
}

Result Program::finish(double seconds) {
  const auto deadline = in_seconds(seconds);
  while (read_some(deadline)) {
  }
  int status = 0;
  bool slow = false;
  while (::waitpid(process_, &status, WNOHANG) == 0) {
    slow = Clock::now() > deadline;
    if (slow) ::kill(process_, SIGKILL);
    ::usleep(5000);
  }
  process_ = -1;
  const std::chrono::duration<double> took = Clock::now() - began_;
  const int code = slow ? -1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return {code, text_, took.count()};
}

std::vector<std::string> worker(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{std::string(test::bin_dir()) + "/dist_worker"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Result run_ranks(int ranks, const std::vector<std::string>& scenario) {
  std::vector<std::string> arguments{"launch", std::to_string(ranks)};
  arguments.insert(arguments.end(), scenario.begin(), scenario.end());
  return Program(worker(arguments)).finish();
}

std::map<std::string, std::string> rank_variables(int rank, int world, int port) {
  return {{"RANK", std::to_string(rank)},
          {"WORLD_SIZE", std::to_string(world)},
          {"LOCAL_RANK", std::to_string(rank)},
          {"LOCAL_WORLD_SIZE", std::to_string(world)},
          {"MASTER_ADDR", "127.0.0.1"},
          {"MASTER_PORT", std::to_string(port)},
          {"OMP_NUM_THREADS", "1"}};
}

int free_port() {
  const int socket = dist::listen_at("127.0.0.1", 0, 1);
  const int port = dist::port_of(socket);
  ::close(socket);
  return port;
}

}  // namespace gigacat::test
