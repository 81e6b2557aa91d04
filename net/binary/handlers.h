// The opcodes and what answers them: one table row, one function, one test row each.
//
// A handler gets a frame whose checksum, correlation id and body size are already right, reads its
// body, and either answers at once, refuses, or opens a request and gives it to the shard.
// handlers.cc has the table and the connection's own opcodes; messages.cc, subscriptions.cc,
// admin.cc, backup.cc, topics.cc, topic_subscriptions.cc and publish.cc the families.
#pragma once

#include <cstdint>

#include "net/binary/session.h"

namespace millrace::net {

struct Handlers {
  // Who may ask for it, on a server with credentials.
  enum class Who : uint8_t {
    account_itself,  // what nothing else is said of
    by_policies,     // the handler asks, when it knows of which queue
    anybody,         // who has logged in
  };
  struct Row {
    wire::Opcode opcode{};
    uint32_t body_bytes_min = 0;
    uint32_t body_bytes_max = 0;
    void (*handle)(Session&, const Frame&) = nullptr;  // null: no such opcode
    bool waits = false;                                // takes a place among the requests under way
    Who who = Who::account_itself;
  };
  // The row of an opcode; one without a handler if it is not a request.
  static const Row& row(uint8_t opcode);

  // handlers.cc
  static void hello(Session& session, const Frame& frame);
  static void echo(Session& session, const Frame& frame);
  static void resolve(Session& session, const Frame& frame);
  static void cancel(Session& session, const Frame& frame);

  // login.cc
  static void login(Session& session, const Frame& frame);
  static void login_proof(Session& session, const Frame& frame);

  // messages.cc
  static void send(Session& session, const Frame& frame);
  static void receive(Session& session, const Frame& frame);
  static void ack(Session& session, const Frame& frame);
  static void extend(Session& session, const Frame& frame);
  static void peek(Session& session, const Frame& frame);
  static bool check_receive(Session& session, uint64_t correlation, const ReceiveRequest& request);
  template <class T, class QueueOf>
  static bool allows_entries(Session& session, const Frame& frame, const Right& right,
                             std::span<const T> entries, QueueOf queue_of);

  // subscriptions.cc
  static void subscribe(Session& session, const Frame& frame);
  static void credit(Session& session, const Frame& frame);
  static void unsubscribe(Session& session, const Frame& frame);

  // admin.cc
  static void queue_create(Session& session, const Frame& frame);
  static void queue_set(Session& session, const Frame& frame);
  static void texts_do_not_fit(Session& session, Bytes texts);
  // The rights that settings take, by what they set.
  struct SettingRights {
    Right attributes;
    Right tags;
    Right untagged;
  };
  static bool allows_settings(Session& session, const Frame& frame, const QueueSettings& settings,
                              const SettingRights& rights, std::string_view name);
  static bool allows_stats(Session& session, const Frame& frame, std::span<const QueueId> queues,
                           bool with_details);
  static void queue_purge(Session& session, const Frame& frame);
  static void queue_delete(Session& session, const Frame& frame);
  static void queue_list(Session& session, const Frame& frame);
  static void queue_stats(Session& session, const Frame& frame);
  static void server_stats(Session& session, const Frame& frame);
  static void move_start(Session& session, const Frame& frame);
  static void move_cancel(Session& session, const Frame& frame);
  static void move_list(Session& session, const Frame& frame);

  // backup.cc
  static void backup_start(Session& session, const Frame& frame);
  static void backup_read(Session& session, const Frame& frame);
  static void backup_end(Session& session, const Frame& frame);

  // topics.cc
  // False: the server has none, and the request was refused.
  static bool has_topics(Session& session, const Frame& frame);
  // Null: there is none of this name, and the request was refused.
  static const TopicInfo* find_topic(Session& session, const Frame& frame, std::string_view name);
  static void topic_create(Session& session, const Frame& frame);
  static void topic_set(Session& session, const Frame& frame);
  static void topic_delete(Session& session, const Frame& frame);
  static void topic_show(Session& session, const Frame& frame);
  static void topic_list(Session& session, const Frame& frame);

  // topic_subscriptions.cc
  static void topic_subscribe(Session& session, const Frame& frame);
  static void subscription_set(Session& session, const Frame& frame);
  static void topic_unsubscribe(Session& session, const Frame& frame);
  static void subscription_list(Session& session, const Frame& frame);

  // publish.cc
  static void publish(Session& session, const Frame& frame);
};

}  // namespace millrace::net
