// Client: one connection to a broker, pipelined and asynchronous, driven by its caller.
//
// A request is put in a buffer and given a callback; nothing is sent until poll() (or flush()).
// Many may be under way: the server answers each exactly once, in whatever order it finishes.
//
//   auto client = *Client::connect("127.0.0.1:7411", {}, &why);
//   client->send(queue, batch, [](const Answer& a) { if (!a) complain(a.text()); });
//   while (client->in_flight() > 0 && client->poll(1000)) {}
//
// Every callback is called exactly once, from poll() or receive(): with the server's answer, or,
// when the connection ends, with connection_closed (except by the destructor, which calls none). A
// subscription's is called for its SUBSCRIBE, then for each push (opcode() == deliver), and a last
// time with an error if the server or the connection ends it. Callbacks may make requests; they may
// not call poll(), flush(), receive(), close() or destroy the client. Views in an Answer end with
// the callback.
//
// All queued frames leave in one write per turn, and one read takes what has arrived.
// To drive many clients from one loop: wait for fd() to be readable (or writable, if
// wants_write()), then call receive() and flush().
//
// Threads: one.  Memory: two buffers that grow to the largest frames under way, 64 bytes a request
// in flight.  Errors of requests at once: throttled (inflight_max are under way),
// connection_closed, and what the arguments can be seen to break without the server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/answer.h"
#include "clients/cpp/byte_queue.h"
#include "clients/cpp/message_batch.h"
#include "clients/cpp/publish_batch.h"
#include "clients/cpp/socket.h"
#include "millrace/engine.h"
#include "millrace/result.h"
#include "millrace/types.h"
#include "millrace/wire.h"

namespace millrace::client {

// May be empty: the answer is then dropped.
using Callback = std::function<void(const Answer&)>;
// Names a request while it is under way: for cancel(), add_credit() and unsubscribe().
using RequestId = uint64_t;

struct ClientOptions {
  uint32_t inflight_max = 1024;  // 1..65535; the server's own limit is used if it is less
  int connect_timeout_ms = 5000;
  size_t receive_buffer_bytes = 256 * 1024;  // to start with
  // What people know this program by, shown by PEEK of the messages it holds. Cut after 64 bytes. A
  // server that knows no names yet refuses a HELLO with one.
  std::string name{};
  // For a server that wants a log-in; to others they are not told. Empty: none. The secret does not
  // leave this process: the server gets a proof that it is known, and has to prove the same.
  std::string access_key{};
  std::string secret{};
};

class Client {
 public:
  // Connects, says HELLO and logs in; may sleep up to twice the timeout. Errors: those of
  // Socket::connect, version_mismatch, malformed (it is no broker that answers), login_required (no
  // access key was given), login_refused (by either side). `message` gets one line.
  static Result<std::unique_ptr<Client>> connect(std::string_view address,
                                                 const ClientOptions& options,
                                                 std::string* message);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // --- requests ---
  Result<RequestId> resolve(std::string_view name, Callback done);
  Result<RequestId> send(QueueId queue, const MessageBatch& batch, Callback done);
  // A run laid out by the caller, as in message.h. Copied.
  Result<RequestId> send(const SendRequest& request, Callback done);
  Result<RequestId> receive(const ReceiveRequest& request, Callback done);
  Result<RequestId> ack(std::span<const Receipt> receipts, Callback done);
  Result<RequestId> extend(std::span<const ExtendEntry> entries, Callback done);
  // `credit` messages are pushed, at most request.messages_max in a push; wait_ms has no meaning.
  Result<RequestId> subscribe(const ReceiveRequest& request, uint64_t credit, Callback pushed);
  Result<RequestId> add_credit(RequestId subscription, uint64_t messages, Callback done);
  // Once it is answered the subscription's callback is not called again.
  Result<RequestId> unsubscribe(RequestId subscription, Callback done);
  Result<RequestId> peek(const PeekRequest& request, Callback done);
  // Ends a receive that waits; it is answered with `canceled`, or with messages if they were
  // faster.
  Result<RequestId> cancel(RequestId receive, Callback done);
  // Of a queue that exists: it is answered if every attribute named has that value.
  Result<RequestId> create_queue(std::string_view name, const QueueSettings& settings,
                                 Callback done);
  // What is not named stays as it is.
  Result<RequestId> set_queue(QueueId queue, const QueueSettings& settings, Callback done);
  Result<RequestId> purge_queue(QueueId queue, Callback done);
  Result<RequestId> delete_queue(QueueId queue, Callback done);
  Result<RequestId> list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                                Callback done);
  // None named: all. `with_details`: with attributes, tags and times.
  Result<RequestId> queue_stats(std::span<const QueueId> queues, bool with_details, Callback done);
  Result<RequestId> server_stats(Callback done);
  Result<RequestId> start_move(const MoveRequest& request, Callback done);
  // `task` 0: the one that runs. Answered once nothing is moved any more.
  Result<RequestId> cancel_move(QueueId source, uint64_t task, Callback done);
  Result<RequestId> list_moves(QueueId source, uint32_t max, Callback done);
  // Topics, by name. Of one that exists create_topic() is answered if every attribute named has
  // that value, and the tags, if there are any, are its tags.
  Result<RequestId> create_topic(std::string_view name, const TopicSettings& settings,
                                 Callback done);
  Result<RequestId> set_topic(std::string_view name, const TopicSettings& settings, Callback done);
  Result<RequestId> delete_topic(std::string_view name, Callback done);
  Result<RequestId> show_topic(std::string_view name, Callback done);
  Result<RequestId> list_topics(std::string_view prefix, std::string_view after, uint32_t max,
                                Callback done);
  // `endpoint` of protocol "sqs": a queue's name or ARN.
  Result<RequestId> subscribe_topic(std::string_view topic, std::string_view protocol,
                                    std::string_view endpoint,
                                    std::span<const NamedText> attributes, Callback done);
  Result<RequestId> set_subscription(const Uuid& subscription,
                                     std::span<const NamedText> attributes, Callback done);
  Result<RequestId> unsubscribe_topic(const Uuid& subscription, Callback done);
  // Of a topic, or of all if it is empty; by id, those greater than `after`. The answer may have
  // fewer than `max` though there are more: ask on until it has none.
  Result<RequestId> list_subscriptions(std::string_view topic, SubscriptionId after, uint32_t max,
                                       bool with_attributes, Callback done);
  // Each message is published or refused for itself.
  Result<RequestId> publish(std::string_view topic, const PublishBatch& batch, Callback done);
  // A backup ends with the connection that started it.
  Result<RequestId> start_backup(Callback done);
  Result<RequestId> read_backup(const BackupRead& request, Callback done);
  Result<RequestId> end_backup(uint64_t backup, Callback done);
  Result<RequestId> echo(Bytes bytes, Callback done);  // a multiple of 8 bytes

