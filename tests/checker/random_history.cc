#include "tests/checker/random_history.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>

#include <fmt/format.h>

#include "tests/checker/perfect_queue.h"

namespace millrace::checker {
namespace {

constexpr Nanoseconds kStart = 10 * kSecond;
constexpr Nanoseconds kPoll = 5 * kMillisecond;
constexpr uint32_t kVisibilityMsMax = 1000;
constexpr uint32_t kDelayMsMax = 400;

std::string receipt_text(uint64_t receipt) {
  return fmt::format("r{}", receipt);
}

class World {
 public:
  explicit World(const RandomSettings& settings) : settings_(settings), random_(settings.seed) {
    constexpr std::string_view kInterval = "interval=";
    const std::string& mode = settings.durability;
    if (mode.starts_with(kInterval)) {
      std::from_chars(mode.data() + kInterval.size(), mode.data() + mode.size(), interval_ms_);
    }
  }

  std::vector<RandomOperation> run() {
    for (const char* queue : {"q0", "q1"}) {
      const size_t made = begin("h", Op::mkq, {.q = queue, .v = kVisibilityMsMax});
      end(made, Phase::ok, {});
    }
    left_ = settings_.operations;
    for (int client = 0; client < 6; ++client) {
      clients_.push_back({fmt::format("c{}", client), client < 3, {}});
    }
    for (size_t client = 0; client < clients_.size(); ++client) {
      at(now_ + below(kMillisecond), [this, client] { next(client); });
    }
    // Faults are spread over the first half second per hundred operations.
    const Nanoseconds span = settings_.operations * kMillisecond / 2;
    for (uint32_t kill = 0; kill < settings_.kills; ++kill) {
      at(kStart + below(span), [this] { stop_server(Op::kill); });
    }
    for (uint32_t loss = 0; loss < settings_.power_losses; ++loss) {
      at(kStart + below(span), [this] { stop_server(Op::power); });
    }
    for (uint32_t purge = 0; purge < settings_.purges; ++purge) {
      at(kStart + below(span), [this] { purge_queue(); });
    }
    run_events();
    for (const char* queue : {"q0", "q1"})
      drain(queue);
    return std::move(history_);
  }

 private:
  struct Held {
    std::string queue, key;
    uint64_t receipt = 0;
  };
  struct Client {
    std::string name;
    bool producer = false;
    std::vector<Held> held;
  };
  struct Action {
    Nanoseconds t;
    uint64_t order;
    std::function<void()> run;
    bool operator<(const Action& other) const {
      return t != other.t ? t > other.t : order > other.order;
    }
  };

