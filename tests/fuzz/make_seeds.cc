// Writes the seeds of node_fuzz, log_fuzz and checkpoint_fuzz: what a node really writes, of each
// kind of record. make_seeds FOLDER; run again when there are new kinds, the files are in the tree.
//
// Each seed is started from before it is written: one that no longer starts would seed nothing.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <fmt/format.h>

#include "storage/checkpoint_file.h"
#include "storage/log_inspect.h"
#include "tests/fuzz/fuzz_node.h"
#include "tests/fuzz/mended_segments.h"

namespace {

using namespace millrace;
using namespace millrace::fuzz;
using engine::Batch;

std::set<uint16_t> kinds_seen;

class Scene {
 public:
  Scene() { MR_ASSERT(node.open()); }

  QueueId create(std::string_view name, std::vector<NamedText> attributes = {}) {
    const ReplyTo to = node.reply();
    node.shard(0).create_queue(name, {.attributes = std::move(attributes)}, to);
    until([&] { return node.sink().queue_errors.contains(to.token); });
    MR_ASSERT(node.sink().queue_errors[to.token] == Errc::ok);
    return node.sink().queues[to.token].at(0).id;
  }
  QueueId create_fifo(std::string_view name, std::vector<NamedText> attributes = {}) {
    attributes.push_back({"FifoQueue", "true"});
    return create(name, std::move(attributes));
  }
  void send(QueueId queue, const Batch& batch, uint16_t at = 0) {
    const ReplyTo to = node.reply();
    node.shard(at).send(batch.to(queue), to);
    until([&] { return node.sink().sends.contains(to.token); });
    MR_ASSERT(node.sink().sends[to.token].error == Errc::ok);
  }
  std::vector<Receipt> receive(QueueId queue, uint32_t max = 10, uint16_t at = 0,
                               uint32_t visibility_ms = 30'000) {
    const ReplyTo to = node.reply();
    node.shard(at).receive({.queue = queue, .messages_max = max, .visibility_ms = visibility_ms},
                           to);
    until([&] { return node.sink().receives.contains(to.token); });
    std::vector<Receipt> receipts;
    for (const engine::Got& got : node.sink().receives[to.token].at(0).messages)
      receipts.push_back(got.receipt);
    return receipts;
  }
  void ack(const std::vector<Receipt>& receipts) {
    if (receipts.empty()) return;
    const ReplyTo to = node.reply();
    node.shard(0).ack({receipts}, to);
    until([&] { return node.sink().result_errors.contains(to.token); });
  }
  void extend(const Receipt& receipt, uint32_t visibility_ms) {
    const ReplyTo to = node.reply();
    const ExtendEntry entry{receipt, visibility_ms, 0};
    node.shard(0).extend({{&entry, 1}}, to);
    until([&] { return node.sink().results.contains(to.token); });
  }
  void move(QueueId source, QueueId destination) {
    node.shard(0).start_move({.source = source, .destination = destination}, node.reply());
    node.turns(300);
  }
  template <class Done>
  void until(Done&& done) {
    for (int i = 0; i < 2'000 && !done(); ++i)
      node.turns(1);
    MR_ASSERT(done());
  }

  FuzzNode node;
};

std::vector<NodeRecord> records_of(sim::SimDiskImage& image) {
  std::vector<NodeRecord> records;
  for (uint8_t log = 0; log <= kNodeShards; ++log) {
    sim::SimDisk disk(image);
    storage::InspectCallbacks callbacks;
    callbacks.on_record = [&](const storage::Record& record) {
      records.push_back({log, record.kind, {record.body.begin(), record.body.end()}});
      kinds_seen.insert(record.kind);
    };
    const std::string directory =
        log == 0 ? std::string(engine::kCatalogDirectory) : engine::shard_directory(log - 1);
    MR_ASSERT(storage::inspect_log(disk, directory, std::nullopt, callbacks));
  }
  return records;
}

void write_file(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

void write_node_seed(const std::filesystem::path& folder, const std::string& name, FuzzNode& node,
                     uint8_t how) {
  const std::vector<NodeRecord> records = records_of(node.image());
  FuzzNode again;
  again.write(records, (how & 2) != 0);
  MR_ASSERT(again.open());
  std::vector<uint8_t> bytes = pack_records(records);
  bytes.insert(bytes.begin(), how);
  write_file(folder / "node_corpus" / name, bytes);
}

void tell(Scene& s, QueueId queue, uint16_t at = 0) {
  s.send(queue, Batch().add("first").add("second").add("delayed", 900'000), at);
  std::string properties;
  append_property(properties, PropertyTag::group, as_bytes(std::string_view("tenant")));
  append_property(properties, PropertyTag::attribute, "colour", "String",
                  as_bytes(std::string_view("blue")));
  s.send(queue, Batch().add_with(properties, "with properties", 0).add(""), at);
  const auto got = s.receive(queue, 3, at);
  MR_ASSERT(got.size() == 3);
  s.ack({got[0]});
  s.extend(got[1], 0);
  s.extend(got[2], 600'000);
}

void messages(const std::filesystem::path& folder) {
  Scene s;
  tell(s, s.create("jobs"));
  tell(s, s.create("more", {{"VisibilityTimeout", "7"}}), 1);
  const QueueId gone = s.create("gone");
  s.send(gone, Batch().add("purged"));
  s.node.shard(0).purge_queue(gone, s.node.reply());
  s.node.turns(20);
  s.node.shard(0).delete_queue(s.create("deleted"), s.node.reply());
  s.node.turns(20);
  s.node.kill();
  write_node_seed(folder, "messages", s.node, 0);
  write_node_seed(folder, "messages_mended", s.node, 1);
  write_node_seed(folder, "messages_closed", s.node, 2);
}

void fifo(const std::filesystem::path& folder) {
  Scene s;
  const QueueId whole = s.create_fifo("whole.fifo");
  const QueueId spread = s.create_fifo(
      "spread.fifo",
      {{"DeduplicationScope", "messageGroup"}, {"FifoThroughputLimit", "perMessageGroupId"}});
  for (const QueueId queue : {whole, spread}) {
    s.send(queue, Batch().add_fifo("a", "1", "one").add_fifo("b", "2", "two"));
    s.send(queue, Batch().add_fifo("a", "3", "three").add_fifo("a", "1", "known"));
    const auto got = s.receive(queue, 2);
    if (!got.empty()) s.ack({got[0]});
  }
  s.node.kill();
  write_node_seed(folder, "fifo", s.node, 1);
}

void dead_letters(const std::filesystem::path& folder) {
  Scene s;
  const QueueId dead = s.create("dead");
  const QueueId source = s.create("source", {{"RedrivePolicy", engine::redrive_text("dead", 1)}});
  s.send(source, Batch().add("poison").add("good"));
  (void)s.receive(source, 2, 0, 1'000);
  s.node.environment().advance(2'000);
  s.node.turns(4);
  (void)s.receive(source, 2);
  s.node.turns(40);
  s.move(dead, QueueId{});
  const QueueId old = s.create("old", {{"MessageRetentionPeriod", "60"}});
  s.send(old, Batch().add("forgotten"));
  s.node.environment().advance(130'000);
  s.node.turns(40);
  s.node.kill();
  write_node_seed(folder, "dead_letters", s.node, 1);
}

void moves_across(const std::filesystem::path& folder) {
  Scene s;
  const std::vector<NamedText> spread{{"DeduplicationScope", "messageGroup"},
                                      {"FifoThroughputLimit", "perMessageGroupId"}};
  const QueueId dead = s.create_fifo("dead.fifo");
  const QueueId from =
      s.create_fifo("from.fifo", {{"RedrivePolicy", engine::redrive_text("dead.fifo", 1)}});
  const QueueId to = s.create_fifo("to.fifo", spread);
  Batch batch;
  for (int i = 0; i < 6; ++i)
    batch.add_fifo(fmt::format("group-{}", i), fmt::format("id-{}", i), "moved");
  s.send(from, batch);
  for (int i = 0; i < 20; ++i)
    (void)s.receive(from, 10, 0, 0);
  s.node.turns(40);
  s.move(dead, to);
  s.node.kill();
  write_node_seed(folder, "moves_across", s.node, 1);
}

// Cleaning carries what stays, and tells what else its segments tell.
void cleaned(const std::filesystem::path& folder) {
  Scene s;
  const QueueId busy = s.create("busy");
  const QueueId stays = s.create("stays");
  tell(s, stays);
  // One of them is at home on the shard that is cleaned.
  for (const char* name : {"ids.fifo", "more-ids.fifo"}) {
    const QueueId ids = s.create_fifo(name);
    s.send(ids, Batch().add_fifo("a", "1", "one").add_fifo("b", "2", "two"));
    s.ack(s.receive(ids, 1));
  }
  const storage::Log& log = s.node.shard(0).state().log();
  const uint64_t until = log.segment_of(log.head()) + 2;
  for (int i = 0; i < 300 && log.segment_of(log.head()) < until; ++i) {
    s.send(busy, Batch().add(std::string(5'000, 'x')));
    s.ack(s.receive(busy));
    s.node.turns(3);
  }
  s.node.kill();
  std::vector<NodeRecord> records = records_of(s.node.image());
  std::erase_if(records, [](const NodeRecord& record) { return record.body.size() > 1'000; });
  FuzzNode small;
  small.write(records, false);
  MR_ASSERT(small.open());
  small.kill();
  write_node_seed(folder, "cleaned", small, 1);
}

void checkpoint(const std::filesystem::path& folder) {
  Scene s;
  tell(s, s.create("jobs"));
  for (const char* name : {"a.fifo", "b.fifo", "c.fifo"}) {
    const QueueId queue = s.create_fifo(name);
    s.send(queue, Batch().add_fifo("g", "1", "one").add_fifo("h", "2", "two"));
    (void)s.receive(queue, 1);
  }
  MR_ASSERT(s.node.stop());
  sim::SimDisk disk(s.node.image());
  const auto found = storage::read_checkpoint(disk, "shard-0", 0);
  MR_ASSERT(found);
  std::vector<uint8_t> bytes{1};
  for (const std::byte byte : found->state)
    bytes.push_back(std::to_integer<uint8_t>(byte));
  write_file(folder / "checkpoint_corpus" / "state", bytes);
  bytes = {0};
  for (const std::byte byte :
       storage::encode_checkpoint(0, found->position, found->generation, found->state))
    bytes.push_back(std::to_integer<uint8_t>(byte));
  write_file(folder / "checkpoint_corpus" / "file", bytes);
}

// What topics leave in a catalog and on a shard, also where cleaning has carried it.
void topics(const std::filesystem::path& folder) {
  Scene s;
  std::vector<QueueId> queues;
  for (const char* name : {"a", "b", "c"})
    queues.push_back(s.create(name));
  const auto topic = [&](auto&& ask) {
    const ReplyTo to = s.node.reply();
    ask(s.node.shard(0).topics(), to);
    s.until([&] { return s.node.sink().topics.contains(to.token); });
    MR_ASSERT(s.node.sink().topics[to.token].error == Errc::ok);
    return s.node.sink().topics[to.token];
  };
  for (const char* name : {"events", "gone"})
    topic([&](TopicPort& port, ReplyTo to) { port.create(name, {}, to); });
  const TopicId events = s.node.shard(0).topics().find("events")->id;
  std::vector<SubscriptionId> subscriptions;
  for (const char* queue : {"a", "b", "c"})
    subscriptions.push_back(
        topic([&](TopicPort& port, ReplyTo to) {
          port.subscribe({.topic = events, .protocol = "sqs", .endpoint = queue, .queue = queue},
                         to);
        })
            .subscriptions.at(0)
            .id);
  const std::string body = "see " + std::string(kUuidTextBytes, '-');
  Batch batch = std::move(Batch().add("raw", 0).add(body, 0));
  const std::vector<PublishCopy> copies{{queues[0], subscriptions[0], 1, {}},
                                        {queues[1], subscriptions[1], 3, {}},
                                        {queues[2], subscriptions[2], 2, {}}};
  const auto publish = [&] {
    const ReplyTo to = s.node.reply();
    const std::vector<uint32_t> stamps{0, 4};
    s.node.shard(0).publish({events, 2, batch.bytes(), stamps, copies}, to);
    s.until([&] { return s.node.sink().sends.contains(to.token); });
    MR_ASSERT(s.node.sink().sends[to.token].error == Errc::ok);
  };
  publish();
  s.ack(s.receive(queues[0], 1));
  (void)s.receive(queues[2], 1, 0, 600'000);
  topic([&](TopicPort& port, ReplyTo to) { port.unsubscribe(subscriptions[1], to); });
  topic([&](TopicPort& port, ReplyTo to) { port.remove(port.find("gone")->id, to); });
  const QueueId busy = s.create("busy");
  const storage::Log& log = s.node.shard(0).state().log();
  const uint64_t until = log.segment_of(log.head()) + 2;
  for (int i = 0; i < 300 && log.segment_of(log.head()) < until; ++i) {
    s.send(busy, Batch().add(std::string(5'000, 'x')));
    s.ack(s.receive(busy));
    s.node.turns(3);
  }
  publish();
  s.node.kill();
  std::vector<NodeRecord> records = records_of(s.node.image());
  std::erase_if(records, [](const NodeRecord& record) { return record.body.size() > 1'000; });
  FuzzNode small;
  small.write(records, false);
  MR_ASSERT(small.open());
  small.kill();
  write_node_seed(folder, "topics", small, 1);
}

// --- segments ---

// `times`: each segment that often, to be linked by kMendLinks.
void write_log_seed(const std::filesystem::path& folder, const std::string& name, uint8_t mend,
                    const std::function<void(storage::Log&)>& tell, int times = 1) {
  sim::SimDiskImage image(64u << 20);
  storage::LogOptions options;
  options.directory = "shard-0";
  options.log_id = 7;
  options.segment_bytes = kMendedSegmentBytes;
  options.entropy = 5;
  options.durability = Durability::none;
  struct : storage::ReplaySink {
    void on_record(const storage::Record&) override {}
  } nobody;
  {
    sim::SimDisk disk(image);
    auto log = storage::Log::open(disk, options, nullptr);
    MR_ASSERT(log && (*log)->recover((*log)->head(), nobody, TimeMs{1}));
    tell(**log);
  }
  image.settle();
  std::map<uint64_t, std::string> in_order;
  {
    sim::SimDisk disk(image);
    storage::InspectCallbacks callbacks;
    callbacks.on_segment = [&](const storage::SegmentRow& row) {
      if (row.use == storage::SegmentRow::Use::in_use)
        in_order[row.header.header.sequence] = "shard-0/" + row.file;
    };
    MR_ASSERT(storage::inspect_log(disk, "shard-0", options.log_id, callbacks));
  }
  std::vector<uint8_t> bytes{mend};
  for (int i = 0; i < times; ++i)
    for (const auto& [sequence, path] : in_order)
      for (const std::byte byte : packed_segment(image.content(path)))
        bytes.push_back(std::to_integer<uint8_t>(byte));
  write_file(folder / "log_corpus" / name, bytes);
}

void append(storage::Log& log, std::string_view body, uint16_t kind = 1) {
  const Bytes parts[] = {as_bytes(body)};
  MR_ASSERT(log.append(kind, parts, storage::Space::frees));
}

void segments(const std::filesystem::path& folder) {
  const auto few = [](storage::Log& log) {
    append(log, "one");
    append(log, "two", 2);
    MR_ASSERT(log.write_batch(TimeMs{2}));
    append(log, std::string(200, 'x'));
    MR_ASSERT(log.write_batch(TimeMs{3}));
  };
  const auto closed = [&](storage::Log& log) {
    few(log);
    MR_ASSERT(log.close(TimeMs{4}));
  };
  write_log_seed(folder, "few_exact", 0, few);
  write_log_seed(folder, "few", 15, few);
  write_log_seed(folder, "closed", 15, closed);
  write_log_seed(folder, "three_segments", 15, few, 3);
  write_log_seed(folder, "two_of_one_sequence", 13, few, 2);
  write_log_seed(folder, "records_only", 4, few);
  write_log_seed(folder, "one_copy", 31, few);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "make_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  messages(folder);
  fifo(folder);
  topics(folder);
  dead_letters(folder);
  moves_across(folder);
  cleaned(folder);
  checkpoint(folder);
  segments(folder);
  bool all = true;
  for (uint16_t kind = 1; kind <= 23; ++kind) {
    if (kinds_seen.contains(kind)) continue;
    std::fprintf(stderr, "no seed has a record of kind %u\n", kind);
    all = false;
  }
  return all ? 0 : 1;
}
