// Damage at rest: what is lost is exactly what was hit, and what cannot be decided is refused.
#include <gtest/gtest.h>

#include "storage/log_inspect.h"
#include "tests/storage/log_harness.h"

namespace millrace::storage {
namespace {

// A closed log of `segments` full segments, its image settled.
struct Fixture {
  explicit Fixture(uint64_t segments) {
    EXPECT_TRUE(h.open());
    h.settle();  // the segment it begins in is left for one that was written ahead
    const uint64_t first = h.log->segment_of(h.log->end());
    for (size_t i = 0; h.log->segment_of(h.log->end()) < first + segments; ++i) {
      const std::string body = "record " + std::to_string(i) + std::string(100 + i % 7, 'x');
      const auto at = h.append(body);
      h.log->add_live(*at, body.size());
      written.push_back({at->value, 1, body});
      if (i % 3 == 0) h.settle();
    }
    h.settle();
    EXPECT_TRUE(h.log->close(h.now()));
    h.close_without_syncing();
    h.image->settle();
  }
  // Opens a damaged copy and returns what it replays.
  Result<RecoveryReport> open(std::unique_ptr<sim::SimDiskImage> image) {
    h.close_without_syncing();
    h.use(std::move(image));
    return h.open();
  }
  std::string file_of(uint64_t sequence) const {
    for (const std::string& path : h.image->paths()) {
      if (!path.ends_with(".segment")) continue;
      const HeaderReading reading =
          read_segment_header(h.image->content(path).first(kSegmentDataOffset));
      if (reading.state == HeaderState::valid && reading.header.sequence == sequence) return path;
    }
    return {};
  }
  uint64_t last_sequence() const { return written.back().position / kTestSegmentBytes; }
  std::vector<Entry> without(uint64_t begin, uint64_t end) const {
    std::vector<Entry> rest;
    for (const Entry& entry : written)
      if (entry.position + 16 + entry.body.size() <= begin || entry.position >= end)
        rest.push_back(entry);
    return rest;
  }

  LogHarness h;
  std::vector<Entry> written;
};

TEST(Damage, FlippedBitLosesExactlyTheRecordItHit) {
  Fixture f(2);
  const auto whole = f.h.image->clone();
  for (uint64_t sequence = 1; sequence <= f.last_sequence(); ++sequence) {
    f.h.use(whole->clone());
    const std::string path = f.file_of(sequence);
    if (path.empty()) continue;
    const uint64_t start = sequence * kTestSegmentBytes;
    for (uint64_t byte = sequence * 5 % 64; byte < kTestSegmentBytes; byte += 64) {
      auto image = whole->clone();
      image->flip_bit(path, byte * 8 + byte % 8);
      const auto report = f.open(std::move(image));
      ASSERT_TRUE(report) << "byte " << byte << ": " << f.h.message;
      ASSERT_EQ(bodies(f.h.replayed), bodies(f.without(start + byte, start + byte + 1)))
          << "segment " << sequence << ", byte " << byte;
      if (f.h.replayed.size() < f.written.size()) {
        ASSERT_GT(report->damaged_ranges, 0u);
        ASSERT_LT(report->damaged_bytes, 512u);
      }
    }
  }
}

TEST(Damage, DamagedBytesAreCopiedToQuarantineOnce) {
  Fixture f(1);
  const Entry& hit = f.written[f.written.size() / 2];
  const std::string path = f.file_of(hit.position / kTestSegmentBytes);
  auto image = f.h.image->clone();
  image->flip_bit(path, (hit.position % kTestSegmentBytes + 20) * 8);
  for (int i = 0; i < 2; ++i) {
    const auto report = f.open(std::move(image));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->damaged_ranges, 1u);
    char name[64];
    std::snprintf(name, sizeof name, "shard-0/quarantine-%016lx", hit.position);
    ASSERT_TRUE(f.h.image->exists(name)) << name;
    EXPECT_EQ(f.h.image->content(name).size(), report->damaged_bytes);
    f.h.image->settle();
    image = f.h.image->clone();
  }
}

// Its positions would be of messages that are not there any more; what is left is told by the
// records.
TEST(Damage, ACheckpointIsIgnoredIfWhatItIsAboutIsDamaged) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("the segment it begins in is left for one that was written ahead"));
  h.settle();
  const auto before = h.append("before");
  h.settle();
  const Position position = h.log->durable();
  h.log->save_checkpoint(position, std::vector<std::byte>(10));
  h.finish_jobs();
  const auto after = h.append("after");
  h.settle();
  h.kill();
  h.image->settle();
  std::string path;
  for (const std::string& one : h.image->paths())
    if (one.ends_with(".segment") &&
        read_segment_header(h.image->content(one).first(kSegmentDataOffset)).header.sequence ==
            before->value / kTestSegmentBytes)
      path = one;
  ASSERT_EQ(before->value / kTestSegmentBytes, after->value / kTestSegmentBytes);
  const auto whole = h.image->clone();
  const auto has_checkpoint = [&](std::optional<Position> hit) {
    h.use(whole->clone());
    if (hit) h.image->flip_bit(path, (hit->value % kTestSegmentBytes + 20) * 8);
    h.disk = std::make_unique<sim::SimDisk>(*h.image);
    h.log = std::move(*Log::open(*h.disk, h.options(), &h.message));
    return h.log->load_checkpoint().has_value();
  };
  EXPECT_TRUE(has_checkpoint(std::nullopt));
  EXPECT_FALSE(has_checkpoint(*before));
  EXPECT_TRUE(has_checkpoint(*after));
}

