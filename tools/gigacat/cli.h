// What the commands share: how they are declared, and how a failure ends the program.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace gigacat::cli {

inline constexpr int kOk = 0, kFailure = 1, kUsage = 2, kInternal = 3;

// The command that was chosen, to be run once the whole command line has been understood.
using Chosen = std::function<int()>;

// Each declares one command on `app`; when it is given, `chosen` is set.
void add_train(CLI::App& app, Chosen& chosen);
void add_sample(CLI::App& app, Chosen& chosen);
void add_eval(CLI::App& app, Chosen& chosen);
void add_data(CLI::App& app, Chosen& chosen);
void add_data_encode(CLI::App& data, Chosen& chosen);  // on `data`, as the next
void add_data_filter(CLI::App& data, Chosen& chosen);
void add_upsample(CLI::App& app, Chosen& chosen);
void add_edit(CLI::App& app, Chosen& chosen);
void add_config(CLI::App& app, Chosen& chosen);
void add_sweep(CLI::App& app, Chosen& chosen);
void add_report(CLI::App& app, Chosen& chosen);
void add_weights(CLI::App& app, Chosen& chosen);
void add_import(CLI::App& app, Chosen& chosen);
void add_export(CLI::App& app, Chosen& chosen);
void add_info(CLI::App& app, Chosen& chosen);
void add_doctor(CLI::App& app, Chosen& chosen);
void add_completion(CLI::App& app, Chosen& chosen);
void add_man(CLI::App& app, Chosen& chosen);
void add_version(CLI::App& app, Chosen& chosen);

// A command with its example at the foot of the help.
CLI::App* add_command(CLI::App& parent, const std::string& name, const std::string& help, const std::string& example);
// Trailing words KEY.SUB=VALUE.
void add_overrides(CLI::App& command, std::vector<std::string>& overrides);
// A number in 1..most.
void add_count(CLI::App& command, const std::string& flag, int& value, int most, const std::string& help,
               const std::string& group);
// What to add to an error about words that should not be there: how a pattern is quoted, when one of them names a file;
// "" otherwise. `before`: stands before the pattern, as "data.path=".
std::string quote_hint(const std::vector<std::string>& words, const std::string& before = "");
// A folder to write, after a pattern of shards. Errors: UsageError when it is a file.
void check_out_folder(const std::string& out);
// Errors: UsageError for a word without "=" and for a key that is given twice.
void check_overrides(const std::vector<std::string>& overrides);

// Runs `body`; prints its exception as "error: ..." on stderr. Returns the exit code.
int guarded(const std::function<int()>& body);

// Version, compiler and libraries in lines; `gigacat version` prints only the first.
std::string version_line();

}  // namespace gigacat::cli
