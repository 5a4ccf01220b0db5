// Signals of a process that waits for others.
#pragma once

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "gigacat/core/error.h"

namespace gigacat::dist {

// Signals as readable events for as long as it lives; this thread gets them in no other way.
class SignalQueue {
 public:
  SignalQueue() {
    ::sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD}) ::sigaddset(&set_, number);
    if (const int code = ::pthread_sigmask(SIG_BLOCK, &set_, &before_))
      fail("cannot block signals: ", std::strerror(code));
    descriptor_ = ::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) fail("cannot receive signals: ", std::strerror(errno));
  }
  ~SignalQueue() {
    ::close(descriptor_);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  int descriptor() const { return descriptor_; }
  std::optional<int> next() {
    signalfd_siginfo info{};
    if (::read(descriptor_, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
  }

 private:
  sigset_t set_, before_;
  int descriptor_ = -1;
};

}  // namespace gigacat::dist