  // --- chance and time ---
  Nanoseconds below(Nanoseconds bound) {
    return static_cast<Nanoseconds>(random_() % static_cast<uint64_t>(bound));
  }
  bool chance(uint32_t percent) { return random_() % 100 < percent; }
  Nanoseconds step() { return 20'000 + below(kMillisecond); }
  void at(Nanoseconds t, std::function<void()> action) {
    actions_.push({t, ++actions_made_, std::move(action)});
  }
  void run_events() {
    while (!actions_.empty()) {
      const Action action = actions_.top();
      actions_.pop();
      now_ = action.t;
      action.run();
    }
  }

  // --- lines ---
  size_t begin(const std::string& client, Op op, RandomFields fields) {
    history_.push_back({client, op, now_, std::move(fields), {}});
    return history_.size() - 1;
  }
  void end(size_t operation, Phase phase, RandomFields fields) {
    history_[operation].ends.push_back({now_, phase, std::move(fields)});
  }

  // --- an operation of a client: `effect` at the server, then `answer` at the client ---
  // effect returns false to be asked again later (a receive that waits).
  void request(size_t client, size_t operation, const std::function<bool()>& effect,
               const std::function<void()>& answer) {
    if (!up_) {
      at(now_ + step(), [=, this] {
        end(operation, Phase::fail, {});
        at(now_ + 5 * kMillisecond, [=, this] { next(client); });
      });
      return;
    }
    at(now_ + step(), [=, this, life = life_] { serve(client, operation, effect, answer, life); });
  }

  void serve(size_t client, size_t operation, const std::function<bool()>& effect,
             const std::function<void()>& answer, uint64_t life) {
    const bool dead = life != life_;
    const bool lost_request = !dead && settings_.lost_answers && random_() % 300 == 0;
    if (dead || lost_request) return give_up(client, operation);
    if (!effect()) {
      at(now_ + kPoll, [=, this] { serve(client, operation, effect, answer, life); });
      return;
    }
    const bool lost_answer = settings_.lost_answers && random_() % 300 == 0;
    at(now_ + step(), [=, this] {
      if (life != life_ || lost_answer) return give_up(client, operation);
      answer();
      at(now_ + step(), [=, this] { next(client); });
    });
  }

  void give_up(size_t client, size_t operation) {
    // One in four clients says nothing at all.
    if (!chance(25)) end(operation, Phase::info, {});
    at(now_ + step(), [=, this] { next(client); });
  }

  void next(size_t client) {
    if (left_ == 0) return;
    --left_;
    Client& who = clients_[client];
    if (who.producer) return send(client);
    if (who.held.empty() || chance(30)) return receive(client);
    const auto pick = static_cast<ptrdiff_t>(random_() % who.held.size());
    const Held held = who.held[static_cast<size_t>(pick)];
    const bool change = chance(15);
    if (!change || chance(50)) who.held.erase(who.held.begin() + pick);
    if (chance(10)) return receive(client);  // forgotten: its lease runs out
    if (change) return change_visibility(client, held);
    remove(client, held);
  }

  void send(size_t client) {
    const std::string key = fmt::format("k{}", ++keys_);
    const std::string queue = chance(50) ? "q0" : "q1";
    const uint32_t delay_ms = chance(20) ? static_cast<uint32_t>(below(kDelayMsMax)) : 0;
    RandomFields fields{.q = queue, .k = key, .h = "h" + key};
    if (delay_ms != 0) fields.dl = delay_ms;
    const size_t operation = begin(clients_[client].name, Op::send, std::move(fields));
    const auto shard = static_cast<uint32_t>(random_() % PerfectQueue::kShards);
    const auto place = std::make_shared<LogPlace>();
    request(
        client, operation,
        [=, this] {
          *place = server_.send(now_, shard, queue, key, delay_ms * kMillisecond);
          return true;
        },
        [=, this] {
          acknowledged(key);
          end(operation, Phase::ok,
              {.k = key,
               .m = "m" + key,
               .dur = settings_.durability,
               .lsn = fmt::format("{}:{}", place->shard, place->position)});
        });
  }

  void receive(size_t client) {
    static constexpr uint32_t kVisibilities[] = {60, 250, kVisibilityMsMax};
    const uint32_t visibility_ms = kVisibilities[random_() % 3];
    const std::string queue = chance(50) ? "q0" : "q1";
    const Nanoseconds deadline = now_ + (chance(50) ? 0 : below(100 * kMillisecond));
    const size_t max = 1 + random_() % 4;
    const size_t operation =
        begin(clients_[client].name, Op::recv, {.q = queue, .v = visibility_ms});
    const auto given = std::make_shared<std::vector<PerfectQueue::Delivery>>();
    request(
        client, operation,
        [=, this] {
          *given = server_.receive(now_, queue, max, visibility_ms * kMillisecond);
          for (const auto& delivery : *given)
            acknowledged(delivery.key);
          return !given->empty() || now_ >= deadline;
        },
        [=, this] {
          deliver(operation, *given);
          for (const auto& delivery : *given) {
            clients_[client].held.push_back({queue, delivery.key, delivery.receipt});
          }
        });
  }

  void deliver(size_t operation, const std::vector<PerfectQueue::Delivery>& given) {
    if (given.empty()) end(operation, Phase::ok, {});
    for (const auto& delivery : given) {
      end(operation, Phase::ok,
          {.k = delivery.key,
           .h = "h" + delivery.key,
           .m = "m" + delivery.key,
           .r = receipt_text(delivery.receipt),
           .n = delivery.n});
    }
  }

  void remove(size_t client, const Held& held) {
    const size_t operation =
        begin(clients_[client].name, Op::del,
              {.q = held.queue, .k = held.key, .r = receipt_text(held.receipt)});
    const auto taken = std::make_shared<bool>(false);
    request(
        client, operation,
        [=, this] {
          *taken = server_.remove(now_, held.key, held.receipt);
          return true;
        },
        [=, this] {
          if (!*taken) return end(operation, Phase::fail, {});
          acknowledged(held.key);
          end(operation, Phase::ok, {.dur = settings_.durability});
        });
  }

  void change_visibility(size_t client, const Held& held) {
    const uint32_t visibility_ms = chance(50) ? 0 : static_cast<uint32_t>(below(kVisibilityMsMax));
    const size_t operation = begin(
        clients_[client].name, Op::vis,
        {.q = held.queue, .k = held.key, .r = receipt_text(held.receipt), .v = visibility_ms});
    const auto done = std::make_shared<bool>(false);
    request(
        client, operation,
        [=, this] {
          *done = server_.change(now_, held.key, held.receipt, visibility_ms * kMillisecond);
          return true;
        },
        [=, this] { end(operation, *done ? Phase::ok : Phase::fail, {}); });
  }

  void acknowledged(const std::string& key) {
    if (settings_.durability == "commit") server_.promise(key);
  }

  // --- the harness ---
  void stop_server(Op how) {
    if (!up_ || stopping_) return;
    stopping_ = true;
    const size_t operation = begin("h", how, {});
    at(now_ + step(), [=, this] {
      up_ = false;
      ++life_;
      if (how == Op::power) {
        if (interval_ms_ != 0) server_.promise_older_than(now_ - interval_ms_ * kMillisecond);
        server_.lose_power([this](size_t n) { return random_() % (n + 1); });
      }
      at(now_ + step(), [=, this] {
        end(operation, Phase::ok, {});
        at(now_ + below(60 * kMillisecond), [this] { start_server(); });
      });
    });
  }

  void start_server() {
    const size_t operation = begin("h", Op::boot, {.n = 1 << 20});
    at(now_ + below(40 * kMillisecond), [=, this] {
      up_ = true;
      stopping_ = false;
      end(operation, Phase::ok, {});
    });
  }

  void purge_queue() {
    const size_t operation = begin("x", Op::purge, {.q = "q1"});
    at(now_ + step(), [=, this, life = life_] {
      const bool acts = up_ && life == life_;
      if (acts) server_.purge(now_, "q1");
      at(now_ + step(), [=, this] {
        const bool known = acts && life == life_;
        if (known && settings_.durability == "commit") server_.promise_all();
        end(operation, known ? Phase::ok : Phase::info, {.dur = settings_.durability});
      });
    });
  }

  // Receives and deletes until three receives in a row, each waiting longer than any lease or
  // delay, come back empty.
  void drain(const std::string& queue) {
    now_ += kMillisecond;
    const size_t whole = begin("h", Op::drain, {.q = queue});
    for (int empty = 0; empty < 3;) {
      now_ += step();
      const size_t operation = begin("d", Op::recv, {.q = queue, .v = kVisibilityMsMax});
      std::vector<PerfectQueue::Delivery> given;
      const Nanoseconds deadline = now_ + (kVisibilityMsMax + kDelayMsMax + 100) * kMillisecond;
      while (given.empty() && now_ < deadline) {
        now_ += kPoll;
        given = server_.receive(now_, queue, 10, kVisibilityMsMax * kMillisecond);
      }
      now_ += step();
      deliver(operation, given);
      empty = given.empty() ? empty + 1 : 0;
      for (const auto& delivery : given) {
        now_ += step();
        const size_t deletion = begin(
            "d", Op::del, {.q = queue, .k = delivery.key, .r = receipt_text(delivery.receipt)});
        now_ += step();
        server_.remove(now_, delivery.key, delivery.receipt);
        now_ += step();
        end(deletion, Phase::ok, {.dur = settings_.durability});
      }
    }
    end(whole, Phase::ok, {.n = server_.count(queue)});
  }

  const RandomSettings settings_;
  std::mt19937_64 random_;
  uint32_t interval_ms_ = 0;
  Nanoseconds now_ = kStart;
  std::priority_queue<Action> actions_;
  uint64_t actions_made_ = 0, keys_ = 0, life_ = 0;
  uint32_t left_ = 0;
  bool up_ = true, stopping_ = false;
  PerfectQueue server_;
  std::vector<Client> clients_;
  std::vector<RandomOperation> history_;
};

std::string line(Nanoseconds t, const std::string& client, uint64_t number, Phase phase, Op op,
                 const RandomFields& fields) {
  std::string out = fmt::format(R"({{"t":{},"p":"{}","i":{},"ev":"{}","op":"{}")", t, client,
                                number, name(phase), name(op));
  const std::pair<const char*, const std::string*> texts[] = {
      {"q", &fields.q}, {"k", &fields.k},     {"h", &fields.h},    {"m", &fields.m},
      {"r", &fields.r}, {"dur", &fields.dur}, {"lsn", &fields.lsn}};
  for (const auto& [field, text] : texts) {
    if (!text->empty()) out += fmt::format(R"(,"{}":"{}")", field, *text);
  }
  if (fields.n) out += fmt::format(R"(,"n":{})", *fields.n);
  if (fields.v) out += fmt::format(R"(,"v":{})", *fields.v);
  if (fields.dl) out += fmt::format(R"(,"dl":{})", *fields.dl);
  return out + "}\n";
}

}  // namespace

std::vector<RandomOperation> random_history(const RandomSettings& settings) {
  return World(settings).run();
}

bool write_history(const std::vector<RandomOperation>& history, const std::string& folder) {
  struct Line {
    Nanoseconds t;
    uint64_t order;
    std::string text;
  };
  std::vector<const RandomOperation*> sorted;
  for (const RandomOperation& operation : history)
    sorted.push_back(&operation);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto* a, const auto* b) { return a->t < b->t; });
  std::map<std::string, std::vector<Line>> files;
  std::map<std::string, uint64_t> numbers;
  uint64_t order = 0;
  for (const RandomOperation* it : sorted) {
    const uint64_t number = ++numbers[it->client];
    std::vector<Line>& lines = files[it->client];
    lines.push_back(
        {it->t, ++order, line(it->t, it->client, number, Phase::inv, it->op, it->fields)});
    for (const RandomEnd& end : it->ends) {
      lines.push_back(
          {end.t, ++order, line(end.t, it->client, number, end.phase, it->op, end.fields)});
    }
  }
  for (auto& [client, lines] : files) {
    std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
      return a.t != b.t ? a.t < b.t : a.order < b.order;
    });
    std::ofstream file(folder + "/" + client + ".jsonl", std::ios::binary);
    for (const Line& it : lines)
      file << it.text;
    if (!file.flush()) return false;
  }
  return true;
}

}  // namespace millrace::checker
