#include "cli.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
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

// Whether a word looks like the name of a file.
bool is_path(const std::string& word) {
  std::error_code error;
  return word.find('/') != std::string::npos || word.ends_with(".tar") || std::filesystem::exists(word, error);
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

// Of a pattern without quotes the program sees what the shell makes of it.
std::string quote_hint(const std::vector<std::string>& words, const std::string& before) {
  if (std::none_of(words.begin(), words.end(), is_path)) return "";
  return cat("; a shell writes {..}, {a,b} and * out: put quotes around a pattern, '", before, "DIR/{000..127}.tar'");
}

void check_out_folder(const std::string& out) {
  std::error_code error;
  if (!std::filesystem::exists(out, error) || std::filesystem::is_directory(out, error)) return;
  fail<UsageError>("OUT: ", out, " is a file, not a folder to write", quote_hint({out}));
}

void check_overrides(const std::vector<std::string>& overrides) {
  std::map<std::string, std::string> given;
  for (const std::string& word : overrides) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      fail<UsageError>("'", word, "' is no override: write KEY.SUB=VALUE", quote_hint({word}));
    const std::string key = trim(word.substr(0, equals)), value = word.substr(equals + 1);
    const auto [before, is_new] = given.emplace(key, value);
    if (!is_new)
      fail<UsageError>(key, " is given twice, as ", before->second, " and as ", value,
                       is_path(value) ? quote_hint({value}, key + "=") : ": give it once");
  }
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
