// Letters: B images of a call, C channels and h x w cells of a latent, H x W pixels.
#include "gigacat/encode/encode.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "data/about.h"
#include "encode/encode_files.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/data/loader.h"
#include "gigacat/data/source.h"
#include "gigacat/io/image.h"
#include "gigacat/io/npy.h"
#include "gigacat/losses/alignment.h"
#include "gigacat/nn/image_tensor.h"
#include "gigacat/pretrained/features.h"

namespace gigacat::encode {
namespace {

using nlohmann::ordered_json;

constexpr size_t kNamedBad = 20;

struct Decoded {
  data::RawSample sample;
  at::Tensor pixels;   // uint8 [3, H, W]
  std::string reason;  // why there are none
};

std::string bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::string to_npy(const at::Tensor& latent) { return io::npy_header("<f4", latent.sizes()) + bytes_of(latent); }

// Sums over latents, from which mean and deviation follow.
struct Sums {
  double elements = 0, sum = 0, squares = 0;
  void add(const at::Tensor& mean) {
    const at::Tensor values = mean.to(at::kDouble);
    elements += static_cast<double>(values.numel());
    sum += values.sum().item<double>();
    squares += values.square().sum().item<double>();
  }
};

class Encoder {
 public:
  Encoder(const EncodeRequest& request, const data::Source& source, pretrained::Autoencoder& autoencoder,
          at::Device device)
      : request_(request), source_(source), autoencoder_(autoencoder), device_(device) {
    const EncodeConfig& encode = request.encode;
    if (encode.features != "none")
      features_ = pretrained::make_feature_encoder(encode.features, encode.features_weights, device);
  }

  // Encodes the images first <= i < last into `writer`; what the recipe needs to know of them.
  ordered_json operator()(int64_t first, int64_t last, PieceWriter& writer,
                          const std::function<void(int64_t)>& progress) {
    result_ = {{"samples", 0}, {"bad", ordered_json::array()}, {"labels", ordered_json::array()}};
    sums_ = {};
    for (int64_t i = first; i < last; i += request_.autoencoder.batch) {
      const int64_t end = std::min(last, i + request_.autoencoder.batch);
      batch(i, end, writer);
      progress(end - first);
    }
    result_["elements"] = sums_.elements;
    result_["sum"] = sums_.sum;
    result_["squares"] = sums_.squares;
    return std::move(result_);
  }

 private:
  std::vector<Decoded> decode(int64_t first, int64_t last) const {
    std::vector<Decoded> images(static_cast<size_t>(last - first));
    at::parallel_for(0, last - first, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Decoded& image = images[static_cast<size_t>(i)];
        try {
          image.sample = source_.read(first + i);
          image.pixels = at::empty({3, request_.data.target_height(), request_.data.target_width()}, at::kByte);
          data::decode_sample(image.sample, request_.data, /*seed=*/0, first + i, image.pixels.data_ptr<uint8_t>());
        } catch (const InternalError&) {
          throw;
        } catch (const Error& error) {
          image.reason = error.what();
        }
      }
    });
    return images;
  }

  void batch(int64_t first, int64_t last, PieceWriter& writer) {
    const std::vector<Decoded> images = decode(first, last);
    std::vector<at::Tensor> pixels;
    for (const Decoded& image : images)
      if (image.reason.empty())
        pixels.push_back(image.pixels);
      else
        result_["bad"].push_back(image.reason);
    if (pixels.empty()) return;
    const at::Tensor plain = at::stack(pixels);  // [B, 3, H, W]
    std::vector<at::Tensor> latents, features;
    for (const at::Tensor& version : versions_of(plain)) {
      latents.push_back(latents_of(version));
      if (features_) features.push_back(features_of(version));
    }

    const auto versions = static_cast<int64_t>(latents.size());
    for (int64_t i = first, b = 0; i < last; ++i) {
      const Decoded& image = images[static_cast<size_t>(i - first)];
      if (!image.reason.empty()) continue;
      for (int64_t flip = 0; flip < versions; ++flip) {
        const auto version = static_cast<size_t>(flip);
        store(image, i * versions + flip, flip == 1, latents[version][b],
              features_ ? features[version][b] : at::Tensor(), writer);
      }
      ++b;
    }
  }

  std::vector<at::Tensor> versions_of(const at::Tensor& plain) const {
    return request_.encode.flip ? std::vector<at::Tensor>{plain, plain.flip(3)} : std::vector<at::Tensor>{plain};
  }

