#include "tests/model/model_run.h"

#include <array>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "tests/model/model_broker.h"

namespace millrace::model {
namespace {

struct Configuration {
  std::string_view name;
  uint16_t shards = 1;
  bool fifo = false;
  bool content = false;
  bool by_group = false;  // deduplication
  bool spread = false;    // over shards, by group
  int chain = 0;          // dead-letter queues behind the first
  int64_t retention = 0;  // 0: the default
  int64_t delay = 0;
  bool tenants = false;  // a standard queue with groups, of which few send most
  bool changes_scope = false;
};

// Times in a run are whole seconds; a retention that is not is never hit to the millisecond, where
// what is right is not written down anywhere.
constexpr int64_t kShortRetention = 120'500;

constexpr std::array kConfigurations{
    Configuration{.name = "standard"},
    Configuration{.name = "standard-4", .shards = 4},
    Configuration{.name = "standard-delayed", .delay = 7'000},
    Configuration{.name = "fair", .tenants = true},
    Configuration{.name = "fair-4", .shards = 4, .tenants = true},
    Configuration{.name = "fair-dead-letters", .chain = 2, .tenants = true},
    Configuration{.name = "fair-retention", .retention = kShortRetention, .tenants = true},
    Configuration{.name = "fifo", .fifo = true},
    Configuration{.name = "fifo-4", .shards = 4, .fifo = true},
    Configuration{.name = "fifo-content", .fifo = true, .content = true},
    Configuration{.name = "fifo-delayed", .fifo = true, .delay = 7'000},
    Configuration{.name = "fifo-group", .fifo = true, .by_group = true},
    Configuration{.name = "fifo-scope", .fifo = true, .changes_scope = true},
    Configuration{.name = "fifo-content-scope",
                  .fifo = true,
                  .content = true,
                  .by_group = true,
                  .changes_scope = true},
    Configuration{.name = "dead-letters", .chain = 2},
    Configuration{.name = "retention", .retention = kShortRetention},
    Configuration{.name = "retention-4", .shards = 4, .retention = kShortRetention},
    Configuration{.name = "fifo-retention", .fifo = true, .retention = kShortRetention},
    Configuration{.name = "dead-letters-retention", .chain = 2, .retention = kShortRetention},
    Configuration{.name = "fifo-dead-letters-retention",
                  .fifo = true,
                  .chain = 2,
                  .retention = kShortRetention},
    Configuration{.name = "dead-letters-4", .shards = 4, .chain = 2},
    Configuration{.name = "fifo-dead-letters", .fifo = true, .chain = 2},
    Configuration{.name = "fifo-dead-letters-4", .shards = 4, .fifo = true, .chain = 2},
    Configuration{
        .name = "fifo-group-4", .shards = 4, .fifo = true, .by_group = true, .spread = true},
};

// Smaller than what a partition's page or a batch holds, so that edges are met.
constexpr uint64_t kGroups = 12;
constexpr uint64_t kIds = 400;
constexpr uint64_t kContents = 60;
constexpr size_t kHeldMax = 200;
// Shorter runs may not have that many in flight.
constexpr uint64_t kTenantsSeenAfter = 10'000;

class Run {
 public:
  Run(const Configuration& configuration, const RunOptions& options)
      : configuration_(configuration),
        options_(options),
        prng_(options.seed),
        broker_(configuration.shards, options.seed) {}

  RunReport run() {
    make_queues();
    for (; report_.operations < options_.operations && report_.violation.empty();
         ++report_.operations)
      step();
    if (report_.violation.empty()) drain();
    report_.noisy = queues_[0].model->noisy_receives();
    if (queues_[0].model->rules().turns && options_.operations >= kTenantsSeenAfter &&
        report_.noisy == 0)
      violated("no tenant ever had too much in flight");
    if (!report_.violation.empty())
      report_.violation =
          fmt::format("{}: --configuration {} --seed {} operation {}", report_.violation,
                      configuration_.name, options_.seed, report_.operations);
    return report_;
  }

 private:
  struct Queue {
    QueueId id{};
    std::unique_ptr<ModelQueue> model;
    std::map<uint64_t, uint64_t> number_at;  // of the message accepted at a place
  };
  struct Held {
    size_t queue;
    Taken taken;
  };

  template <class... Parts>
  void trace(fmt::format_string<Parts...> text, Parts&&... parts) {
    if (!options_.trace) return;
    fmt::print("{:6} at {}: {}\n", report_.operations, broker_.now(),
               fmt::format(text, std::forward<Parts>(parts)...));
  }
  void violated(std::string what) {
    if (report_.violation.empty()) report_.violation = std::move(what);
  }

  void make_queues() {
    // The last of the chain first: who names a dead-letter queue names one that is there.
    queues_.resize(static_cast<size_t>(configuration_.chain) + 1);
    for (size_t i = queues_.size(); i-- > 0;) {
      Rules rules{.fifo = configuration_.fifo,
                  .content_deduplication = configuration_.content,
                  .deduplication_by_group = configuration_.by_group,
                  .delay = i == 0 ? configuration_.delay : 0,
                  // Where nothing leaves that nobody is told of, and all shards are one.
                  .turns = configuration_.tenants && configuration_.shards == 1 &&
                           configuration_.chain == 0 && configuration_.retention == 0};
      QueueAttributes attributes{.delay_ms = static_cast<uint32_t>(rules.delay),
                                 .fifo = rules.fifo,
                                 .content_deduplication = rules.content_deduplication};
      if (configuration_.by_group) attributes.deduplication_scope = DeduplicationScope::group;
      if (configuration_.spread) attributes.throughput_limit = ThroughputLimit::group;
      if (configuration_.retention != 0) {
        // Each queue of a chain keeps messages longer than the one before.
        rules.retention = configuration_.retention + static_cast<int64_t>(i) * 120'000;
        attributes.retention_ms = static_cast<uint32_t>(rules.retention);
      }
      ModelQueue* dead_letters = nullptr;
      if (i + 1 < queues_.size()) {
        dead_letters = queues_[i + 1].model.get();
        rules.receives_max = static_cast<uint32_t>(2 + i);
        attributes.dead_letter_queue = name(i + 1);
        attributes.receives_max = rules.receives_max;
      }
      const auto id = broker_.create(name(i), attributes);
      if (!id) return violated("queue refused: " + broker_.detail());
      queues_[i].id = *id;
      queues_[i].model = std::make_unique<ModelQueue>(rules, dead_letters);
    }
  }
  std::string name(size_t i) const {
    return fmt::format("q{}{}", i, configuration_.fifo ? ".fifo" : "");
  }

  void step() {
    const uint64_t dice = prng_.below(1'000);
    if (dice < 300) return send();
    if (dice < 640) return receive(prng_.below(queues_.size()));
    if (dice < 830) return acknowledge();
    if (dice < 880) return extend();
    if (dice < 980) return pass();
    if (dice < 985) return count();
    if (dice < 987) return purge();
    if (dice >= 991 && dice < 996) return move_back();
    if (dice >= 996) return change_scope();
    if (dice < 991) {
      ++report_.restarts;
      const bool kill = prng_.below(2) == 0;
      trace("{}", kill ? "kill" : "stop");
      broker_.restart(kill);
    }
  }

  void send() {
    Queue& queue = queues_[0];
    std::vector<Sending> messages(1 + prng_.below(10));
    for (Sending& one : messages) {
      one.number = ++numbers_;
      one.body = configuration_.content
                     ? fmt::format("content {}", prng_.below(kContents))
                     : fmt::format("{} {}", one.number, std::string(prng_.below(300), 'x'));
      if (configuration_.fifo) {
        one.group = fmt::format("g{}", prng_.below(kGroups));
        if (!configuration_.content || prng_.below(4) == 0)
          one.deduplication_id = fmt::format("id{}", prng_.below(kIds));
      } else {
        if (prng_.below(5) == 0) one.delay = static_cast<int64_t>(prng_.below(4)) * 5'000;
        if (configuration_.tenants)
          one.group = tenant();
        else if (prng_.below(10) == 0)
          one.group = "fair";
      }
    }
    const auto places = broker_.send(queue.id, messages);
    if (!places) return violated(fmt::format("send refused: {}", errc_text(places.error())));
    for (size_t i = 0; i < messages.size(); ++i) {
      const auto [at, fresh] = queue.number_at.try_emplace((*places)[i], messages[i].number);
      if (std::string wrong = queue.model->send(messages[i], at->second, broker_.now());
          !wrong.empty())
        return violated(std::move(wrong));
      trace("send {} {} {} at {:x}{}", messages[i].number, messages[i].group,
            messages[i].deduplication_id, (*places)[i], fresh ? "" : " repeated");
      ++report_.sent;
      if (!fresh) ++report_.repeated;
    }
  }

  // Two send most; some messages are of none.
  std::string tenant() {
    const uint64_t dice = prng_.below(10);
    if (dice == 0) return "";
    return fmt::format("t{}", dice < 7 ? dice % 2 : prng_.below(kGroups));
  }

  void receive(size_t index) {
    Queue& queue = queues_[index];
    const auto max = static_cast<uint32_t>(1 + prng_.below(10));
    constexpr std::array<uint32_t, 5> kVisibilities{0, 1'000, 5'000, 30'000, 600'000};
    const uint32_t visibility = kVisibilities[prng_.below(kVisibilities.size())];
    take(index, queue, max, visibility);
  }
  // How many came.
  size_t take(size_t index, Queue& queue, uint32_t max, uint32_t visibility) {
    const auto taken = broker_.receive(queue.id, max, visibility);
    if (!taken) {
      violated(fmt::format("receive refused: {}", errc_text(taken.error())));
      return 0;
    }
    trace("receive of q{}, at most {}, for {} ms: {}", index, max, visibility, taken->size());
    for (const Taken& one : *taken)
      trace("  {} {} receive {} at {:x}", one.number, one.group, one.receives,
            one.receipt.shard_slot);
    std::vector<Delivered> given;
    for (const Taken& one : *taken)
      given.push_back({one.number, one.receives, one.sent_at, one.group, one.body});
    const bool complete = configuration_.shards == 1;
    violated(queue.model->receive(given, max, complete, visibility, broker_.now()));
    for (const Taken& one : *taken) {
      if (held_.size() == kHeldMax) held_.erase(held_.begin());
      held_.push_back({index, one});
    }
    report_.delivered += taken->size();
    if (index > 0) report_.dead_lettered += taken->size();
    return taken->size();
  }

  static std::optional<Answer> answer_of(Errc error) {
    switch (error) {
      case Errc::ok:
        return Answer::done;
      case Errc::receipt_expired:
        return Answer::expired;
      case Errc::message_gone:
        return Answer::gone;
      default:
        return std::nullopt;
    }
  }

  void acknowledge() {
    if (held_.empty()) return;
    const size_t at = prng_.below(held_.size());
    const Held held = held_[at];
    // Now and then it comes twice.
    if (prng_.below(10) > 0) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
    acknowledge(held);
  }
  void acknowledge(const Held& held) {
    const Errc error = broker_.acknowledge(held.taken.receipt);
    trace("ack of {} receive {}: {}", held.taken.number, held.taken.receives, errc_name(error));
    const auto answer = answer_of(error);
    if (!answer) return violated(fmt::format("ack refused: {}", errc_text(error)));
    violated(queues_[held.queue].model->acknowledge(held.taken.number, held.taken.receives, *answer,
                                                    broker_.now()));
    ++(*answer == Answer::done ? report_.acknowledged : report_.late);
  }

  void extend() {
    if (held_.empty()) return;
    const Held& held = held_[prng_.below(held_.size())];
    const int64_t visibility = static_cast<int64_t>(prng_.below(4)) * 9'000;
    const Errc error = broker_.extend(held.taken.receipt, static_cast<uint32_t>(visibility));
    trace("extension of {} receive {} by {} ms: {}", held.taken.number, held.taken.receives,
          visibility, errc_name(error));
    const auto answer = answer_of(error);
    if (!answer) return violated(fmt::format("extension refused: {}", errc_text(error)));
    violated(queues_[held.queue].model->extend(held.taken.number, held.taken.receives, visibility,
                                               *answer, broker_.now()));
    ++report_.extended;
  }

  void pass() {
    const uint64_t dice = prng_.below(100);
    const uint64_t seconds = dice < 80 ? prng_.below(8) : dice < 99 ? prng_.below(200) : 7'200;
    trace("{} s pass", seconds);
    broker_.pass(static_cast<int64_t>(seconds) * 1'000);
  }

  void count() {
    if (configuration_.chain > 0 || configuration_.retention != 0) return;
    const auto counters = broker_.counters(queues_[0].id);
    if (!counters) return violated("no counters");
    const Counts right = queues_[0].model->counts(broker_.now());
    const Counts said{counters->ready, counters->leased, counters->delayed};
    if (said != right)
      violated(fmt::format("counted {} ready, {} leased, {} delayed; there are {}, {}, {}",
                           said.ready, said.leased, said.delayed, right.ready, right.leased,
                           right.delayed));
  }

  void purge() {
    const size_t index = prng_.below(queues_.size());
    trace("purge of q{}", index);
    if (broker_.purge(queues_[index].id) != Errc::ok) return violated("purge refused");
    queues_[index].model->purge();
    ++report_.purges;
  }

  void change_scope() {
    if (!configuration_.changes_scope) return;
    const bool by_group = prng_.below(2) == 0;
    trace("scope is the {}'s", by_group ? "group" : "queue");
    if (broker_.set_scope(queues_[0].id, by_group) != Errc::ok) return violated("scope refused");
    queues_[0].model->set_scope(by_group);
  }

  // A move task, after a look at the dead-letter queues has settled what the engine was free to do.
  void move_back() {
    if (configuration_.chain == 0) return;
    for (size_t i = 1; i < queues_.size(); ++i) {
      const auto here = broker_.look(queues_[i].id);
      if (!here) return;
      if (std::string wrong = queues_[i].model->looked_at(*here, broker_.now()); !wrong.empty())
        return violated(fmt::format("a look at q{}: {}", i, wrong));
    }
    const size_t index = 1 + prng_.below(queues_.size() - 1);
    if (!queues_[index].model->can_move_back()) return;
    // To the first queue: what came from there knows it, what is further down the chain does not.
    const QueueId destination = index > 1 || prng_.below(2) == 0 ? queues_[0].id : QueueId{};
    const bool disturbed = prng_.below(4) == 0;
    const auto task = broker_.move_back(queues_[index].id, destination, disturbed);
    if (!task || task->state != MoveState::completed)
      return violated(fmt::format("move task: {}", task ? task->failure : errc_text(task.error())));
    trace("{} moved back from q{}{}", task->moved, index, disturbed ? ", disturbed" : "");
    std::set<uint64_t> gone_back;
    const std::string wrong =
        queues_[index].model->move_back(*queues_[0].model, task->moved, broker_.now(), &gone_back);
    // A count is from before a kill; the messages themselves are looked at by all that follows.
    if (!disturbed) violated(wrong);
    report_.moved_back += gone_back.size();
    // Receipts of their earlier lives are about nothing.
    for (size_t i = 0; i < held_.size();) {
      if (!gone_back.contains(held_[i].taken.number)) {
        ++i;
        continue;
      }
      if (prng_.below(2) == 0 && broker_.acknowledge(held_[i].taken.receipt) != Errc::ok)
        return violated("a receipt of what was moved back is not taken for one of the past");
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  // What is still there must come, if only it is asked for often and long enough.
  void drain() {
    for (int round = 0; round < 100 && report_.violation.empty(); ++round) {
      broker_.pass(1'000'000);
      for (size_t i = 0; i < queues_.size(); ++i) {
        held_.clear();
        while (take(i, queues_[i], 10, 600'000) > 0 && report_.violation.empty()) {
          for (const Held& held : held_)
            acknowledge(held);
          held_.clear();
        }
      }
    }
    for (const Queue& queue : queues_)
      if (queue.model->size() > 0)
        violated(fmt::format("{} messages never came again", queue.model->size()));
  }

  const Configuration configuration_;
  const RunOptions options_;
  base::Prng prng_;
  ModelBroker broker_;
  std::vector<Queue> queues_;
  std::vector<Held> held_;
  uint64_t numbers_ = 0;
  RunReport report_;
};

}  // namespace

std::vector<std::string_view> configurations() {
  std::vector<std::string_view> names;
  for (const Configuration& one : kConfigurations)
    names.push_back(one.name);
  return names;
}

RunReport run_model(const RunOptions& options) {
  for (const Configuration& one : kConfigurations)
    if (one.name == options.configuration) return Run(one, options).run();
  RunReport none;
  none.violation = fmt::format("no configuration is called {}", options.configuration);
  return none;
}

}  // namespace millrace::model
