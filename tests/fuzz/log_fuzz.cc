// Fuzzes a start on the bytes of a log: what storage makes of any segments there may be.
//
// The input is tests/fuzz/mended_segments.h's: segments whose checksums are put right as far as it
// asks for it, so that what lies behind each check is reached. Checked: no crash; what is refused
// says why in one line; verify says what the start then does; a start that was killed, and a second
// one, give the same records; what is appended then is there after the next start; what repair has
// done with, starts.
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "storage/log_inspect.h"
#include "storage/segment_header.h"
#include "tests/fuzz/mended_segments.h"
#include "tests/storage/log_harness.h"

namespace {

using namespace millrace;
using namespace millrace::storage;

constexpr const char* kDirectory = "shard-0";
constexpr uint16_t kLogId = 7;

LogOptions options_for(uint64_t entropy) {
  LogOptions options = test_options(entropy);
  options.directory = kDirectory;
  options.log_id = kLogId;
  return options;
}

std::unique_ptr<sim::SimDiskImage> image_of(const std::vector<std::vector<std::byte>>& files) {
  auto image = std::make_unique<sim::SimDiskImage>(64u << 20);
  {
    sim::SimDisk disk(*image);
    MR_ASSERT(disk.make_directory(kDirectory));
  }
  uint32_t number = 0;
  for (const auto& file : files)
    image->replace(std::string(kDirectory) + "/" + segment_file_name(++number), file);
  image->settle();
  return image;
}

struct Start {
  bool open = false;
  std::string message;
  std::vector<Entry> records;
};

// Opens it, and with `more` goes on with it.
Start start(sim::SimDiskImage& image, uint64_t entropy, bool more) {
  Start start;
  LogHarness h(options_for(entropy));
  h.use(image.clone());
  const auto report = h.open();
  start.message = h.message;
  start.open = report.has_value();
  if (!report) {
    MR_ASSERT(!start.message.empty());
    MR_ASSERT(start.message.find('\n') == std::string::npos);
    return start;
  }
  start.records = h.replayed;
  if (!more) return start;

  bool appended = false;
  if (!h.log->fenced() && h.log->body_bytes_max() > 8) {
    appended = h.append("appended").has_value() && h.write().has_value();
    h.settle();
    h.clean();
  }
  h.kill();
  const auto again = h.open();
  MR_ASSERT(again);
  if (appended) {
    MR_ASSERT(!h.replayed.empty());
    MR_ASSERT(h.replayed.back().body == "appended");
  }
  MR_ASSERT(h.log->close(TimeMs{10}));
  return start;
}

bool alike(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].kind != b[i].kind || a[i].body != b[i].body) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto files = fuzz::mended_segments({data, size}, kLogId);
  const auto image = image_of(files);

  VerifyReport verified;
  {
    const auto copy = image->clone();
    sim::SimDisk disk(*copy);
    const auto report = verify_log(disk, kDirectory, kLogId);
    MR_ASSERT(report);
    verified = *report;
    InspectCallbacks callbacks;
    uint64_t bytes = 0;
    callbacks.on_record = [&](const Record& record) { bytes += record.body.size(); };
    (void)inspect_log(disk, kDirectory, kLogId, callbacks);
  }
  const Start first = start(*image, 1, false);
  MR_ASSERT(first.open == (verified.error == Errc::ok));
  if (first.open) {
    MR_ASSERT(first.records.size() == verified.records);
    MR_ASSERT(alike(first.records, start(*image, 2, true).records));
    return 0;
  }
  const auto copy = image->clone();
  {
    sim::SimDisk disk(*copy);
    const auto repaired = repair_log(disk, kDirectory, kLogId);
    if (!repaired || repaired->after.error != Errc::ok) return 0;
  }
  MR_ASSERT(start(*copy, 3, true).open);
  return 0;
}
