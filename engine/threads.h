// ShardThreads: the threads of a broker that drives itself: one per shard, pinned if there are
// cores enough. The only place in the engine where threads, locks and waiting exist.
//
// A thread runs its inbox, ticks while there is more to do, then sleeps until its waker fires or
// the shard's next deadline comes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "millrace/engine.h"

namespace millrace::engine {

class ShardThreads {
 public:
  using Work = std::function<void(ShardPort&)>;

  // Error: io_error, the system gives no thread; none is left running then.
  static Result<std::unique_ptr<ShardThreads>> start(std::vector<ShardPort*> shards);
  ~ShardThreads();
  ShardThreads(const ShardThreads&) = delete;
  ShardThreads& operator=(const ShardThreads&) = delete;

  // Any thread. `work` runs on the shard's thread before its next tick. False: the threads are
  // ending or have ended, it will not run.
  bool post(ShardId shard, Work work);
  // Ends all threads after a last turn; idempotent.
  void join();

 private:
  struct Driver;
  ShardThreads();
  std::vector<std::unique_ptr<Driver>> drivers_;
};

}  // namespace millrace::engine