TEST(Damage, CutFileKeepsAllRecordsBeforeTheCut) {
  Fixture f(1);
  const uint64_t sequence = f.last_sequence();
  const std::string path = f.file_of(sequence);
  const auto whole = f.h.image->clone();
  for (uint64_t bytes = kSegmentDataOffset + 1; bytes < kTestSegmentBytes; bytes += 211) {
    auto image = whole->clone();
    image->truncate(path, bytes);
    const auto report = f.open(std::move(image));
    ASSERT_TRUE(report) << bytes << ": " << f.h.message;
    const uint64_t cut = sequence * kTestSegmentBytes + bytes;
    const auto kept = f.without(cut, UINT64_MAX);
    // What lost its padding or its batch's mark can't be told from what was never whole.
    const uint64_t needed = kMarkRecordBytes + kRecordAlignment;
    ASSERT_GE(f.h.replayed.size(), f.without(cut - needed, UINT64_MAX).size()) << bytes;
    for (size_t i = 0; i < f.h.replayed.size(); ++i)
      ASSERT_EQ(f.h.replayed[i].body, f.written[i].body);
    ASSERT_LE(f.h.replayed.size(), kept.size());
  }
}

TEST(Damage, CutFileIsNotUsedAgainOnceFreed) {
  Fixture f(1);
  const std::string path = f.file_of(f.last_sequence() - 1);
  auto image = f.h.image->clone();
  image->truncate(path, kSegmentDataOffset + 4096);
  ASSERT_TRUE(f.open(std::move(image))) << f.h.message;
  f.h.clean();
  const std::string body(20'000, 'n');
  for (int i = 0; i < 30; ++i) {
    const auto at = f.h.append(body);
    ASSERT_TRUE(at);
    f.h.log->add_live(*at, body.size());  // so much that no spare is one too many
    f.h.settle();
    const auto record = f.h.log->read_record(*at);
    ASSERT_TRUE(record) << i;
    ASSERT_EQ(as_text(record->body), body);
  }
  EXPECT_FALSE(f.h.image->exists(path));
}

TEST(Damage, MissingSegmentIsRefusedAndNamed) {
  Fixture f(3);
  const uint64_t middle = f.last_sequence() - 1;
  auto image = f.h.image->clone();
  image->erase(f.file_of(middle));
  const auto report = f.open(std::move(image));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), Errc::damaged);
  EXPECT_NE(f.h.message.find("segment " + std::to_string(middle)), std::string::npos)
      << f.h.message;
}

TEST(Damage, RepairServesAllButTheMissingSegment) {
  Fixture f(3);
  const uint64_t middle = f.last_sequence() - 1;
  f.h.image->erase(f.file_of(middle));
  {
    sim::SimDisk disk(*f.h.image);
    const auto repaired = repair_log(disk, "shard-0", std::nullopt);
    ASSERT_TRUE(repaired);
    EXPECT_EQ(repaired->actions.size(), 1u);
    EXPECT_EQ(repaired->after.error, Errc::ok) << repaired->after.message;
  }
  ASSERT_TRUE(f.h.open()) << f.h.message;
  EXPECT_EQ(bodies(f.h.replayed),
            bodies(f.without(middle * kTestSegmentBytes, (middle + 1) * kTestSegmentBytes)));
}