  // [B, 3, H, W] bytes -> [B, 1 + N, F] on the CPU.
  at::Tensor features_of(const at::Tensor& pixels) const {
    const at::NoGradGuard no_grad;
    const at::Tensor input = losses::encoder_input(pixels.to(device_).to(at::kFloat), features_->input_size());
    return features_->encode(input).to(at::kCPU, at::kFloat).contiguous();
  }

  // [B, 3, H, W] bytes -> [B, C or 2C, h, w] on the CPU.
  at::Tensor latents_of(const at::Tensor& pixels) {
    const at::Tensor images = pixels.to(device_).to(at::kFloat).div_(127.5).sub_(1);
    const pretrained::Moments moments = autoencoder_.moments(images);
    sums_.add(moments.mean);
    const at::Tensor latent =
        moments.logvar.defined() ? at::cat({moments.mean, (moments.logvar / 2).exp()}, 1) : moments.mean;
    return latent.to(at::kCPU, at::kFloat).contiguous();
  }

  void store(const Decoded& image, int64_t number, bool flipped, const at::Tensor& latent, const at::Tensor& features,
             PieceWriter& writer) {
    EncodedSample sample;
    sample.number = number;
    sample.latent = to_npy(latent);
    if (features.defined()) sample.features = to_npy(features);
    if (request_.encode.keep_images)
      sample.png = io::encode_png(nn::to_image(flipped ? image.pixels.flip(2) : image.pixels));
    sample.caption = image.sample.caption;
    sample.label = image.sample.label;
    sample.about = {{"name", image.sample.name}, {"flip", flipped}};
    if (!sample.caption.empty()) sample.about["caption"] = sample.caption;
    writer.add(sample);
    if (sample.label >= 0) result_["labels"].push_back({EncodeFolder::repa_name(number), sample.label});
    result_["samples"] = result_["samples"].get<int64_t>() + 1;
  }

  const EncodeRequest& request_;
  const data::Source& source_;
  pretrained::Autoencoder& autoencoder_;
  at::Device device_;
  std::unique_ptr<pretrained::FeatureEncoder> features_;
  ordered_json result_;
  Sums sums_;
};

ordered_json settings_of(const EncodeRequest& request, const data::Source& source,
                         const pretrained::Autoencoder& autoencoder) {
  const data::DataConfig& data = request.data;
  ordered_json settings = {{"source", data::identity_of(source)},
                           {"autoencoder", autoencoder.name()},
                           {"precision", request.autoencoder.precision},
                           {"height", data.target_height()},
                           {"width", data.target_width()},
                           {"crop", data.crop},
                           {"background", data.background},
                           {"captions", data.captions ? cat("yes ", data.caption_column) : "no"},
                           {"layout", request.encode.layout},
                           {"piece", request.encode.piece},
                           {"flip", request.encode.flip},
                           {"keep_images", request.encode.keep_images}};
  if (request.encode.features != "none")
    settings["features"] = cat(request.encode.features, " ", request.encode.features_weights);
  return settings;
}

void check(const EncodeRequest& request, const data::Source& source, const pretrained::Autoencoder& autoencoder) {
  if (source.content() != data::Content::image)
    fail<UsageError>("data.path: ", request.data.path, " holds no image files; only those are encoded");
  const int64_t factor = autoencoder.factor();
  for (const int64_t side : {request.data.target_height(), request.data.target_width()})
    if (side % factor != 0)
      fail<UsageError>("data.resolution: ", side, " px is no multiple of the autoencoder's ", factor);
  if (request.data.crop == "random")
    fail<UsageError>("data.crop: each image is encoded once, so that its crop cannot be random; use adm or resize");
  if (request.encode.features != "none" && request.encode.layout != "shards")
    fail<UsageError>("encode.features: features are kept in shards: set encode.layout=shards");
  if (request.data.flip)
    fail<UsageError>("data.flip: images cannot be mirrored at random here; encode.flip stores both");
}

