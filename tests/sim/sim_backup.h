// SimBackup: a backup of the simulated broker, read piece by piece while the run goes on, and what
// the reference knew when it was asked for.
//
// Threads: the simulator's only one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "millrace/engine.h"
#include "tests/sim/reference_queue.h"
#include "tests/sim/sim_client.h"

namespace millrace::sim {

class SimBackup final : public ReplySink {
 public:
  SimBackup(const ReferenceQueue& known, const World& at) : reference(known), world(at) {}

  // Asks for some more. True when all has come.
  bool step(ShardPort& port, base::Prng& prng);
  // Where a data directory has a file of the copy: by path below it, padded to its segment's size.
  std::map<std::string, std::vector<std::byte>> files() const;

  void on_send(uint64_t, const SendReply&) override {}
  void on_receive(uint64_t, const ReceiveReply&) override {}
  void on_results(uint64_t, const ResultsReply&) override {}
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_queues(uint64_t, const QueueReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_backup(uint64_t token, const BackupReply& reply) override;
  void on_backup_bytes(uint64_t token, const BackupBytesReply& reply) override;

  const ReferenceQueue reference;
  const World world;
  bool answered = false;
  TimeMs answered_at{};
  Errc error = Errc::ok;  // of the start, or of a read
  std::string detail;
  uint64_t backup = 0;

 private:
  static constexpr uint32_t kReadsMax = 4;
  struct File {
    uint16_t log_id = 0;
    uint64_t segment_bytes = 0;
    uint32_t number = 0;  // in its log
    BackupFile is;
    uint64_t asked = 0;
    uint64_t come = 0;
    std::vector<std::byte> bytes;
  };
  struct Reading {
    size_t file = 0;
    uint64_t offset = 0;
    uint32_t bytes = 0;
  };

  std::vector<File> files_;
  std::map<uint64_t, Reading> reading_;
  uint64_t next_token_ = 1;
};

}  // namespace millrace::sim