TEST(Damage, UnreadableHeadersOfASealedSegmentAreRefusedAndRebuiltByRepair) {
  Fixture f(3);
  for (const uint64_t sequence : {f.last_sequence() - 1, f.last_sequence()}) {
    auto image = f.h.image->clone();
    const std::string path = f.file_of(sequence);
    image->flip_bit(path, 8 * 40);
    image->flip_bit(path, 8 * (kPageBytes + 40));
    const auto before = f.h.image->clone();
    const auto report = f.open(std::move(image));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error(), Errc::damaged);
    EXPECT_NE(f.h.message.find(path.substr(8)), std::string::npos) << f.h.message;
    f.h.close_without_syncing();
    {
      sim::SimDisk disk(*f.h.image);
      const auto repaired = repair_log(disk, "shard-0", std::nullopt);
      ASSERT_TRUE(repaired);
      EXPECT_EQ(repaired->after.error, Errc::ok) << repaired->after.message;
    }
    ASSERT_TRUE(f.h.open()) << f.h.message;
    EXPECT_EQ(bodies(f.h.replayed), bodies(f.written));
    f.h.close_without_syncing();
    f.h.use(before->clone());
  }
}

TEST(Damage, OneBadHeaderCopyIsNoHarm) {
  Fixture f(2);
  const auto whole = f.h.image->clone();
  for (const uint64_t page : {0u, 1u}) {
    auto image = whole->clone();
    image->zero(f.file_of(f.last_sequence()), page * kPageBytes, kPageBytes);
    ASSERT_TRUE(f.open(std::move(image))) << f.h.message;
    EXPECT_EQ(bodies(f.h.replayed), bodies(f.written));
    f.h.close_without_syncing();
    f.h.use(whole->clone());
  }
}

TEST(Damage, UnreadableHeadersOfASegmentThatWasNeverDurableAreSetAside) {
  LogHarness h;
  ASSERT_TRUE(h.open());
  ASSERT_TRUE(h.append("kept"));
  h.settle();
  const uint64_t first = h.log->segment_of(h.log->end());
  while (h.log->segment_of(h.log->end()) == first)
    ASSERT_TRUE(h.append(std::string(5000, 'y')));
  ASSERT_TRUE(h.write());
  h.kill();
  h.image->settle();
  std::string path;
  for (const std::string& p : h.image->paths())
    if (p.ends_with(".segment") &&
        read_segment_header(h.image->content(p)).header.sequence == first + 1)
      path = p;
  ASSERT_FALSE(path.empty());
  h.image->flip_bit(path, 8 * 40);
  h.image->flip_bit(path, 8 * (kPageBytes + 40));
  ASSERT_TRUE(h.open()) << h.message;
  EXPECT_TRUE(h.image->exists(path + ".unreadable"));
  ASSERT_FALSE(h.replayed.empty());
  EXPECT_EQ(h.replayed.front().body, "kept");
}

TEST(Damage, FilesSwappedByNameAreStillTheSameLog) {
  Fixture f(3);
  auto image = f.h.image->clone();
  image->swap_files(f.file_of(f.last_sequence()), f.file_of(f.last_sequence() - 1));
  ASSERT_TRUE(f.open(std::move(image))) << f.h.message;
  EXPECT_EQ(bodies(f.h.replayed), bodies(f.written));
}

TEST(Damage, ZeroedSegmentIsRefused) {
  Fixture f(3);
  auto image = f.h.image->clone();
  image->zero(f.file_of(f.last_sequence() - 1), 0, kTestSegmentBytes);
  const auto report = f.open(std::move(image));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), Errc::damaged);
  EXPECT_NE(f.h.message.find("is missing"), std::string::npos) << f.h.message;
  EXPECT_NE(f.h.message.find("is all zeros"), std::string::npos) << f.h.message;
}

TEST(Damage, ASealedSegmentWhoseHeadersWereZeroedIsNamed) {
  Fixture f(3);
  auto image = f.h.image->clone();
  const std::string path = f.file_of(f.last_sequence() - 1);
  image->zero(path, 0, kSegmentDataOffset);
  const auto report = f.open(std::move(image));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), Errc::damaged);
  const std::string name = path.substr(path.find('/') + 1);
  EXPECT_NE(f.h.message.find(name + " has no readable header"), std::string::npos) << f.h.message;
}

