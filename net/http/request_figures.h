// RequestFigures: how many requests the fronts of all shards have answered, by action and status.
//
// A front counts in a table of its own, on its shard's thread, without a shared cache line; whoever
// shows the figures adds the tables up.
// Threads: a table is written by one thread and read by any; add() and visit() by any.
// Memory: some 100 bytes an action and front.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::net {

class RequestFigures {
 public:
  // What is not among them is counted under the first of its hundred.
  static constexpr std::array<uint16_t, 6> kStatuses{200, 400, 403, 404, 500, 503};

  class Table {
   public:
    explicit Table(size_t actions)
        : counts_(std::make_unique<std::atomic<uint64_t>[]>(actions * kStatuses.size())) {}
    void count(size_t action, uint16_t status) {
      std::atomic<uint64_t>& cell = counts_[action * kStatuses.size() + column(status)];
      cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    uint64_t get(size_t action, size_t status) const {
      return counts_[action * kStatuses.size() + status].load(std::memory_order_relaxed);
    }

   private:
    static size_t column(uint16_t status) {
      for (size_t i = 0; i < kStatuses.size(); ++i)
        if (kStatuses[i] == status) return i;
      return status >= 500 ? 4 : status >= 400 ? 1 : 0;
    }
    std::unique_ptr<std::atomic<uint64_t>[]> counts_;
  };

  // `actions` last for ever, and are the same for all.
  explicit RequestFigures(std::vector<std::string_view> actions) : actions_(std::move(actions)) {}

  // A front's; it lasts as long as this.
  Table& add() {
    const std::lock_guard lock(mutex_);
    return tables_.emplace_back(actions_.size());
  }
  // Each action with each status that was met, and with 200 in any case.
  template <class F>
  void visit(F&& show) const {
    const std::lock_guard lock(mutex_);
    for (size_t action = 0; action < actions_.size(); ++action)
      for (size_t status = 0; status < kStatuses.size(); ++status) {
        uint64_t sum = 0;
        for (const Table& table : tables_)
          sum += table.get(action, status);
        if (sum > 0 || status == 0) show(actions_[action], kStatuses[status], sum);
      }
  }

 private:
  const std::vector<std::string_view> actions_;
  mutable std::mutex mutex_;
  std::deque<Table> tables_;
};

}  // namespace millrace::net
