// FuzzNode: a whole node on a simulated disk, driven by one thread, for the fuzzers of what it
// reads when it starts: builds its logs from records, opens it, asks it for everything once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/prng.h"
#include "engine/broker.h"
#include "engine/data_directory.h"
#include "engine/limits.h"
#include "storage/log.h"
#include "tests/engine/engine_harness.h"
#include "tests/sim/sim_environment.h"

namespace millrace::fuzz {

struct NodeRecord {
  uint8_t log = 0;  // 0: the catalog's; 1, 2: of shard 0, 1
  uint16_t kind = 0;
  std::vector<std::byte> body;
};

inline constexpr uint16_t kNodeShards = 2;
inline constexpr size_t kNodeRecordsMax = 400;

// --- records as a fuzzer's input: u8 log, u16 kind, u16 bytes, body ---

inline std::vector<NodeRecord> unpack_records(std::span<const uint8_t> input) {
  std::vector<NodeRecord> records;
  while (input.size() >= 5 && records.size() < kNodeRecordsMax) {
    NodeRecord& record = records.emplace_back();
    uint16_t bytes = 0;
    record.log = input[0] % (kNodeShards + 1);
    std::memcpy(&record.kind, input.data() + 1, 2);
    std::memcpy(&bytes, input.data() + 3, 2);
    input = input.subspan(5);
    const std::span<const uint8_t> body = input.first(std::min<size_t>(bytes, input.size()));
    const Bytes as = std::as_bytes(body);
    record.body.assign(as.begin(), as.end());
    input = input.subspan(body.size());
  }
  return records;
}

inline std::vector<uint8_t> pack_records(std::span<const NodeRecord> records) {
  std::vector<uint8_t> packed;
  for (const NodeRecord& record : records) {
    const auto bytes = static_cast<uint16_t>(record.body.size());
    packed.push_back(record.log);
    for (const uint16_t word : {record.kind, bytes}) {
      packed.push_back(static_cast<uint8_t>(word));
      packed.push_back(static_cast<uint8_t>(word >> 8));
    }
    for (const std::byte byte : record.body)
      packed.push_back(std::to_integer<uint8_t>(byte));
  }
  return packed;
}

class FuzzNode {
 public:
  FuzzNode() { environment_ = std::make_unique<sim::SimEnvironment>(*image_, 1); }
  ~FuzzNode() {
    if (broker_ != nullptr) kill();
  }

  // As a node would have written them. Those too long for its segments are left out.
  void write(std::span<const NodeRecord> records, bool clean) {
    for (uint8_t which = 0; which <= kNodeShards; ++which) {
      storage::LogOptions options;
      options.directory =
          which == 0 ? engine::kCatalogDirectory : engine::shard_directory(which - 1);
      options.log_id = which == 0 ? engine::kCatalogLogId : static_cast<uint16_t>(which - 1);
      options.segment_bytes = which == 0 ? engine::kCatalogSegmentBytes : kSegmentBytes;
      options.entropy = which + 1;
      options.durability = Durability::none;
      sim::SimDisk disk(*image_);
      auto log = storage::Log::open(disk, options, nullptr);
      MR_ASSERT(log);
      Nobody nobody;
      MR_ASSERT((*log)->recover((*log)->head(), nobody, TimeMs{1}));
      for (const NodeRecord& record : records) {
        if (record.log != which || record.kind >= storage::kKindCommitMark ||
            record.body.size() > (*log)->body_bytes_max())
          continue;
        const Bytes parts[] = {Bytes(record.body)};
        MR_ASSERT((*log)->append(record.kind, parts, storage::Space::cleans));
        MR_ASSERT((*log)->write_batch(TimeMs{1}));
      }
      if (clean) MR_ASSERT((*log)->close(TimeMs{1}));
    }
    image_->settle();
  }

