// Operation: what every front needs to know of one action of its service; a service's own table has
// rows that are more than this.
//
// Threads: immutable.
#pragma once

#include <string_view>

#include "net/audit/audit_log.h"
#include "net/aws/shape.h"

namespace millrace::net {

struct Operation {
  std::string_view name;
  const Shape* input = nullptr;
  bool has_result = true;   // it has an output, though it may be empty
  bool owner_only = false;  // no policy gives it to others
  bool audited = false;     // it changes something, which is this event
  AuditEvent event{};
  std::string_view policy_name = {};  // what policies call it; empty: by its name

  std::string_view name_in_policies() const { return policy_name.empty() ? name : policy_name; }
};

// A row of a service's table, what it says besides in the order it is read:
//   Row<delete_queue>("DeleteQueue", kShape).is_void().audited_as(AuditEvent::queue_deleted)
// An Action is an Operation that takes what answers it with answered_by().
template <class Action>
struct OperationRow {
  Action action;

  constexpr OperationRow is_void() const {
    return with([](Action& a) { a.has_result = false; });
  }
  constexpr OperationRow owner_only() const {
    return with([](Action& a) { a.owner_only = true; });
  }
  constexpr OperationRow audited_as(AuditEvent event) const {
    return with([=](Action& a) {
      a.audited = true;
      a.event = event;
    });
  }
  constexpr OperationRow allowed_as(std::string_view name) const {
    return with([=](Action& a) { a.policy_name = name; });
  }
  template <class Reply, class FromShard>
  constexpr OperationRow then(void (*answers)(Reply&, const FromShard&)) const {
    return with([=](Action& a) { a.answered_by(answers); });
  }
  constexpr operator Action() const { return action; }  // NOLINT

 private:
  template <class F>
  constexpr OperationRow with(F&& change) const {
    OperationRow changed = *this;
    change(changed.action);
    return changed;
  }
};

// Of void ask(Request&, const Input&).
template <class Ask>
struct InputOf;
template <class Request, class Input>
struct InputOf<void (*)(Request&, const Input&)> {
  using Type = Input;
};

}  // namespace millrace::net
