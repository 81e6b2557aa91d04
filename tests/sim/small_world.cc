#include "tests/sim/small_world.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"
#include "engine/queue_attributes.h"
#include "millrace/engine.h"
#include "tests/sim/reference_queue.h"
#include "tests/sim/sim_environment.h"
#include "tests/sim/sim_message.h"

namespace millrace::sim {
namespace {

constexpr int kWaitTurnsMax = 3000;
constexpr uint32_t kVisibilityMs = 1000;
constexpr uint32_t kReceivesMax = 1;
constexpr size_t kSubsetUnitsMax = 10;
// The last operation `c` makes many calls; one in so many is tried.
constexpr uint64_t kCleaningStride = 8;
constexpr uint32_t kJunkBytes = 50'000;
constexpr int kJunkMessages = 5;

// A broker and the reference beside it; each request is answered before the next, or never.
class World final : private ReplySink {
 public:
  World(std::unique_ptr<SimDiskImage> image, Durability durability, int64_t passed)
      : image_(std::move(image)),
        environment_(*image_, 7),
        durability_(durability),
        passed_(passed) {
    environment_.advance(passed);
  }
  ~World() override { drop(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // A world as this one is, all durable, nothing outstanding.
  std::unique_ptr<World> twin() const {
    auto other = std::make_unique<World>(image_->clone(), durability_, passed_);
    other->take_over(*this);
    return other;
  }
  // As it is after a power failure that left this image.
  std::unique_ptr<World> after(std::unique_ptr<SimDiskImage> image) const {
    auto other = std::make_unique<World>(std::move(image), durability_, passed_);
    other->take_over(*this);
    const bool answers_hold = durability_ == Durability::commit;
    other->reference_.crashed(true, answers_hold, ++other->event_, other->now_);
    return other;
  }

  bool open() {
    std::string message;
    auto broker = Broker::open({.data_directory = "small",
                                .shards = 1,
                                .durability = durability_,
                                .segment_bytes = 64 << 10,
                                .disk_bytes_max = 1u << 30},
                               environment_, &message);
    if (!broker) {
      wrong("the broker does not open: " + message);
      return false;
    }
    broker_ = std::move(*broker);
    shard().set_waker([] {});
    turn();
    return true;
  }
  void make_queues() {
    QueueAttributes attributes;
    attributes.fifo = true;
    const uint32_t dead = make_queue("dead.fifo", attributes, {.fifo = true});
    attributes.dead_letter_queue = "dead.fifo";
    attributes.receives_max = kReceivesMax;
    make_queue("q.fifo", attributes,
               {.fifo = true, .dead_letters = dead, .receives_max = kReceivesMax});
    make_queue("junk", {}, {});
  }

  void perform(char operation) {
    switch (operation) {
      case 'a':
      case 'b':
        ++keys_;
        return send(keys_, keys_, operation == 'a' ? 1 : 2);
      case 'r':
        if (last_root_ != 0) send(++keys_, last_root_, last_group_);
        return;
      case 'v':
        receive(kSource, kVisibilityMs);
        return receive(kDead, kVisibilityMs);
      case 'k':
        if (!held_.empty()) acknowledge(take_held());
        return;
      case 'z':
        if (!held_.empty()) give_back(take_held());
        return;
      case 't':
        return pass(2 * kVisibilityMs);
      case 'p':
        return purge();
      case 'c':
        return clean();
      default:
        MR_ASSERT(false);
    }
  }
  // Nothing of the operation is left to be done.
  void settle() {
    for (int i = 0; i < kWaitTurnsMax && !image_->halted(); ++i) {
      const bool busy = jobs();
      tick();
      if (!busy && shard().idle()) return;
    }
  }

  // After a failure: what it can be asked shows what it kept.
  std::string judge() {
    if (!open()) return violation_;
    for (const auto& [root, group] : std::vector(roots_))
      send(++keys_, root, group);
    for (int round = 0; round < 3 && violation_.empty(); ++round) {
      for (const uint32_t queue : {kSource, kDead}) {
        for (int i = 0; i < 10 && violation_.empty(); ++i) {
          receive(queue, 20 * kVisibilityMs);
          settle();  // a dead letter is shown when it is durable
          if (held_.empty()) break;
          while (!held_.empty())
            acknowledge(take_held());
        }
      }
      pass(30 * kVisibilityMs);
    }
    wrong(reference_.check_drained(now_));
    return violation_;
  }

  SimDiskImage& image() { return *image_; }
  uint64_t answers() const { return event_; }
  const std::string& violation() const { return violation_; }

 private:
  static constexpr uint32_t kDead = 0, kSource = 1, kJunk = 2;  // the reference's numbers
  struct Held {
    Key key = 0;
    uint32_t queue = 0;
    Receipt receipt{};
  };

  void take_over(const World& other) {
    reference_ = other.reference_;
    queues_ = other.queues_;
    held_ = other.held_;
    roots_ = other.roots_;
    keys_ = other.keys_;
    last_root_ = other.last_root_;
    last_group_ = other.last_group_;
    event_ = other.event_;
    now_ = other.now_;
    violation_ = other.violation_;
  }
  void drop() {
    image_->kill();
    environment_.forget_disks();
    broker_.reset();
  }
  void wrong(std::string text) {
    if (violation_.empty()) violation_ = std::move(text);
  }
  ShardPort& shard() { return broker_->shard(ShardId{0}); }
  bool jobs() {
    bool any = false;
    for (SimDisk* disk : environment_.disks())
      while (!image_->halted() && disk->step_jobs(prng_))
        any = true;
    return any;
  }
  void tick() {
    shard().tick();
    environment_.advance(1);
    ++passed_;
    refresh();
  }
  void refresh() {
    shard().refresh_clock();
    now_ = shard().now();
  }
  void turn() {
    (void)jobs();
    tick();
  }
  void wait() {
    for (int i = 0; i < kWaitTurnsMax && !answered_ && !image_->halted(); ++i)
      turn();
    if (!answered_ && !image_->halted()) wrong("C12: a request was never answered");
  }
  ReplyTo ask() {
    answered_ = false;
    asked_event_ = ++event_;
    asked_at_ = now_;
    return {this, 1};
  }

  uint32_t make_queue(std::string_view name, const QueueAttributes& attributes,
                      ReferenceRules rules) {
    shard().create_queue(name, engine::settings_of(attributes), ask());
    wait();
    MR_ASSERT(!queue_infos_.empty());
    rules.id = raw(queue_infos_[0].id);
    queues_.push_back(queue_infos_[0].id);
    return reference_.add_queue(rules);
  }
  void send(Key key, Key root, uint64_t group) {
    const SimMessage message{
        .key = key, .root = root, .group = group, .with_id = true, .delay_ms = kDelayQueueDefault};
    std::vector<std::byte> run;
    append_message(run, message);
    if (key == root) roots_.emplace_back(root, group);
    last_root_ = root;
    last_group_ = group;
    reference_.send_asked({.key = key,
                           .queue = kSource,
                           .body_hash = content_hash(message),
                           .group = group,
                           .id = {.queue = kSource, .root = root},
                           .event = event_ + 1},
                          now_);
    sending_ = key;
    shard().send({.queue = queues_[kSource], .count = 1, .messages = run}, ask());
    wait();
  }
  void receive(uint32_t queue, uint32_t visibility_ms) {
    receiving_ = queue;
    visibility_ms_ = visibility_ms;
    reference_.receive_asked(queue);
    shard().receive(
        {.queue = queues_[queue], .messages_max = 10, .visibility_ms = visibility_ms, .wait_ms = 0},
        ask());
    wait();
  }
  Held take_held() {
    const Held oldest = held_.front();
    held_.erase(held_.begin());
    return oldest;
  }
  void acknowledge(const Held& held) {
    acting_ = held;
    extending_ = false;
    reference_.ack_asked(held.key, held.queue, held.receipt.shard_slot);
    shard().ack({{&held.receipt, 1}}, ask());
    wait();
  }
  void give_back(const Held& held) {
    acting_ = held;
    extending_ = true;
    reference_.extend_asked(held.key, held.queue, held.receipt.shard_slot, 0, now_);
    const ExtendEntry entry{held.receipt, 0};
    shard().extend({{&entry, 1}}, ask());
    wait();
  }
  void pass(int64_t ms) {
    environment_.advance(ms);
    passed_ += ms;
    refresh();
    turn();
  }
  void purge() {
    purging_ = reference_.purge_asked(kSource, now_);
    shard().purge_queue(queues_[kSource], ask());
    wait();
    purging_ = 0;
  }
  // Enough for the head of the log to be cleaned and freed.
  void clean() {
    for (int i = 0; i < kJunkMessages && !image_->halted(); ++i) {
      const MessageHeader header{kJunkBytes, 0, 0, 0};
      std::vector<std::byte> run(message_stride(header));
      std::memcpy(run.data(), &header, sizeof header);
      sending_ = 0;
      shard().send({.queue = queues_[kJunk], .count = 1, .messages = run}, ask());
      wait();
      if (image_->halted()) return;
      shard().purge_queue(queues_[kJunk], ask());
      wait();
    }
    settle();
  }

  void on_send(uint64_t, const SendReply& reply) override {
    answered_ = true;
    ++event_;
    if (sending_ == 0 || reply.error == Errc::shard_fenced) return;
    const uint64_t place = reply.shard_slots.empty() ? raw(reply.first_slot) : reply.shard_slots[0];
    wrong(reference_.send_answered(sending_, reply.error == Errc::ok, place, event_, now_));
  }
  void on_receive(uint64_t, const ReceiveReply& reply) override {
    answered_ = true;
    ++event_;
    if (reply.error != Errc::ok) return reference_.receive_lost(receiving_);
    std::vector<Key> before;
    for (const Delivery& d : reply.deliveries) {
      const auto content = read_delivered(d);
      if (!content) return wrong("C2: a body too short for any key");
      wrong(reference_.delivered({.key = content->key,
                                  .queue = receiving_,
                                  .body_hash = content->hash,
                                  .receive_count = d.receive_count,
                                  .visibility_ms = visibility_ms_,
                                  .asked_at = asked_at_,
                                  .asked_event = asked_event_,
                                  .place = d.receipt.shard_slot,
                                  .sent_at = d.sent_at,
                                  .moved = content->moved ? &*content->moved : nullptr,
                                  .before = before,
                                  .event = event_},
                                 now_));
      before.push_back(content->key);
      held_.push_back({content->key, receiving_, d.receipt});
    }
    reference_.receive_answered(receiving_);
  }
  void on_results(uint64_t, const ResultsReply& reply) override {
    answered_ = true;
    ++event_;
    const Errc result = reply.error != Errc::ok ? reply.error : reply.results[0];
    if (result == Errc::shard_fenced) return;
    const uint32_t generation = acting_.receipt.generation;
    if (extending_)
      return wrong(reference_.extend_answered({.key = acting_.key,
                                               .queue = acting_.queue,
                                               .ok = result == Errc::ok,
                                               .gone = result == Errc::message_gone,
                                               .generation = generation,
                                               .asked_at = asked_at_,
                                               .event = event_},
                                              now_));
    wrong(reference_.ack_answered({.key = acting_.key,
                                   .queue = acting_.queue,
                                   .ok = result == Errc::ok,
                                   .expired = result == Errc::receipt_expired,
                                   .generation = generation,
                                   .asked_event = asked_event_,
                                   .event = event_},
                                  now_));
  }
  void on_peek(uint64_t, const PeekReply&) override {}
  void on_stats(uint64_t, const BrokerStatsReply&) override {}
  void on_queues(uint64_t, const QueueReply& reply) override {
    answered_ = true;
    ++event_;
    queue_infos_.assign(reply.queues.begin(), reply.queues.end());
    if (purging_ != 0 && reply.error != Errc::shard_fenced)
      reference_.purge_answered(purging_, reply.error == Errc::ok, event_, now_);
  }

  std::unique_ptr<SimDiskImage> image_;
  SimEnvironment environment_;
  const Durability durability_;
  int64_t passed_;
  base::Prng prng_{1};
  ReferenceQueue reference_{durability_ == Durability::commit, true};
  std::unique_ptr<Broker> broker_;
  std::vector<QueueId> queues_;
  std::vector<QueueInfo> queue_infos_;
  std::vector<Held> held_;
  std::vector<std::pair<Key, uint64_t>> roots_;  // with their groups
  Key keys_ = 0;
  Key last_root_ = 0;
  uint64_t last_group_ = 0;
  uint64_t event_ = 0;
  TimeMs now_{};
  std::string violation_;
  // Of the request that is open.
  bool answered_ = false;
  uint64_t asked_event_ = 0;
  TimeMs asked_at_{};
  Key sending_ = 0;
  uint32_t receiving_ = 0;
  uint32_t visibility_ms_ = 0;
  Held acting_{};
  bool extending_ = false;
  uint64_t purging_ = 0;
};

// With its queues and a first message, all of it durable; the start of each sequence.
std::unique_ptr<World> make_beginning(Durability durability) {
  World made(std::make_unique<SimDiskImage>(), durability, 0);
  MR_ASSERT(made.open());
  made.make_queues();
  made.perform('a');
  made.settle();
  made.image().kill();
  made.image().settle();
  return made.twin();
}

const World& beginning(Durability durability) {
  static const std::unique_ptr<World> commit = make_beginning(Durability::commit);
  static const std::unique_ptr<World> none = make_beginning(Durability::none);
  return durability == Durability::commit ? *commit : *none;
}

// Each subset of what is not durable, or if that is too much: none, all, each alone and each alone
// missing.
void judge_images(const World& world, const SimDiskImage& image, std::set<uint64_t>& seen,
                  SmallWorldReport& report) {
  const size_t units = image.undecided();
  const bool all = units <= kSubsetUnitsMax;
  const size_t subsets = all ? size_t{1} << units : 2 * units + 2;
  ++report.crash_points;
  report.all_subsets += all;
  for (size_t subset = 0; subset < subsets && report.violation.empty(); ++subset) {
    auto after = image.fork_choice([&](size_t unit) {
      if (all) return (subset >> unit & 1) != 0;
      if (subset >= 2 * units) return subset == 2 * units;
      return (unit == subset / 2) == (subset % 2 == 0);
    });
    if (!seen.insert(base::mix(after->digest(), world.answers())).second) continue;
    ++report.images;
    report.violation = world.after(std::move(after))->judge();
  }
}

}  // namespace

std::string_view small_operation_text(char operation) {
  switch (operation) {
    case 'a':
      return "send to group a";
    case 'b':
      return "send to group b";
    case 'r':
      return "send the last one again";
    case 'v':
      return "receive from both queues";
    case 'k':
      return "ack the oldest held";
    case 'z':
      return "extend the oldest held to 0";
    case 't':
      return "two seconds pass";
    case 'p':
      return "purge";
    default:
      return "fill and clean the log";
  }
}

void SmallWorldReport::add(const SmallWorldReport& other) {
  if (violation.empty()) violation = other.violation;
  crash_points += other.crash_points;
  images += other.images;
  all_subsets += other.all_subsets;
}

namespace {

SmallWorldReport try_sequence(std::string_view operations, Durability durability) {
  SmallWorldReport report;
  std::set<uint64_t> seen;
  const char last = operations.back();
  for (uint64_t calls = 0; report.violation.empty();
       calls += last == 'c' ? kCleaningStride : uint64_t{1}) {
    const auto world = beginning(durability).twin();
    if (world->open()) {
      for (const char operation : operations.substr(0, operations.size() - 1)) {
        world->perform(operation);
        world->settle();
      }
      world->image().halt_after(calls);
      world->perform(last);
      world->settle();
    }
    report.violation = world->violation();
    const bool done = !world->image().halted();
    if (report.violation.empty()) judge_images(*world, world->image(), seen, report);
    if (done) break;
  }
  return report;
}

}  // namespace

SmallWorldReport try_sequence(std::string_view operations) {
  SmallWorldReport report;
  for (const Durability durability : {Durability::commit, Durability::none})
    if (report.violation.empty()) report.add(try_sequence(operations, durability));
  if (!report.violation.empty()) report.violation += fmt::format(" (sequence {})", operations);
  return report;
}

SmallWorldReport try_all_sequences(uint32_t length, uint32_t part, uint32_t parts) {
  SmallWorldReport report;
  uint64_t number = 0;
  for (uint32_t n = 1; n <= length; ++n) {
    std::vector<size_t> digits(n, 0);
    for (bool more = true; more && report.violation.empty();) {
      if (number++ % parts == part) {
        std::string operations;
        for (const size_t digit : digits)
          operations += kSmallOperations[digit];
        report.add(try_sequence(operations));
      }
      more = false;
      for (size_t i = n; i-- > 0 && !more;) {
        more = ++digits[i] < kSmallOperations.size();
        if (!more) digits[i] = 0;
      }
    }
  }
  return report;
}

}  // namespace millrace::sim