  // --- driving ---
  // Sends what is queued, sleeps until something arrives (a negative timeout: for ever), calls the
  // callbacks. A timeout is no error. Error: why the connection is closed.
  Status poll(int timeout_ms);
  // The two halves that never sleep. flush() may leave bytes behind: wants_write().
  Status flush();
  Status receive();
  bool wants_write() const { return !out_.empty(); }
  int fd() const { return socket_.fd(); }
  // Ends the connection and answers everything under way with connection_closed.
  void close();

  // --- state ---
  const wire::Welcome& welcome() const { return welcome_; }
  uint32_t in_flight() const { return in_flight_; }  // subscriptions included
  uint32_t inflight_max() const { return static_cast<uint32_t>(slots_.size()); }
  bool open() const { return socket_.open(); }
  // Why the connection is closed: ok while it is open; one line for people.
  Errc failure() const { return failure_; }
  std::string_view failure_text() const { return failure_text_; }

 private:
  struct Slot {
    RequestId request = 0;  // 0: free
    wire::Opcode opcode = wire::Opcode::error;
    RequestId ends = 0;  // unsubscribe: the subscription
    Callback callback;
  };
  // A request under construction: its frame's body, to be filled and then sealed.
  struct Draft {
    std::byte* body = nullptr;
    size_t body_bytes = 0;
    RequestId request = 0;
  };

  Client(Socket socket, const ClientOptions& options);
  Result<Draft> begin(wire::Opcode opcode, size_t body_bytes, Callback callback);
  Result<RequestId> finish(const Draft& draft);
  Result<RequestId> change_topic(wire::Opcode opcode, std::string_view name,
                                 const TopicSettings& settings, Callback callback);
  Result<RequestId> named(wire::Opcode opcode, std::string_view name, Callback callback);
  template <class Fixed>
  Result<RequestId> simple(wire::Opcode opcode, const Fixed& fixed, Callback callback);
  Status say_hello(const ClientOptions& options, int64_t deadline_ms);
  Status log_in(const ClientOptions& options, int64_t deadline_ms);
  Status wait_for(const bool& answered, int64_t deadline_ms);
  void take_frame(const Frame& frame);
  void push(Slot& slot, const Answer& answer);
  void release(Slot& slot);
  void fail_connection(Errc error, std::string_view text);

  Socket socket_;
  ByteQueue out_;
  ByteQueue in_;
  std::vector<Slot> slots_;
  std::vector<uint16_t> free_;
  uint64_t sequence_ = 0;
  uint32_t in_flight_ = 0;
  bool in_callback_ = false;
  wire::Welcome welcome_{};
  Errc failure_ = Errc::ok;
  std::string failure_text_;
};

}  // namespace millrace::client