// The pieces' results joined; `labels` are collected beside.
EncodeReport summed(const EncodeFolder& folder, int64_t pieces, ordered_json& labels) {
  EncodeReport report;
  Sums sums;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const ordered_json result = folder.result(piece);
    if (!result.is_object()) fail("piece ", piece, " is missing though all ranks are done: run the command again");
    report.written += result.at("samples").get<int64_t>();
    report.bad += static_cast<int64_t>(result.at("bad").size());
    for (const auto& reason : result.at("bad"))
      if (report.first_bad.size() < kNamedBad) report.first_bad.push_back(reason);
    for (const auto& label : result.at("labels")) labels.push_back(label);
    sums.elements += result.at("elements").get<double>();
    sums.sum += result.at("sum").get<double>();
    sums.squares += result.at("squares").get<double>();
  }
  if (sums.elements > 0) {
    report.mean = sums.sum / sums.elements;
    report.deviation = std::sqrt(std::max(0.0, sums.squares / sums.elements - report.mean * report.mean));
  }
  return report;
}

ordered_json provenance_of(const EncodeReport& report, const ordered_json& settings, const data::Source& source) {
  ordered_json provenance = {{"kind", "latents"},   {"settings", settings},          {"latent", report.latent},
                             {"mean", report.mean}, {"deviation", report.deviation}, {"samples", report.written},
                             {"bad", report.bad}};
  const ordered_json origin = ordered_json::parse(source.provenance(), nullptr, false);
  if (origin.is_object()) provenance["source_provenance"] = origin;
  return provenance;
}

EncodeReport report_of(const ordered_json& provenance) {
  EncodeReport report;
  report.written = report.kept = provenance.at("samples");
  report.bad = provenance.at("bad");
  report.mean = provenance.at("mean");
  report.deviation = provenance.at("deviation");
  report.latent = provenance.at("latent").get<std::vector<int64_t>>();
  return report;
}

}  // namespace

void EncodeConfig::bind(config::Binder& b) {
  b.field("layout", layout, "shards", "shards: OUT/latents-NNNNNN.tar; repa: OUT/vae-sd and OUT/images",
          {.choices = {"shards", "repa"}});
  b.field("piece", piece, 1000, "images in a shard; an interrupted call begins its last piece again",
          {.min = 1, .max = 1'000'000});
  b.field("flip", flip, false, "encode each image mirrored too: twice the samples");
  b.field("keep_images", keep_images, true, "store the image beside its latent, for alignment and previews");
  std::vector<std::string> encoders = pretrained::feature_encoders();
  encoders.insert(encoders.begin(), "none");
  b.field("features", features, "none", "frozen features stored beside the latent, for loss.align=precomputed",
          {.choices = encoders});
  b.field("features_weights", features_weights, "", "file of the encoder's weights, or a known name");
  b.check("features_weights", [this]() -> std::string {
    return features.starts_with("dinov2") && features_weights.empty()
               ? cat("features ", features, " need the file of its weights")
               : "";
  });
}

EncodeReport encode_images(const EncodeRequest& request, dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  const auto source = data::open_source(request.data);
  const auto autoencoder = pretrained::make_autoencoder(request.autoencoder, group.device());
  check(request, *source, *autoencoder);
  const ordered_json settings = settings_of(request, *source, *autoencoder);
  const EncodeFolder folder(request.out, request.encode.layout);
  const ordered_json before = folder.provenance();
  dist::on_first(group, "output folder", [&] {
    folder.prepare(settings);
    return std::string();
  });
  if (before.is_object()) return report_of(before);

  const int64_t size = source->size(), piece = request.encode.piece, pieces = (size + piece - 1) / piece;
  Encoder encoder(request, *source, *autoencoder, group.device());
  Progress progress("encoding", "image", size);
  const int64_t kept = folder.fill(group, size, piece, [&](int64_t p, int64_t first, int64_t last) {
    const auto writer = folder.writer(p);
    const ordered_json result = encoder(first, last, *writer, [&](int64_t done) { progress.update(first + done); });
    writer->finish();
    return result;
  });
  progress.finish();

  ordered_json labels = ordered_json::array();
  EncodeReport report = summed(folder, pieces, labels);
  report.kept = kept;
  if (static_cast<double>(report.bad) > request.data.max_bad_fraction * static_cast<double>(size))
    fail(report.bad, " of ", size, " images cannot be decoded, more than data.max_bad_fraction ",
         request.data.max_bad_fraction, "; the first: ", report.first_bad.front());
  report.latent = {autoencoder->channels(), request.data.target_height() / autoencoder->factor(),
                   request.data.target_width() / autoencoder->factor()};
  group.barrier("results read");
  if (group.is_first()) {
    if (const auto& names = source->class_names(); !names.empty())
      write_atomically(request.out / data::kClassFile, join(names, "\n") + "\n");
    folder.complete(provenance_of(report, settings, *source), labels);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::encode
