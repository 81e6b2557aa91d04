// Session: one connection's conversation in the binary protocol.
//
// Whole frames are handled where they lie in the pieces given to feed(), requests go to the shard's
// port, and the answers, which arrive through the ReplySink half, are encoded into output(). The
// server and the simulator drive the same class.
//
// States: greeting (only HELLO is known, frames up to 4 KiB) -> login (only LOGIN and LOGIN_PROOF,
// if there is a gatekeeper that wants them) -> open -> draining (the peer sends no more and every
// whole frame it sent is handled; what is under way is still answered) or closing (an ERROR frame
// with correlation 0 was written; nothing else will be). Back-pressure: with Limits::inflight_max
// requests under way, or Limits::output_bytes_max bytes of output waiting, no further frame is
// handled (wants_input() is false) until there is room; past the output bound waiting RECEIVEs end
// early with an empty answer, and subscriptions get no credit. All the requests under way may be
// answered in one tick, though: past Limits::output_bytes_hard their messages are given back
// instead of written.
//
// Threads: shard-local. A callback of the sink only encodes; what else follows from it is done in
// settle() or by the frame loop.   Memory: a few hundred bytes, plus what is under way.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"
#include "net/admission.h"
#include "net/audit/audit_log.h"
#include "net/binary/admin_notes.h"
#include "net/binary/answers.h"
#include "net/binary/frame.h"
#include "net/binary/login.h"
#include "net/binary/request_table.h"
#include "net/binary/subscriptions.h"
#include "net/binary/topic_desk.h"
#include "net/buffer_pool.h"
#include "net/conversation.h"
#include "net/holders.h"
#include "net/input_buffer.h"
#include "net/limits.h"

namespace millrace::net {

// What all sessions of a shard share.
struct SessionSetting {
  ShardPort* port = nullptr;
  BufferPool* pool = nullptr;
  ConversationHost* host = nullptr;
  Holders* holders = nullptr;        // null: nobody asks who holds what
  Gatekeeper* gatekeeper = nullptr;  // null: whoever connects may do everything
  TopicDesk* topics = nullptr;       // null: what is about topics is refused
  AuditLog* audit = nullptr;         // null: there is none
  bool secure = false;               // it is spoken over TLS
  Limits limits{};
  uint16_t shards = 1;
  Durability durability = Durability::commit;
};

class Session final : public Conversation, public ReplySink, private PublishListener {
 public:
  // `setting` is lent for the session's life; `id` is the host's, for finding its connection.
  Session(const SessionSetting& setting, uint32_t id, const Peer& peer = {});
  ~Session() override;

  void feed(MutableBytes bytes) override;
  // The peer sends no more (it may still read): waiting RECEIVEs and subscriptions end. Whole
  // frames that waited for room are still handled, then the session drains.
  void end_of_input() override;
  // The server stops: what is under way is answered, waiting RECEIVEs are told shutting_down, and
  // frames that waited for room are dropped.
  void shut_down() override;
  // An ERROR frame, then closing.
  void refuse_connection(Errc code, std::string_view text) override;
  // Acts on what the callbacks left, handles held input if there is room again, hands out credit.
  bool settle() override;
  void abandon() override;
  // HELLO and the log-in have to come in time, and the rest of a frame.
  int64_t watch(const InputTimes& times) override;
  void bind_to(Bytes session) override;

  InputState input() const override {
    return {.units = frames_,
            .bytes = input_bytes(),
            .wanted = wants_input(),
            .mid_unit = mid_frame(),
            .logged_in = logged_in_};
  }
  bool wants_input() const { return !blocked_; }
  // A frame has begun and its rest has not come.
  bool mid_frame() const { return taking_frames() && !blocked_ && !held_.empty(); }
  // Input held, or what will be held by the time the frame under way is whole.
  size_t input_bytes() const;
  uint64_t frames() const { return frames_; }
  bool logged_in() const { return logged_in_; }
  bool finished() const override {
    return state_ == State::closing || (state_ == State::draining && requests_.size() == 0);
  }
  uint32_t under_way() const { return requests_.size(); }

 private:
  friend struct Handlers;
  enum class State : uint8_t { greeting, login, open, draining, closing };

  void on_send(uint64_t token, const SendReply& reply) override;
  void on_receive(uint64_t token, const ReceiveReply& reply) override;
  void on_results(uint64_t token, const ResultsReply& reply) override;
  void on_peek(uint64_t token, const PeekReply& reply) override;
  void on_queues(uint64_t token, const QueueReply& reply) override;
  void on_stats(uint64_t token, const BrokerStatsReply& reply) override;
  void on_moves(uint64_t token, const MoveReply& reply) override;
  void on_backup(uint64_t token, const BackupReply& reply) override;
  void on_backup_bytes(uint64_t token, const BackupBytesReply& reply) override;
  void on_topics(uint64_t token, const TopicReply& reply) override;
  void on_published(uint64_t token, const PublishOutcome& outcome) override;
  void on_push(uint32_t place, const ReceiveReply& reply);

