#include "weights/download.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <thread>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/core/progress.h"

namespace gigacat::weights {
namespace {

constexpr long kSlowest = 1024;  // bytes a second

struct Transfer {
  CURL* curl;
  fs::path part;
  std::string title;
  uint64_t start = 0;  // bytes that are there already
  std::unique_ptr<FileWriter> out;
  std::unique_ptr<Progress> progress;
  std::string fault;  // of our own side
};

long status_of(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

// Opens the file at the first byte of a body: a server that ignores the range sends it from the beginning.
void open_part(Transfer& transfer) {
  const bool goes_on = transfer.start > 0 && status_of(transfer.curl) == 206;
  if (!goes_on) transfer.start = 0;
  transfer.out = std::make_unique<FileWriter>(transfer.part, /*append=*/goes_on);
}

size_t take(char* data, size_t one, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (status_of(transfer.curl) >= 300) return one * count;  // the text of an error page
  try {
    if (!transfer.out) open_part(transfer);
    transfer.out->write(data, one * count);
    return one * count;
  } catch (const std::exception& error) {
    transfer.fault = error.what();
    return CURL_WRITEFUNC_ERROR;
  }
}

int report(void* context, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (!transfer.out || total <= 0) return 0;
  const auto start = static_cast<int64_t>(transfer.start >> 20);
  if (!transfer.progress)
    transfer.progress = std::make_unique<Progress>(transfer.title, "MiB", start + (total >> 20), start);
  transfer.progress->update(start + (done >> 20));
  return 0;
}

void set_up(Transfer& transfer, const std::string& url, const DownloadOptions& options, char* message) {
  CURL* curl = transfer.curl;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "gigacat");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, std::lround(options.connect_seconds * 1000));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowest);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, std::max(1L, std::lround(options.stall_seconds)));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, report);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  // As a range, not as curl's own resuming, which fails where a server sends the whole file instead.
  if (transfer.start > 0) curl_easy_setopt(curl, CURLOPT_RANGE, cat(transfer.start, "-").c_str());
}

// "" when the whole file came, else why not. `final`: another attempt is of no use.
std::string attempt(const std::string& url, const fs::path& part, const std::string& title,
                    const DownloadOptions& options, bool& final) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  GIGACAT_CHECK(curl, "libcurl");
  Transfer transfer{curl.get(), part, title, fs::exists(part) ? fs::file_size(part) : 0, nullptr, nullptr, ""};
  const uint64_t had = transfer.start;
  char message[CURL_ERROR_SIZE] = "";
  set_up(transfer, url, options, message);
  const CURLcode code = curl_easy_perform(curl.get());
  if (transfer.out) transfer.out->flush(/*durable=*/true);
  if (transfer.progress) transfer.progress->finish();
  const long status = status_of(curl.get());
  final = true;
  if (!transfer.fault.empty()) return transfer.fault;
  if (status == 416 && had > 0) return "";  // nothing is left to fetch: the hash says whether it is whole
  if (status >= 400) {
    final = status < 500 && status != 429;
    return cat("the server answered ", status, status == 404 ? " (not there)" : "");
  }
  if (code == CURLE_OK) return transfer.out ? "" : "the server sent nothing";
  final = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_COULDNT_RESOLVE_HOST;
  if (code == CURLE_OPERATION_TIMEDOUT) return cat("the server does not answer, or hangs: ", message);
  return message[0] ? message : curl_easy_strerror(code);
}

}  // namespace

void fetch(const std::string& url, const fs::path& part, const std::string& title, const DownloadOptions& options) {
  static std::once_flag once;
  std::call_once(once, [] { GIGACAT_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "libcurl"); });
  std::string reason;
  for (int i = 0; i < options.attempts; ++i) {
    bool final = false;
    reason = attempt(url, part, title, options, final);
    if (reason.empty()) return;
    if (final || i + 1 == options.attempts) break;
    log::warn(url, ": ", reason, "; trying again");
    std::this_thread::sleep_for(std::chrono::seconds(1 << i));
  }
  fail("cannot fetch ", url, ": ", reason);
}

}  // namespace gigacat::weights
