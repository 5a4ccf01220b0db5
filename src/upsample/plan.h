// Which files a call reads and writes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/data/source.h"
#include "gigacat/upsample/upsample.h"
#include "upsample/result_record.h"

namespace gigacat::upsample {

struct Job {
  std::string in;                 // "-": standard input
  std::filesystem::path out;      // "-": standard output
  std::string format;             // png, jpg, webp
  bool from_folder = false;       // a folder was given, not the file
  bool may_be_the_users = false;  // what is at `out` has come as an input and is no recorded result
};

struct Plan {
  std::vector<Job> jobs;
  std::vector<data::LeftOut> left_out;  // pictures in folders that are not read
  std::vector<std::string> results;     // of earlier calls, among the inputs: not enlarged again
};

// "png", "jpg", "webp"; "" for others.
std::string format_of(const std::filesystem::path& path);
// Whether one image goes to one file of the output's own name.
bool is_single(const UpsampleRequest& request);
// Errors: UsageError as upsample_files.
Plan make_plan(const UpsampleRequest& request, const ResultRecord& record);

}  // namespace gigacat::upsample
