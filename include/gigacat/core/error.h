// The three ways in which a command can fail, and the exit code of each.
#pragma once

#include <stdexcept>
#include <string>

#include "gigacat/core/text.h"

namespace gigacat {

// Something outside the program failed (a file, a device, another rank). The text says what failed, where, and what to
// do next, in one line. `main` prints it and exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command line or the config is wrong. Exit code 2. The text may hold several lines, one for each mistake.
class UsageError : public Error {
 public:
  using Error::Error;
};

// A check of our own code failed: exit code 3 and a request for a report.
class InternalError : public Error {
 public:
  using Error::Error;
};

// Throws E with its arguments joined: fail<Error>("cannot open ", path, ": ", reason).
template <class E = Error, class... Args>
[[noreturn]] void fail(const Args&... args) {
  throw E(cat(args...));
}

}  // namespace gigacat

// Checks what must hold if our own code is right; throws InternalError with the condition, the place and the values
// given.
#define GIGACAT_CHECK(condition, ...)                                                                                  \
  do {                                                                                                                 \
    if (!(condition)) [[unlikely]]                                                                                     \
      ::gigacat::fail<::gigacat::InternalError>("check failed: " #condition " at ", __FILE_NAME__, ":", __LINE__, " ", \
                                                ::gigacat::cat(__VA_ARGS__));                                          \
  } while (false)
