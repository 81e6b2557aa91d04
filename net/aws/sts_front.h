// StsFront: GetCallerIdentity, the one call of STS that clients make to learn who they are and
// whether their keys are good. Query protocol, answers in XML.
//
// It stands before the front of SQS, whose path it shares, and hands on what is not for it: what is
// signed for another service and does not ask for STS's version.
//
// Threads: shard-local.   Memory: one scratch.
// Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
#pragma once

#include <memory>
#include <string>

#include "net/audit/audit_log.h"
#include "net/aws/arena.h"
#include "net/aws/authorizer.h"
#include "net/aws/query_reader.h"
#include "net/aws/request_id.h"
#include "net/aws/xml_writer.h"
#include "net/http/front.h"

namespace millrace::net {

class StsFront final : public HttpFront {
 public:
  // `others` gets what is not for STS, and outlives this. `seed` is for request ids. `audit` may be
  // null.
  StsFront(std::unique_ptr<Authorizer> authorizer, HttpFront& others, uint64_t seed,
           AuditLog* audit = nullptr);

  void handle(const HttpRequest& request, HttpExchange& exchange) override;
  // Ours are answered at once.
  void cancel(HttpExchange& exchange) override { others_.cancel(exchange); }
  void stop_waiting(HttpExchange& exchange) override { others_.stop_waiting(exchange); }

 private:
  void answer(HttpExchange& exchange, const AwsError& error, const RequestId& id);

  std::unique_ptr<Authorizer> authorizer_;
  HttpFront& others_;
  AuditLog* const audit_;
  RequestIds ids_;
  Caller caller_;
  Arena arena_;
  QueryReader reader_;
  std::string out_;
  XmlWriter writer_;
};

}  // namespace millrace::net
