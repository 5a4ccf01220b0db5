#include "upsample/plan.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/io/folder.h"
#include "gigacat/io/image_file.h"

namespace gigacat::upsample {
namespace {

// Relative to `folder`; results in a folder within it are not read again.
std::vector<std::string> images_below(const fs::path& folder, const fs::path& out,
                                      std::vector<data::LeftOut>& left_out) {
  std::vector<data::LeftOut> others;
  std::vector<std::string> found = data::list_images(folder, others, {out});
  if (found.empty()) {
    std::string reasons;
    for (const data::LeftOut& item : others) reasons += "; " + item.text();
    fail<UsageError>(folder.string(), " holds no image (.png, .jpg, .webp, .bmp)", reasons);
  }
  left_out.insert(left_out.end(), others.begin(), others.end());
  return found;
}

// Where the result of `in` goes below the output folder; alpha needs a format that has it, which PNG and WebP are.
Job job_of(const fs::path& in, const fs::path& relative, const UpsampleRequest& request) {
  Job job{.in = in.string(), .out = {}, .format = request.extension};
  if (job.format == "auto") job.format = format_of(in).empty() ? "png" : format_of(in);
  job.out =
      fs::path(request.out) / relative.parent_path() / (relative.stem().string() + request.suffix + "." + job.format);
  return job;
}

void check_names(const std::vector<Job>& jobs) {
  std::map<std::string, std::string> taken;
  for (const Job& job : jobs) {
    const auto [at, fresh] = taken.emplace(job.out.string(), job.in);
    if (!fresh) fail<UsageError>(at->second, " and ", job.in, " would both become ", job.out.string());
    if (fs::exists(job.out) && fs::exists(job.in) && fs::equivalent(job.out, job.in))
      fail<UsageError>(job.in, " would be written over: give another folder or --suffix");
  }
}

// Takes out inputs that are results: in a folder those that are recorded, and what another input of the call becomes.
void leave_results(Plan& plan, const ResultRecord& record) {
  const auto leave = [&plan](const auto& is_result) {
    std::erase_if(plan.jobs, [&](const Job& job) {
      const bool leaves = is_result(job);
      if (leaves) plan.results.push_back(job.in);
      return leaves;
    });
  };
  leave([&](const Job& job) { return job.from_folder && record.holds(job.in); });
  check_names(plan.jobs);
  std::set<fs::path> inputs, made;
  for (const Job& job : plan.jobs) {
    inputs.insert(fs::weakly_canonical(job.in));
    made.insert(fs::weakly_canonical(job.out));
  }
  for (Job& job : plan.jobs)
    job.may_be_the_users = inputs.contains(fs::weakly_canonical(job.out)) && !record.holds(job.out);
  leave([&](const Job& job) { return made.contains(fs::weakly_canonical(job.in)); });
}

}  // namespace

std::string format_of(const fs::path& path) {
  const std::string ending = io::suffix(path.filename().string());
  if (ending == "jpg" || ending == "jpeg") return "jpg";
  return ending == "png" || ending == "webp" ? ending : "";
}

bool is_single(const UpsampleRequest& request) {
  return request.out == "-" || (request.inputs.size() == 1 && !fs::is_directory(request.inputs[0]) &&
                                !fs::is_directory(request.out) && !format_of(request.out).empty());
}

Plan make_plan(const UpsampleRequest& request, const ResultRecord& record) {
  if (request.inputs.empty()) fail<UsageError>("no image is given");
  if (request.out.empty()) fail<UsageError>("no output is given: -o FILE or -o FOLDER");
  if (is_single(request)) {
    if (request.inputs.size() != 1) fail<UsageError>("standard output takes one image, not ", request.inputs.size());
    std::string format = request.out == "-" ? request.extension : format_of(request.out);
    return {
        .jobs = {{request.inputs[0], request.out, format == "auto" ? "png" : format}}, .left_out = {}, .results = {}};
  }
  io::output_kind(request.out, "-o", "a .png, .jpg or .webp, or a folder");
  if (!format_of(request.out).empty() && !fs::is_directory(request.out))
    fail<UsageError>(request.out, " is the name of one image, and more are to be made: give a folder");
  Plan plan;
  for (const std::string& input : request.inputs) {
    if (input == "-") fail<UsageError>("standard input needs a file or - as output, not a folder");
    if (!fs::is_directory(input)) {
      plan.jobs.push_back(job_of(input, fs::path(input).filename(), request));
      continue;
    }
    for (const std::string& name : images_below(input, request.out, plan.left_out)) {
      plan.jobs.push_back(job_of(fs::path(input) / name, name, request));
      plan.jobs.back().from_folder = true;
    }
  }
  leave_results(plan, record);
  if (plan.jobs.empty()) fail<UsageError>("all images given are results of earlier calls, such as ", plan.results[0]);
  return plan;
}

}  // namespace gigacat::upsample
