// MoveTasks: the message move tasks of all queues: which run, how far they are, and the history of
// each source. Part of the catalog's keeper, in whose log they are kept.
//
// A task is appended, synced, and told to every shard (move_work.h), which work on it each by
// itself and report. When all shards are done, what became of it is appended. After a restart the
// tasks that had not ended are told anew: what was in the source when one started is known by the
// time it came there. Progress is written down every ten seconds, so that much of it a crash
// forgets; the moves themselves are in the shards' logs, and none is done twice.
//
// Threads: shard 0's.  Memory: some 150 bytes a task, at most kMoveTasksKept a source.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/catalog.h"
#include "engine/mailbox.h"
#include "engine/ring_queue.h"
#include "storage/log.h"

namespace millrace::engine {

class MoveTasks {
 public:
  explicit MoveTasks(const Catalog& catalog) : catalog_(catalog) {}
  void use(storage::Log& log) { log_ = &log; }
  // Goes on with the tasks that had not ended when the process did. Once, after the replay and
  // before anything is asked for.
  void resume(Mailbox& mailbox);

  // False: it is no move task's.
  bool on_record(const storage::Record& record);
  // The queue's tasks and their history are gone. Also in replay.
  void queue_gone(QueueId queue);

  // `catalog_end`: of the newest change of the catalog, which no answer runs ahead of.
  void on_admin(const Mail& mail, Position catalog_end, TimeMs now, Mailbox& mailbox);
  void on_progress(const Mail& mail, Mailbox& mailbox);
  // Before the turn's write: appends what became of tasks.
  void tick(TimeMs now, Mailbox& mailbox);
  // After it: answers and tells what is durable, and before `limit`.
  void tell_durable(Position limit, Mailbox& mailbox);
  // Appends how far tasks are, for an end in good order.
  void note_progress();
  // Re-appends a record of the segment that is cleaned, if it is still the newest of its task.
  Status carry(const storage::Record& record);
  TimeMs next_deadline() const { return next_look_; }
  bool idle() const { return waiting_.empty() && orphans_.empty(); }

 private:
  struct Kept {
    MoveTask task;
    Position position{};  // of its newest record
    uint64_t bytes = 0;
  };
  struct Asker {
    ShardId shard{};
    uint64_t job = 0;
  };
  struct Running {
    QueueId source{};
    uint64_t moved_before = 0;      // in earlier lives of the process
    std::vector<uint64_t> moved{};  // by shard
    uint64_t ready = 0;
    uint64_t unstarted = 0;  // shards, as bits
    uint64_t working = 0;    // likewise
    bool launched = false;
    bool stopping = false;
    bool resumed = false;
    MoveState outcome = MoveState::completed;
    std::string failure{};
    std::vector<Asker> starters{};  // one at most
    std::vector<Asker> cancellers{};
    uint64_t noted = 0;  // moved, as written down
    TimeMs note_at{};
  };
  struct Waiting {
    Position end{};
    uint64_t launch = 0;  // a task; 0: an answer
    Asker to{};
    MailPtr answer{};
  };

  void start(const Mail& mail, const QueueInfo& source, TimeMs now, Mailbox& mailbox);
  Status check_start(const Mail& mail, const QueueInfo& source, std::string* detail) const;
  void cancel(const Mail& mail, const QueueInfo& source, Mailbox& mailbox);
  void list(const Mail& mail, Mailbox& mailbox);
  Kept* find(QueueId source, uint64_t task);
  Status put(const MoveTask& task, storage::Space space);
  Status put_running(const MoveTask& task, storage::Space space);
  void launch(uint64_t id, Mailbox& mailbox);
  void stop(uint64_t id, Running& running, MoveState outcome, Mailbox& mailbox);
  void tell(MailKind kind, uint64_t id, const Running& running, Mailbox& mailbox);
  bool finish(uint64_t id, Running& running, TimeMs now);
  void answer_when_durable(Asker to, const MoveTask& task);

  const Catalog& catalog_;
  storage::Log* log_ = nullptr;
  std::unordered_map<QueueId, std::vector<Kept>> history_;  // oldest first
  std::map<uint64_t, Running> running_;
  RingQueue<Waiting> waiting_;  // for a sync
  std::vector<Asker> orphans_;  // whose queue was deleted
  Position last_end_{};
  uint64_t last_id_ = 0;
  TimeMs next_look_ = kNever;
};

// The body of a move_task record, and back; nothing if it does not hold what it claims.
std::vector<std::byte> encode_move_task(const MoveTask& task);
std::optional<MoveTask> decode_move_task(Bytes body);

}  // namespace millrace::engine
