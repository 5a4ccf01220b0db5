#include "cli.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <new>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/core/text.h"

namespace gigacat::cli {
namespace {

int complain(const std::string& text, int code) {
  log::flush();
  // Indented lines are details of the one above.
  for (const std::string& line : split(text, '\n'))
    if (!line.empty()) std::fprintf(stderr, "%s%s\n", line.front() == ' ' ? "" : "error: ", line.c_str());
  std::fflush(stderr);
  return code;
}

// LibTorch adds a back trace of many lines.
std::string first_line(const char* what) {
  const std::vector<std::string> lines = split(what, '\n');
  return lines.empty() ? "unknown" : lines.front();
}

}  // namespace

CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->footer("\nExample:\n  " + example);
  return command;
}

void add_overrides(CLI::App& command, std::vector<std::string>& overrides) {
  command.add_option("OVERRIDES", overrides, "config values to override, as train.batch=64")->type_name("");
}

void add_count(CLI::App& command, const std::string& flag, int& value, int most, const std::string& help,
               const std::string& group) {
  CLI::Validator range = CLI::Range(1, most);
  range.description("");  // it would stand in the help as part of the type
  command.add_option(flag, value, help)->type_name("N")->check(range)->group(group);
}

void check_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& word : overrides)
    if (word.find('=') == std::string::npos || word.front() == '=')
      fail<UsageError>("'", word, "' is no override: write KEY.SUB=VALUE");
}

int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const InternalError& error) {
    return complain(cat(error.what(), "\nthis is a fault of gigacat: please report it with the command and the log"),
                    kInternal);
  } catch (const UsageError& error) {
    return complain(error.what(), kUsage);
  } catch (const Error& error) {
    return complain(error.what(), kFailure);
  } catch (const c10::Error& error) {
    return complain(first_line(error.what_without_backtrace()), kFailure);
  } catch (const std::bad_alloc&) {
    return complain("out of memory: choose a smaller batch, or more accumulation (train.accumulate)", kFailure);
  } catch (const std::exception& error) {
    return complain(first_line(error.what()), kFailure);
  }
}

}  // namespace gigacat::cli
