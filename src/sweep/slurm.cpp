// A sweep as a SLURM job array.
#include <sys/wait.h>

#include <cstdio>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/sweep/runner.h"

namespace gigacat::sweep {
namespace {

// As a word of a shell.
std::string shell_quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

std::string script_of(const Sweep& sweep, const RunnerOptions& options, const std::vector<std::string>& command,
                      const std::vector<std::string>& extra, const std::vector<std::string>& ids) {
  std::string text = "#!/bin/bash\n";
  const auto option = [&text](const std::string& line) { text += "#SBATCH " + line + "\n"; };
  option("--job-name=" + sweep.name);
  option(cat("--array=0-", ids.size() - 1, "%", options.jobs));
  option("--nodes=1");
  option("--ntasks=1");
  option("--output=" + (fs::absolute(sweep.folder) / "slurm-%A-%a.txt").string());
  option("--signal=B:USR1@120");  // two minutes before the time limit: a checkpoint, and the task comes back
  option("--requeue");
  for (const std::string& line : extra) option(line);
  text += "\nruns=(" + join(ids, " ") + ")\n";
  text += "cd " + shell_quoted(fs::current_path().string()) + "\n";
  // The runner starts the ranks itself: with SLURM's variables it would take itself for one of them.
  std::string call = "env -u SLURM_PROCID -u SLURM_NTASKS -u SLURM_LOCALID";
  for (const std::string& word : command) call += " " + shell_quoted(word);
  text += call + cat(" --only \"${runs[SLURM_ARRAY_TASK_ID]}\" --ranks ", options.ranks) +
          (options.retry ? " --retry" : "") + " &\n";
  text += "runner=$!\ntrap 'kill -USR1 $runner' USR1\nwait $runner; code=$?\n";
  text += "while kill -0 $runner 2>/dev/null; do wait $runner; code=$?; done\n";
  text += "[ $code -eq 138 ] && scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"\nexit $code\n";
  return text;
}

// Standard output and error of a shell's command.
std::string output_of(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) fail("cannot start ", command);
  std::string text;
  char part[512];
  while (std::fgets(part, sizeof part, pipe) != nullptr) text += part;
  const int status = ::pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail("cannot submit the sweep: ", command, ": ", text.empty() ? "it failed" : trim(text));
  return trim(text);
}

}  // namespace

std::string submit_to_slurm(const Sweep& sweep, const RunnerOptions& options, const std::vector<std::string>& command,
                            const std::vector<std::string>& extra) {
  if (!sweep.halving.metric.empty())
    fail<UsageError>(
        "halving compares runs that one process starts: leave --submit out, or take halving out of the sweep");
  std::vector<std::string> ids;
  for (const Run& run : sweep.runs) {
    const std::string status = state_of(sweep, run).status;
    if (status != "done" && (status != "failed" || options.retry)) ids.push_back(run.id);
  }
  if (ids.empty()) return "nothing to submit: all runs are done or failed";
  fs::create_directories(sweep.folder);
  const fs::path script = sweep.folder / "slurm.sh";
  write_atomically(script, script_of(sweep, options, command, extra, ids));
  return output_of("sbatch " + shell_quoted(script.string()));
}

}  // namespace gigacat::sweep
