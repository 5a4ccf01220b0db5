// What the tests of io share.
#pragma once

#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "paths.h"

namespace gigacat::io {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline fs::path golden(const std::string& name) { return fs::path(test::source_dir()) / "tests/golden" / name; }

// The text of the Error that `call` throws; an InternalError or no error fails the test.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const InternalError& error) {
    ADD_FAILURE() << "an internal error: " << error.what();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

// Bad input may be read or refused; anything but Error fails the test, and a crash ends it.
template <class Call>
bool is_accepted(const Call& call) {
  try {
    call();
    return true;
  } catch (const InternalError& error) {
    ADD_FAILURE() << "an internal error: " << error.what();
  } catch (const Error&) {
  }
  return false;
}

// A file that replaces the last one so made. Some file systems write to disk when an existing file is cut and written
// again.
inline fs::path fresh_file(const TemporaryFolder& folder, const std::string& content) {
  fs::remove(folder / "fresh");
  return folder.file("fresh", content);
}

struct Ran {
  int code = -1;
  std::string output;
};

// Runs a shell command; output holds stdout and stderr.
inline Ran run(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen(("( " + command + " ) 2>&1").c_str(), "r");
  if (!pipe) return ran;
  std::array<char, 4096> buffer;
  for (size_t read; (read = ::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    ran.output.append(buffer.data(), read);
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

}  // namespace gigacat::io
