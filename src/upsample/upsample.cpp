// Files in, files out: made, kept or made anew.
#include "gigacat/upsample/upsample.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/core/progress.h"
#include "gigacat/core/resumable_folder.h"
#include "gigacat/core/text.h"
#include "gigacat/dist/device.h"
#include "gigacat/io/png_writer.h"
#include "upsample/plan.h"
#include "upsample/result_record.h"

namespace gigacat::upsample {
namespace {

constexpr uint64_t kMostBytes = 512ull << 20;  // of an image file
constexpr int64_t kMostPixels = 1ll << 32;     // of a result

std::string read_bytes(const std::string& from) {
  if (from != "-") return read_file(from, kMostBytes);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

bool is_transparent(const io::Image& image) {
  if (image.channels != 4) return false;
  for (size_t i = 3; i < image.pixels.size(); i += 4)
    if (image.pixels[i] != 255) return true;
  return false;
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

// Returns whether transparency was lost, which JPEG has none of.
bool run(const Job& job, Upsampler& upsampler, int64_t scale, const std::function<void(double)>& progress) {
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
  return job.format == "jpg" && is_transparent(image);
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

// What is not read, and what a call that was killed has left.
void prepare_outputs(const Plan& plan) {
  for (const data::LeftOut& item : plan.left_out) log::warn("left out: ", item.text());
  if (!plan.results.empty())
    log::info("results of earlier calls are not enlarged again: ", plan.results.size(), ", such as ", plan.results[0]);
  std::set<fs::path> folders;
  for (const Job& job : plan.jobs)
    if (job.out != "-") folders.insert(job.out.parent_path());
  for (const fs::path& folder : folders) remove_stale_temporaries(folder);
}

void warn_of_white(const std::vector<std::string>& flattened) {
  if (flattened.empty()) return;
  log::warn("JPEG has no transparency, so it was laid on white: ", flattened.size(), " images, such as ", flattened[0],
            "; PNG and WebP keep it");
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
  const bool single = is_single(request);
  ResultRecord record(single ? "." : request.out);
  const Plan plan = make_plan(request, record);
  const std::vector<Job>& jobs = plan.jobs;
  Upsampler upsampler(request.weights, request.options, load_options(request));
  if (!single) check_folder(request, upsampler);
  prepare_outputs(plan);

  UpsampleReport report;
  std::vector<std::string> flattened;
  Progress progress("upsampling", "image", static_cast<int64_t>(jobs.size()));
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    const auto before = static_cast<int64_t>(i);
    progress.update(before);
    const bool is_there = !single && fs::exists(job.out);
    if (is_there && (job.may_be_the_users || record.is_current(job.in, job.out))) {
      ++report.kept;
      continue;
    }
    try {
      const ResultRecord::Stamp input = ResultRecord::stamp_of(job.in);
      if (run(job, upsampler, request.options.scale,
              [&](double share) { progress.update(before, cat(std::lround(100 * share), "% of ", job.in)); }))
        flattened.push_back(job.in);
      if (!single) record.add(job.out, input);
      ++report.written;
      if (is_there) ++report.renewed;
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
  warn_of_white(flattened);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::upsample