  // False: refused, in one line.
  bool open(uint32_t accept_clock = 1) {
    options_.accept_clock = accept_clock != 0;
    std::string message;
    auto broker = engine::BrokerOnDisk::open_directory(options_, *environment_, &message);
    if (!broker) {
      MR_ASSERT(!message.empty());
      MR_ASSERT(message.find('\n') == std::string::npos);
      environment_->forget_disks();
      return false;
    }
    broker_ = std::move(*broker);
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      shard(i).set_waker([] {});
    return true;
  }
  void kill() {
    image_->kill();
    environment_->forget_disks();
    broker_->abandon();
    broker_.reset();
  }
  // False: it was fenced.
  bool stop() {
    const bool stopped = broker_->stop().has_value();
    environment_->forget_disks();
    broker_.reset();
    return stopped;
  }
  bool fenced() {
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      if (shard(i).fenced() || shard(i).state().log().fenced()) return true;
    return false;
  }
  std::vector<uint64_t> digests() {
    std::vector<uint64_t> all;
    for (uint16_t i = 0; i < broker_->shard_count(); ++i)
      all.push_back(shard(i).state().digest(shard(i).now()));
    return all;
  }
  engine::Shard& shard(uint16_t i) { return broker_->shard_at(ShardId{i}); }
  engine::BrokerOnDisk& broker() { return *broker_; }
  sim::SimDiskImage& image() const { return *image_; }
  sim::SimEnvironment& environment() { return *environment_; }
  engine::RecordingSink& sink() { return sink_; }

  void turns(int count) {
    for (int i = 0; i < count; ++i) {
      for (sim::SimDisk* disk : environment_->disks())
        for (int step = 0; step < 4; ++step)
          (void)disk->step_jobs(prng_);
      for (uint16_t s = 0; s < broker_->shard_count(); ++s)
        shard(s).tick();
      environment_->advance(1);
    }
  }
  ReplyTo reply() { return {&sink_, ++token_}; }

  // Each kind of request, for each queue there is.
  void ask_everything() {
    turns(4);
    const ReplyTo list = reply();
    shard(0).list_queues("", "", 20, list);
    turns(8);
    const std::vector<QueueInfo> queues = sink_.queues[list.token];
    for (size_t i = 0; i < queues.size(); ++i) {
      const QueueId queue = queues[i].id;
      const auto at = static_cast<uint16_t>(i % broker_->shard_count());
      const engine::Batch plain = engine::Batch().add("sent after the start");
      const engine::Batch fifo = engine::Batch().add_fifo("g", "after the start", "sent");
      shard(at).send((queues[i].attributes.fifo ? fifo : plain).to(queue), reply());
      const ReplyTo received = reply();
      shard(at).receive({.queue = queue, .messages_max = 10, .visibility_ms = 30'000}, received);
      shard(at).peek({.queue = queue, .messages_max = 20}, reply());
      turns(10);
      std::vector<Receipt> receipts;
      for (const auto& answer : sink_.receives[received.token])
        for (const engine::Got& got : answer.messages)
          receipts.push_back(got.receipt);
      if (receipts.size() > 1) {
        const ExtendEntry entry{receipts.back(), i % 2 == 0 ? 0u : 60'000u, 0};
        shard(at).extend({{&entry, 1}}, reply());
        receipts.pop_back();
      }
      if (!receipts.empty()) shard(at).ack({receipts}, reply());
      shard(at).queue_stats({&queue, 1}, reply());
      shard(at).list_moves(queue, 10, reply());
      if (i % 3 == 0) shard(at).start_move({.source = queue}, reply());
      turns(10);
      environment_->advance(31'000);
      turns(4);
      if (i % 4 == 3) shard(at).purge_queue(queue, reply());
    }
    shard(0).create_queue("fuzz-made", engine::settings_of(QueueAttributes{}), reply());
    shard(0).broker_stats(reply());
    turns(20);
    environment_->advance(int64_t{5} * 86'400'000);  // past the usual retention
    turns(20);
  }

 private:
  struct Nobody final : storage::ReplaySink {
    void on_record(const storage::Record&) override {}
  };
  static constexpr uint64_t kSegmentBytes = 64u << 10;

  std::unique_ptr<sim::SimDiskImage> image_ = std::make_unique<sim::SimDiskImage>(64u << 20);
  std::unique_ptr<sim::SimEnvironment> environment_;
  base::Prng prng_{1};
  BrokerOptions options_{.data_directory = "fuzz",
                         .shards = kNodeShards,
                         .durability = Durability::none,
                         .segment_bytes = kSegmentBytes,
                         .disk_bytes_max = 32u << 20};
  engine::RecordingSink sink_;
  uint64_t token_ = 0;
  std::unique_ptr<engine::BrokerOnDisk> broker_;
};

}  // namespace millrace::fuzz
