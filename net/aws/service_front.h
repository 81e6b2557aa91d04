// ServiceFront, ServiceAnswer: what the fronts of AWS's services have in common on one shard:
// answers in either protocol, their ids, counting them, and telling the audit log.
//
// A service's front decodes a request, authorises its caller and asks the shard; it answers at once
// or when the shard has replied, through an answer of its own that is a ServiceAnswer.
//
// Threads: shard-local; what is lent lives as long as the front.   Memory: one scratch, which grows
// to the largest request and answer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "millrace/engine.h"
#include "net/aws/answer_writer.h"
#include "net/aws/arena.h"
#include "net/aws/audited.h"
#include "net/aws/authorizer.h"
#include "net/aws/json_writer.h"
#include "net/aws/operation.h"
#include "net/aws/request_id.h"
#include "net/aws/xml_writer.h"
#include "net/http/front.h"
#include "net/http/request_figures.h"

namespace millrace::net {

class ServiceFront : public HttpFront, protected ReplySink {
 public:
  ~ServiceFront() override { port_.cancel_all(this); }
  ServiceFront(const ServiceFront&) = delete;
  ServiceFront& operator=(const ServiceFront&) = delete;

 protected:
  friend class ServiceAnswer;
  struct Parts {
    ShardPort& port;
    std::unique_ptr<Authorizer> authorizer;
    RequestFigures& figures;
    AuditLog* audit = nullptr;  // null: there is none
    uint64_t seed = 0;          // of request ids
    std::string_view name_space;
    XmlLists lists{};
  };
  explicit ServiceFront(Parts parts)
      : port_(parts.port),
        authorizer_(std::move(parts.authorizer)),
        figures_(parts.figures.add()),
        audit_(parts.audit),
        ids_(parts.seed),
        xml_writer_(out_, parts.name_space, parts.lists) {}

  // Where the figures count it; null: none that there is was asked for.
  virtual size_t figure_of(const Operation* operation) const = 0;

  void* make_input(const Operation& operation) {
    void* const input = arena_.take(operation.input->bytes);
    operation.input->make(input);
    return input;
  }
  // What became of it; of a request that nobody waits for any more, without an id.
  void tell(const Audited* audited, std::string_view result, std::string_view reason,
            std::string_view id);
  // What out_ holds.
  void respond(HttpExchange& exchange, const Operation* operation, bool xml, uint16_t status,
               const AwsError* error, const RequestId& id);
  AnswerWriter& writer(bool xml) {
    return xml ? static_cast<AnswerWriter&>(xml_writer_) : json_writer_;
  }

  ShardPort& port_;
  const std::unique_ptr<Authorizer> authorizer_;
  RequestFigures::Table& figures_;
  AuditLog* const audit_;
  RequestIds ids_;
  RequestId id_{};  // of the answer being written
  Caller caller_;
  Arena arena_;
  std::string kept_;  // of the request in hand
  std::string out_;   // an answer's body
  JsonWriter json_writer_{out_};
  XmlWriter xml_writer_;
};

// An answer that is owed: to the request in hand, or to one that the shard has replied to.
class ServiceAnswer {
 public:
  ServiceAnswer(ServiceFront& front, HttpExchange& exchange, bool is_xml)
      : front_(front), exchange_(&exchange), xml_(is_xml) {}

  ShardPort& port() { return front_.port_; }
  bool xml() const { return xml_; }

  // An answer is begun, written and finished; or it is one of the others. Each once, as the last.
  AnswerWriter& begin();
  void finish();
  void finish_void();  // nothing to say
  void refuse(const AwsError& error);

  // What the answer will need is appended here, before the shard is asked.
  std::string& kept() { return front_.kept_; }

 protected:
  // What becomes of it is for the audit log; to be filled in. Null: there is none.
  Audited* audit(const HttpRequest& http, const Caller& caller, AuditEvent event,
                 std::string_view name, std::string_view claimed_key);

  ServiceFront& front_;
  HttpExchange* exchange_;
  const Operation* operation_ = nullptr;
  std::unique_ptr<Audited> audited_;  // null: nothing that the audit log is told of
  bool xml_;
};

}  // namespace millrace::net