  // The frame loop. handle_frames() returns how many of the bytes it is done with.
  size_t handle_frames(MutableBytes bytes);
  bool length_is_acceptable(uint32_t length);
  bool has_room_for(uint8_t opcode);
  void handle_frame(MutableBytes frame);
  MutableBytes complete_held_frame(MutableBytes bytes);
  void handle_held();
  bool taking_frames() const {
    return state_ == State::greeting || state_ == State::login || state_ == State::open;
  }
  bool comes_in_order(const Frame& frame);

  // For the handlers.
  ShardPort& port() { return *setting_.port; }
  uint32_t holder();
  ReplyTo open_request(const Frame& frame, uint32_t queue, uint32_t count);
  PendingRequest close_request(uint64_t token);
  void refuse(uint64_t correlation, Errc code, std::string_view text,
              uint32_t entry_index = 0xFFFFFFFF);
  void refuse_pending(const PendingRequest& request, Errc code, uint32_t entry_index = 0xFFFFFFFF,
                      std::string_view detail = {});
  // Writes the ERROR and closes. From a callback of the sink: fail_later().
  void fail_connection(Errc code, std::string_view text);
  void fail_later(Errc code);

  SessionLogin& login();
  // The gatekeeper's part (login.cc). allows() answers with access_denied if it is not allowed; a
  // queue that there is not is left to who knows how to say so.
  bool allows(uint64_t correlation, const Right& right, uint32_t queue,
              uint32_t entry_index = kWholeRequest) {
    return !admitted_ || allowed(correlation, right, queue, entry_index);
  }
  // Of the queue, or the topic if the right is SNS's; empty: of no single one.
  bool allows_named(uint64_t correlation, const Right& right, std::string_view name) {
    return !admitted_ || allowed(correlation, right, name, nullptr, kWholeRequest);
  }
  bool allowed(uint64_t correlation, const Right& right, uint32_t queue, uint32_t entry_index);
  bool allowed(uint64_t correlation, const Right& right, std::string_view name,
               const QueueInfo* queue, uint32_t entry_index);
  bool allows_owner(uint64_t correlation);
  // The credentials were read anew since it was last looked at.
  bool is_stale() const {
    return setting_.gatekeeper != nullptr && epoch_ != setting_.gatekeeper->epoch();
  }
  bool look_again();
  void refuse_login(std::string_view why);

  // The audit log's.
  void note(uint64_t token, AuditEvent event, std::string_view action, std::string_view queue);
  void note_topic(uint64_t token, AuditEvent event, std::string_view action,
                  std::string_view topic);
  void note_queue(uint64_t token, AuditEvent event, std::string_view action, uint32_t queue);
  void tell_note(uint64_t token, uint64_t correlation, Errc result);
  void tell_unanswered();
  void audit(AuditEvent event, const AuditRecord& about, uint64_t correlation);

  // Whatever was asked of shard and desk is answered to nobody.
  void forget_requests();
  void mark_dirty();
  void drain(Errc reason);
  void end_waiting_receives(Errc code);
  void end_subscriptions();
  bool hand_out_credit();
  bool overfull() const { return output_.pending() >= setting_.limits.output_bytes_hard; }
  void give_back(std::span<const Delivery> deliveries);
  bool give_back_leases();

  const SessionSetting& setting_;
  const Peer peer_;
  std::unique_ptr<SessionLogin> login_;  // null: none is wanted, nor is there a TLS session
  AdminNotes notes_;
  uint64_t epoch_ = 0;       // of the gatekeeper, when it last let this one be
  int64_t begun_ns_ = 0;     // when the connection came, as watch() was told first
  std::string client_name_;  // as HELLO gave it
  uint32_t holder_ = 0;      // among setting_.holders, once it asked for messages
  InputBuffer held_;
  RequestTable requests_;
  Subscriptions subscriptions_;
  std::vector<ExtendEntry> to_give_back_;  // in settle()
  Bytes run_in_hand_{};                    // of the SEND that the shard is being given
  uint64_t last_correlation_ = 0;
  uint64_t frames_ = 0;
  State state_ = State::greeting;
  Errc failed_ = Errc::ok;  // fail_later()
  bool logged_in_ = false;  // or no log-in is wanted
  bool admitted_ = false;   // by the gatekeeper, who is asked about each request
  bool dirty_ = false;
  bool blocked_ = false;
  bool input_ended_ = false;
};

}  // namespace millrace::net
