// Names of shards: brace ranges, globs, folders.
#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "data/left_out.h"
#include "data/webdataset/shard_names.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

constexpr size_t kMostShards = 1'000'000;

[[noreturn]] void refuse(const std::string& pattern, std::string_view reason) {
  fail<UsageError>("data.path: ", pattern, ": ", reason);
}

void check_count(size_t count, const std::string& pattern) {
  if (count > kMostShards) refuse(pattern, "names more than 1,000,000 shards");
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "000000..000127": numbers of the first one's width.
std::vector<std::string> range_items(const std::string& body, const std::string& pattern) {
  const size_t dots = body.find("..");
  const std::string first = body.substr(0, dots), last = body.substr(dots + 2);
  if (!all_digits(first) || !all_digits(last)) refuse(pattern, "a range in braces is {FIRST..LAST} with whole numbers");
  const int64_t from = std::stoll(first), to = std::stoll(last);
  if (from > to) refuse(pattern, "a range in braces runs backwards");
  if (to - from >= static_cast<int64_t>(kMostShards)) refuse(pattern, "names more than 1,000,000 shards");
  std::vector<std::string> items;
  for (int64_t i = from; i <= to; ++i) {
    const std::string digits = std::to_string(i);
    items.push_back(std::string(first.size() > digits.size() ? first.size() - digits.size() : 0, '0') + digits);
  }
  return items;
}

std::vector<std::string> brace_items(const std::string& body, const std::string& pattern) {
  if (body.find("..") != std::string::npos) return range_items(body, pattern);
  if (body.find(',') == std::string::npos) refuse(pattern, "braces hold neither a range {0..9} nor a list {a,b}");
  return split(body, ',');
}

std::vector<std::string> expand_braces(const std::string& pattern) {
  std::vector<std::string> done = {""};
  size_t at = 0;
  while (at < pattern.size()) {
    const size_t open = pattern.find('{', at);
    const std::string plain = pattern.substr(at, open == std::string::npos ? open : open - at);
    if (plain.find('}') != std::string::npos) refuse(pattern, "a closing brace without an opening one");
    for (std::string& text : done) text += plain;
    if (open == std::string::npos) break;
    const size_t close = pattern.find('}', open);
    if (close == std::string::npos) refuse(pattern, "an opening brace is not closed");
    const std::vector<std::string> items = brace_items(pattern.substr(open + 1, close - open - 1), pattern);
    check_count(done.size() * items.size(), pattern);
    std::vector<std::string> next;
    for (const std::string& text : done) {
      for (const std::string& item : items) next.push_back(text + item);
    }
    done = std::move(next);
    at = close + 1;
  }
  return done;
}

bool has_wildcard(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

void add_matches(const std::string& pattern, std::vector<std::string>& paths) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &found);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> guard(&found, ::globfree);
  if (status != 0 && status != GLOB_NOMATCH) refuse(pattern, "the folder cannot be read");
  for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
}

}  // namespace

bool is_shard_pattern(const std::string& path) {
  return path.ends_with(".tar") || is_compressed_tar(path) || path.find('{') != std::string::npos || has_wildcard(path);
}

std::vector<std::string> expand_shards(const std::string& pattern) {
  std::vector<std::string> paths;
  for (const std::string& text : expand_braces(pattern)) {
    if (has_wildcard(text))
      add_matches(text, paths);
    else
      paths.push_back(text);
    check_count(paths.size(), pattern);
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

std::vector<std::string> find_shards(const std::string& path, std::vector<LeftOut>& left_out) {
  std::vector<std::string> shards;
  if (io::is_folder(path)) {
    LeftOutCounter others;
    const auto wanted = [&](std::string_view file) {
      if (io::suffix(file) == "tar") return true;
      if (is_compressed_tar(file))
        others.add(cat("compressed shards (", unpack_command(file), " FILE)"), file);
      else if (io::is_image(file))
        others.add("pictures beside the shards, which are what is read (data.kind=folder reads the pictures)", file);
      else if (is_array(file))
        others.add("arrays beside the shards, which are what is read (name them in data.path)", file);
      else
        others.add_unread(file, [&] { return head_of((fs::path(path) / file).string()); });
      return false;
    };
    for (const std::string& name : io::list_files(path, wanted)) shards.push_back((fs::path(path) / name).string());
    left_out.insert(left_out.end(), others.items().begin(), others.items().end());
  } else {
    shards = expand_shards(path);
  }
  if (shards.empty()) fail<UsageError>("data.path: no shard (.tar) matches ", path);
  for (const std::string& shard : shards) {
    if (is_compressed_tar(shard))
      fail<UsageError>("data.path: ", shard,
                       " is compressed; samples are read in any order, so unpack it: ", unpack_command(shard), " ",
                       shard);
    if (io::is_image(shard))
      fail<UsageError>("data.path: ", path, " names images, such as ", shard, ": give the folder that holds them");
  }
  const auto missing = std::find_if(shards.begin(), shards.end(), [](const std::string& s) { return !io::is_file(s); });
  if (missing != shards.end())
    fail<UsageError>("data.path: the shard ", *missing, " is not there (looked for ",
                     fs::absolute(*missing).lexically_normal().string(), ")");
  return shards;
}

}  // namespace gigacat::data
