// Files in, files out: which, under what names, in what format.
#include "gigacat/upsample/upsample.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/core/progress.h"
#include "gigacat/core/resumable_folder.h"
#include "gigacat/core/text.h"
#include "gigacat/dist/device.h"
#include "gigacat/io/folder.h"
#include "gigacat/io/png_writer.h"

namespace gigacat::upsample {
namespace {

constexpr uint64_t kMostBytes = 512ull << 20;  // of an image file
constexpr int64_t kMostPixels = 1ll << 32;     // of a result

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "png", "jpg", "webp"; "" for others.
std::string format_of(const fs::path& path) {
  const std::string extension = lower(path.extension().string());
  if (extension == ".jpg" || extension == ".jpeg") return "jpg";
  return extension == ".png" || extension == ".webp" ? extension.substr(1) : "";
}

struct Job {
  std::string in;  // "-": standard input
  fs::path out;    // "-": standard output
  std::string format;
};

// Relative to `folder`; results in a folder within it are not read again.
std::vector<std::string> images_below(const fs::path& folder, const fs::path& out) {
  std::vector<std::string> found = io::list_files(folder, io::is_image, {out});
  if (found.empty()) fail<UsageError>(folder.string(), " holds no image (.png, .jpg, .webp, .bmp)");
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

// One image to one file of the output's own name.
bool is_single(const UpsampleRequest& request) {
  return request.out == "-" || (request.inputs.size() == 1 && !fs::is_directory(request.inputs[0]) &&
                                !fs::is_directory(request.out) && !format_of(request.out).empty());
}

std::vector<Job> plan(const UpsampleRequest& request) {
  if (request.inputs.empty()) fail<UsageError>("no image is given");
  if (request.out.empty()) fail<UsageError>("no output is given: -o FILE or -o FOLDER");
  if (is_single(request)) {
    if (request.inputs.size() != 1) fail<UsageError>("standard output takes one image, not ", request.inputs.size());
    std::string format = request.out == "-" ? request.extension : format_of(request.out);
    return {{request.inputs[0], request.out, format == "auto" ? "png" : format}};
  }
  std::vector<Job> jobs;
  for (const std::string& input : request.inputs) {
    if (input == "-") fail<UsageError>("standard input needs a file or - as output, not a folder");
    if (fs::is_directory(input)) {
      for (const std::string& name : images_below(input, request.out))
        jobs.push_back(job_of(fs::path(input) / name, name, request));
    } else {
      jobs.push_back(job_of(input, fs::path(input).filename(), request));
    }
  }
  std::map<std::string, std::string> taken;
  for (const Job& job : jobs) {
    const auto [at, fresh] = taken.emplace(job.out.string(), job.in);
    if (!fresh) fail<UsageError>(at->second, " and ", job.in, " would both become ", job.out.string());
    if (fs::exists(job.out) && fs::exists(job.in) && fs::equivalent(job.out, job.in))
      fail<UsageError>(job.in, " would be written over: give another folder or --suffix");
  }
  return jobs;
}

std::string read_bytes(const std::string& from) {
  if (from != "-") return read_file(from, kMostBytes);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

// RGBA on white.
io::Image on_white(const io::Image& image) {
  io::Image flat{image.height, image.width, 3, std::vector<uint8_t>(image.pixels.size() / 4 * 3)};
  for (size_t i = 0; i < image.pixels.size() / 4; ++i) {
    const int alpha = image.pixels[4 * i + 3];
    for (size_t c = 0; c < 3; ++c)
      flat.pixels[3 * i + c] =
          static_cast<uint8_t>((image.pixels[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
  return flat;
}

// JPEG or WebP, which need the whole image; PNG is written row by row.
std::string encode(const io::Image& image, const std::string& format, const std::string& icc) {
  if (format == "jpg") return io::encode_jpeg(image.channels == 4 ? on_white(image) : image, 95, icc);
  return io::encode_webp(image, 95, icc);
}

using Sink = std::function<void(std::string_view)>;

// What `fill` gives to its sink, complete or not at all where it is a file.
void write_out(const fs::path& to, const std::function<void(const Sink&)>& fill) {
  if (to == "-") {
    fill([](std::string_view bytes) { std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size())); });
    if (!std::cout.flush()) fail("cannot write to standard output");
    return;
  }
  if (to.has_parent_path()) fs::create_directories(to.parent_path());
  write_atomically(to, [&](FileWriter& file) { fill([&](std::string_view bytes) { file.write(bytes); }); });
}

void run(const Job& job, Upsampler& upsampler, int64_t scale, const std::function<void(double)>& progress) {
  const std::string bytes = read_bytes(job.in);
  const auto span = std::as_bytes(std::span(bytes));
  const io::ImageHeader header = io::probe_image(span, job.in);
  if (header.height * header.width > kMostPixels / (scale * scale))
    fail(job.in, ": ", header.width, " x ", header.height, " times ", scale, " is more than 2^32 pixels");
  const io::Image image = io::decode_image(span, job.in, {.keep_alpha = true});
  const std::string profile = io::icc_profile(span);
  write_out(job.out, [&](const Sink& sink) {
    if (job.format != "png") return sink(encode(upsampler(image, progress), job.format, profile));
    io::PngWriter png(sink, image.height * scale, image.width * scale, image.channels, profile);
    upsampler.run(
        image, [&](const io::Image& strip) { png.write_rows(strip.pixels.data(), strip.height); }, progress);
    png.finish();
  });
}

// Results of other settings must not be taken for finished ones.
void check_folder(const UpsampleRequest& request, const Upsampler& upsampler) {
  const UpsampleOptions& options = request.options;
  const nlohmann::ordered_json settings = {{"weights", upsampler.hash()},    {"scale", options.scale},
                                           {"seed", options.seed},           {"blend", options.blend},
                                           {"tile", options.tile},           {"overlap", options.overlap},
                                           {"precision", request.precision}, {"prompt", options.prompt}};
  ResumableFolder(request.out, ".upsample.json", {.accepts_others = true}).prepare(settings);
}

weights::LoadOptions load_options(const UpsampleRequest& request) {
  const auto type = request.precision == "fp32" ? at::kFloat
                    : request.precision == "bf16"
                        ? at::kBFloat16
                        : throw UsageError("precision is fp32 or bf16, not " + request.precision);
  return {.device = dist::choose_device(request.device, 0), .dtype = type};
}

}  // namespace

UpsampleReport upsample_files(const UpsampleRequest& request) {
  const auto began = std::chrono::steady_clock::now();
  const std::vector<std::string> known = {"auto", "png", "jpg", "webp"};
  if (std::find(known.begin(), known.end(), request.extension) == known.end())
    fail<UsageError>("extension \"", request.extension, "\"; known: ", join(known));
  const std::vector<Job> jobs = plan(request);
  Upsampler upsampler(request.weights, request.options, load_options(request));
  const bool single = is_single(request);
  if (!single) check_folder(request, upsampler);

  UpsampleReport report;
  Progress progress("upsampling", "image", static_cast<int64_t>(jobs.size()));
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    const auto before = static_cast<int64_t>(i);
    progress.update(before);
    if (!single && fs::exists(job.out)) {
      ++report.kept;
      continue;
    }
    try {
      run(job, upsampler, request.options.scale,
          [&](double share) { progress.update(before, cat(std::lround(100 * share), "% of ", job.in)); });
      ++report.written;
    } catch (const UsageError&) {
      throw;
    } catch (const InternalError&) {
      throw;
    } catch (const Error& error) {
      report.failed.push_back(error.what());
    }
  }
  progress.update(static_cast<int64_t>(jobs.size()));
  progress.finish();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::upsample