TEST(Damage, ASealedSegmentThatWasCutToNothingIsNamed) {
  Fixture f(3);
  auto image = f.h.image->clone();
  const std::string path = f.file_of(f.last_sequence() - 1);
  image->truncate(path, 0);
  const auto report = f.open(std::move(image));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), Errc::damaged);
  const std::string name = path.substr(path.find('/') + 1);
  EXPECT_NE(f.h.message.find(name + " is cut short"), std::string::npos) << f.h.message;
}

TEST(Damage, CopyOfASegmentUnderAnotherNameIsRefusedAndSetAsideByRepair) {
  Fixture f(2);
  const Bytes content = f.h.image->content(f.file_of(f.last_sequence()));
  f.h.image->replace("shard-0/0000ffff.segment", {content.begin(), content.end()});
  ASSERT_FALSE(f.h.open());
  EXPECT_NE(f.h.message.find("0000ffff.segment"), std::string::npos) << f.h.message;
  {
    sim::SimDisk disk(*f.h.image);
    const auto repaired = repair_log(disk, "shard-0", std::nullopt);
    ASSERT_TRUE(repaired);
    EXPECT_EQ(repaired->actions.size(), 1u);
  }
  ASSERT_TRUE(f.h.open()) << f.h.message;
  EXPECT_EQ(bodies(f.h.replayed), bodies(f.written));
}

TEST(Damage, NewerFormatIsRefusedAndNamed) {
  Fixture f(1);
  auto image = f.h.image->clone();
  const std::string path = f.file_of(f.last_sequence());
  for (const uint64_t page : {0u, 1u})
    image->flip_bit(path, 8 * (page * kPageBytes + 8) + 3);
  const auto report = f.open(std::move(image));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error(), Errc::format_too_new);
  EXPECT_NE(f.h.message.find(path.substr(8)), std::string::npos);
}

TEST(Damage, LinkNamedLikeASegmentIsNotFollowed) {
  Fixture f(1);
  f.h.image->plant_link("shard-0/0000ffff.segment");
  ASSERT_TRUE(f.h.open()) << f.h.message;
  EXPECT_EQ(bodies(f.h.replayed), bodies(f.written));
}

TEST(Damage, SegmentOfAnotherLogIsLeftAlone) {
  Fixture f(1);
  Fixture other(1);
  SegmentHeader header =
      read_segment_header(f.h.image->content(f.file_of(f.last_sequence()))).header;
  header.log_id = 99;
  std::vector<std::byte> content = segment_header_pages(header);
  content.resize(kTestSegmentBytes);
  f.h.image->replace("shard-0/0000ffff.segment", content);
  ASSERT_TRUE(f.h.open()) << f.h.message;
  EXPECT_EQ(bodies(f.h.replayed), bodies(f.written));
  const Bytes left = f.h.image->content("shard-0/0000ffff.segment");
  EXPECT_EQ(std::vector<std::byte>(left.begin(), left.end()), content);
}

TEST(Damage, VerifyTellsWhatAStartWouldDoAndWritesNothing) {
  Fixture f(2);
  const Entry& hit = f.written[f.written.size() / 2];
  f.h.image->flip_bit(f.file_of(hit.position / kTestSegmentBytes),
                      (hit.position % kTestSegmentBytes + 20) * 8);
  const uint64_t digest = f.h.image->digest();
  VerifyReport verified;
  uint64_t records = 0, marks = 0, segments = 0;
  {
    sim::SimDisk disk(*f.h.image);
    InspectCallbacks callbacks;
    callbacks.on_segment = [&](const SegmentRow&) { ++segments; };
    callbacks.on_record = [&](const Record&) { ++records; };
    callbacks.on_mark = [&](const MarkRow&) { ++marks; };
    const auto report = inspect_log(disk, "shard-0", std::nullopt, callbacks);
    ASSERT_TRUE(report);
    verified = *report;
  }
  EXPECT_EQ(f.h.image->digest(), digest);
  EXPECT_EQ(records, f.written.size() - 1);
  EXPECT_GT(marks, 0u);
  EXPECT_GE(segments, 3u);
  const auto report = f.h.open();
  ASSERT_TRUE(report);
  EXPECT_EQ(verified.records, report->records);
  EXPECT_EQ(verified.damaged_bytes, report->damaged_bytes);
  EXPECT_EQ(verified.clean_shutdown, report->clean_shutdown);
}

}  // namespace
}  // namespace millrace::storage
