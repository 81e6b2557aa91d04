// The layout on disk: the page that documents it, and logs that earlier builds wrote.
#include "storage/format.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/storage/log_harness.h"

namespace millrace::storage {
namespace {

struct Field {
  const char* name;
  uint64_t offset;
  uint64_t bytes;
};
struct Layout {
  const char* name;
  uint64_t bytes;
  std::vector<Field> fields;
};

#define FIELD(type, field)                             \
  Field {                                              \
#field, offsetof(type, field), sizeof(type::field) \
  }

std::vector<Layout> layouts() {
  return {
      {"SegmentHeader",
       sizeof(SegmentHeader),
       {FIELD(SegmentHeader, magic), FIELD(SegmentHeader, version), FIELD(SegmentHeader, log_id),
        FIELD(SegmentHeader, flags), FIELD(SegmentHeader, segment_bytes),
        FIELD(SegmentHeader, sequence), FIELD(SegmentHeader, generation),
        FIELD(SegmentHeader, previous_sequence), FIELD(SegmentHeader, previous_end),
        FIELD(SegmentHeader, previous_chain), FIELD(SegmentHeader, head_sequence),
        FIELD(SegmentHeader, durable), FIELD(SegmentHeader, created_ms),
        FIELD(SegmentHeader, reserved), FIELD(SegmentHeader, checksum)}},
      {"RecordHeader",
       sizeof(RecordHeader),
       {FIELD(RecordHeader, checksum), FIELD(RecordHeader, length), FIELD(RecordHeader, kind),
        FIELD(RecordHeader, reserved)}},
      {"CommitMark",
       sizeof(CommitMark),
       {FIELD(CommitMark, count), FIELD(CommitMark, flags), FIELD(CommitMark, bytes),
        FIELD(CommitMark, chain), FIELD(CommitMark, server_time_ms), FIELD(CommitMark, durable),
        FIELD(CommitMark, head_sequence), FIELD(CommitMark, sequence),
        FIELD(CommitMark, generation)}},
      {"CheckpointHeader",
       sizeof(CheckpointHeader),
       {FIELD(CheckpointHeader, magic), FIELD(CheckpointHeader, version),
        FIELD(CheckpointHeader, log_id), FIELD(CheckpointHeader, reserved),
        FIELD(CheckpointHeader, position), FIELD(CheckpointHeader, generation),
        FIELD(CheckpointHeader, length), FIELD(CheckpointHeader, state_checksum),
        FIELD(CheckpointHeader, header_checksum)}},
  };
}

// The tables of the page: heading "### Name, N bytes", rows "| offset | bytes | `field` | ...".
TEST(Format, PageHasTheTablesOfTheStructs) {
  std::ifstream page(std::string(MILLRACE_SOURCE_DIR) + "/docs/storage-format.md");
  ASSERT_TRUE(page.is_open());
  std::map<std::string, std::vector<std::string>> tables;
  std::string heading;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("#")) heading = line;
    const size_t name = line.find("| `");
    if (!line.starts_with("| ") || name == std::string::npos || name < 4) continue;
    std::istringstream row(line);
    std::string bar, offset, bytes, field;
    row >> bar >> offset >> bar >> bytes >> bar >> field;
    tables[heading].push_back(offset + " " + bytes + " " + field);
  }
  for (const Layout& layout : layouts()) {
    std::vector<std::string> rows;
    for (const Field& field : layout.fields)
      rows.push_back(std::to_string(field.offset) + " " + std::to_string(field.bytes) + " `" +
                     field.name + "`");
    EXPECT_EQ(
        tables["### " + std::string(layout.name) + ", " + std::to_string(layout.bytes) + " bytes"],
        rows)
        << layout.name;
  }
}

// A golden log is text: "file PATH BYTES", then "OFFSET HEX" for each 32 bytes that are not zero.
constexpr uint64_t kChunkBytes = 32;

std::string golden_path(uint32_t version) {
  return std::string(MILLRACE_SOURCE_DIR) + "/tests/storage/golden/format-v" +
         std::to_string(version) + ".txt";
}

void load(const std::string& path, sim::SimDiskImage& image) {
  std::ifstream in(path);
  ASSERT_TRUE(in.is_open()) << path;
  std::string name;
  std::vector<std::byte> content;
  const auto finish = [&] {
    if (!name.empty()) image.replace(name, content);
  };
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first, second;
    words >> first >> second;
    if (first == "file") {
      finish();
      uint64_t bytes = 0;
      words >> bytes;
      name = second;
      content.assign(bytes, std::byte{0});
      continue;
    }
    const uint64_t offset = std::stoull(first);
    for (size_t i = 0; i < second.size(); i += 2)
      content.at(offset + i / 2) =
          static_cast<std::byte>(std::stoul(second.substr(i, 2), nullptr, 16));
  }
  finish();
}

void save(const std::string& path, const sim::SimDiskImage& image) {
  std::ofstream out(path);
  for (const std::string& name : image.paths()) {
    const Bytes content = image.content(name);
    out << "file " << name << " " << content.size() << "\n";
    for (uint64_t at = 0; at < content.size(); at += kChunkBytes) {
      const Bytes chunk = content.subspan(at, std::min(kChunkBytes, content.size() - at));
      if (std::ranges::all_of(chunk, [](std::byte b) { return b == std::byte{0}; })) continue;
      out << at << " ";
      for (const std::byte b : chunk) {
        constexpr char kDigits[] = "0123456789abcdef";
        out << kDigits[static_cast<int>(b) >> 4] << kDigits[static_cast<int>(b) & 15];
      }
      out << "\n";
    }
  }
}

std::vector<std::string> golden_bodies() {
  std::vector<std::string> expected;
  for (int i = 0; i < 40; ++i)
    expected.push_back("golden record " + std::to_string(i));
  return expected;
}

class EachFormat : public testing::TestWithParam<uint32_t> {};

// MILLRACE_WRITE_GOLDEN=1 writes the newest version's file: only together with a new version
// number.
TEST_P(EachFormat, StillOpens) {
  if (GetParam() == kFormatVersion && std::getenv("MILLRACE_WRITE_GOLDEN") != nullptr) {
    LogHarness h;
    ASSERT_TRUE(h.open());
    for (const std::string& body : golden_bodies()) {
      ASSERT_TRUE(h.append(body));
      if (h.log->end().value % 3 == 0) h.settle();
    }
    h.settle();
    const Bytes state = as_bytes(std::string_view("golden state"));
    h.log->save_checkpoint(h.log->durable(), {state.begin(), state.end()});
    h.settle();
    h.pass(10);
    h.settle();
    h.close_without_syncing();
    h.image->settle();
    save(golden_path(GetParam()), *h.image);
  }
  LogHarness h;
  {
    sim::SimDisk disk(*h.image);
    ASSERT_TRUE(disk.make_directory("shard-0"));
  }
  load(golden_path(GetParam()), *h.image);
  const auto report = h.open();
  ASSERT_TRUE(report) << h.message;
  EXPECT_EQ(bodies(h.replayed), golden_bodies());
  EXPECT_EQ(report->damaged_ranges, 0u);

  h.close_without_syncing();
  load(golden_path(GetParam()), *h.image);
  h.disk = std::make_unique<sim::SimDisk>(*h.image);
  h.log = std::move(*Log::open(*h.disk, h.options(), &h.message));
  const auto checkpoint = h.log->load_checkpoint();
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(as_text(checkpoint->second), "golden state");
}

INSTANTIATE_TEST_SUITE_P(Versions, EachFormat,
                         testing::Range(kFormatVersionOldest, kFormatVersion + 1));

}  // namespace
}  // namespace millrace::storage
