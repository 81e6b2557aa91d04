// Policy::parse(): from JSON to statements. Each element has a function; what has none is refused.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bounded_json.h"
#include "net/aws/policy.h"
#include "net/aws/wildcard.h"

namespace millrace::net {
namespace {

using PolicyJson = nlohmann::json;

constexpr std::string_view kIam = "arn:aws:iam::";

// What may be named in a queue's policy. The batch actions and those of the owner are taken, as AWS
// takes them: they allow and forbid nothing more.
constexpr std::array<std::string_view, 23> kQueueActions{
    "addpermission",
    "cancelmessagemovetask",
    "changemessagevisibility",
    "changemessagevisibilitybatch",
    "createqueue",
    "deletemessage",
    "deletemessagebatch",
    "deletequeue",
    "getqueueattributes",
    "getqueueurl",
    "listdeadlettersourcequeues",
    "listmessagemovetasks",
    "listqueues",
    "listqueuetags",
    "purgequeue",
    "receivemessage",
    "removepermission",
    "sendmessage",
    "sendmessagebatch",
    "setqueueattributes",
    "startmessagemovetask",
    "tagqueue",
    "untagqueue",
};

// Likewise in a topic's; "receive" stands in policies of long ago.
constexpr std::array<std::string_view, 18> kTopicActions{
    "addpermission",
    "confirmsubscription",
    "createtopic",
    "deletetopic",
    "getsubscriptionattributes",
    "gettopicattributes",
    "listsubscriptionsbytopic",
    "listtagsforresource",
    "publish",
    "publishbatch",
    "receive",
    "removepermission",
    "setsubscriptionattributes",
    "settopicattributes",
    "subscribe",
    "tagresource",
    "unsubscribe",
    "untagresource",
};

template <size_t kCount>
bool is_one_of(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_digits(std::string_view text, size_t count) {
  return text.size() == count &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool has_wildcard(std::string_view text) {
  return text.find_first_of("*?") != std::string_view::npos;
}

}  // namespace

class PolicyParser {
 public:
  PolicyParser(PolicyOf whose, PolicyRefusal* refusal) : refusal_(*refusal) {
    policy_.whose_ = whose;
  }

  std::optional<Policy> parse(std::string_view text) {
    if (text.size() > Policy::kBytesMax) {
      refusal_.reason = PolicyRefusal::Reason::too_large;
      refuse(fmt::format("a policy may have {} bytes", Policy::kBytesMax));
      return std::nullopt;
    }
    const PolicyJson document = read_json(text);
    if (!read_document(document)) return std::nullopt;
    return std::move(policy_);
  }

 private:
  using Statement = Policy::Statement;
  using Pattern = Policy::PrincipalPattern;

  bool refuse(std::string text) {
    refusal_.text = std::move(text);
    return false;
  }

  // Discarded, with a reason, if it is no JSON or a name comes twice in an object.
  PolicyJson read_json(std::string_view text) {
    std::vector<std::set<std::string>> names;
    bool twice = false;
    const auto note = [&](int, PolicyJson::parse_event_t event, PolicyJson& parsed) {
      if (event == PolicyJson::parse_event_t::object_start) names.emplace_back();
      if (event == PolicyJson::parse_event_t::object_end) names.pop_back();
      if (event == PolicyJson::parse_event_t::key &&
          !names.back().insert(parsed.get<std::string>()).second)
        twice = true;
      return true;
    };
    PolicyJson document = base::parse_bounded_json<PolicyJson>(text, note);
    if (document.is_discarded()) {
      refusal_.reason = PolicyRefusal::Reason::not_json;
      refuse("it is not JSON");
    }
    if (twice) refuse("a name comes twice in one object");
    if (twice) document = PolicyJson(PolicyJson::value_t::discarded);
    return document;
  }

  bool read_document(const PolicyJson& document) {
    if (document.is_discarded()) return false;
    if (!document.is_object()) return refuse("it is not a JSON object");
    for (const auto& [name, value] : document.items()) {
      if (name == "Version") {
        if (value != "2008-10-17" && value != "2012-10-17")
          return refuse("Version may be 2008-10-17 or 2012-10-17");
      } else if (name == "Id") {
        if (!value.is_string()) return refuse("Id is not a text");
      } else if (name != "Statement") {
        return refuse(fmt::format("the element {} is not known", name));
      }
    }
    if (!document.contains("Statement")) return refuse("it has no Statement");
    return read_statements(document["Statement"]);
  }

  bool read_statements(const PolicyJson& value) {
    const size_t count = value.is_array() ? value.size() : 1;
    refusal_.statements = count;
    if (count > Policy::kStatementsMax) {
      refusal_.reason = PolicyRefusal::Reason::too_many_statements;
      return refuse(
          fmt::format("{} statements were found in the submitted policy, max allowed is {}", count,
                      Policy::kStatementsMax));
    }
    if (!value.is_array()) return read_statement(value);
    return std::all_of(value.begin(), value.end(),
                       [this](const PolicyJson& one) { return read_statement(one); });
  }

  bool read_statement(const PolicyJson& value) {
    if (!value.is_object()) return refuse("a Statement is not an object");
    const bool of_resource = policy_.whose_ != PolicyOf::user;
    Statement statement;
    for (const auto& [name, element] : value.items()) {
      const bool good = name == "Sid"         ? element.is_string() || refuse("a Sid is not a text")
                        : name == "Effect"    ? read_effect(element, statement)
                        : name == "Action"    ? read_actions(element, statement)
                        : name == "Resource"  ? read_resources(element, statement)
                        : name == "Condition" ? read_conditions(element, statement)
                        : name == "Principal" && of_resource
                            ? read_principal(element, statement)
                            : refuse(fmt::format("the element {} is not known", name));
      if (!good) return false;
    }
    if (!value.contains("Effect")) return refuse("a Statement has no Effect");
    if (statement.actions.empty()) return refuse("a Statement has no Action");
    if (statement.resources.empty()) return refuse("a Statement has no Resource");
    if (of_resource && statement.principals.empty()) return refuse("a Statement has no Principal");
    policy_.statements_.push_back(std::move(statement));
    return true;
  }

  bool read_effect(const PolicyJson& value, Statement& statement) {
    statement.allow = value == "Allow";
    return statement.allow || value == "Deny" || refuse("Effect may be Allow or Deny");
  }

  // Calls `take` with each text of a text or a list of texts, until it returns false.
  template <class Take>
  bool each_text(const PolicyJson& value, std::string_view name, Take take) {
    if (value.is_string()) return take(value.get_ref<const std::string&>());
    if (!value.is_array() || value.empty())
      return refuse(fmt::format("{} is neither a text nor a list of texts", name));
    for (const PolicyJson& one : value) {
      if (!one.is_string()) return refuse(fmt::format("{} holds what is not a text", name));
      if (!take(one.get_ref<const std::string&>())) return false;
    }
    return true;
  }

  bool read_actions(const PolicyJson& value, Statement& statement) {
    return each_text(value, "Action", [&](std::string action) {
      std::transform(action.begin(), action.end(), action.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
      if (!is_action(action)) return refuse(fmt::format("the action {} is not known", action));
      statement.actions.push_back(std::move(action));
      return true;
    });
  }

  bool is_action(std::string_view action) const {
    if (action == "*") return true;
    if (action.size() > Policy::kActionBytesMax) return false;
    const size_t colon = action.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    const std::string_view service = action.substr(0, colon);
    const std::string_view name = action.substr(colon + 1);
    const auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '*' || c == '?';
    };
    if (name.empty() || !std::all_of(service.begin(), service.end(), allowed) ||
        !std::all_of(name.begin(), name.end(), allowed)) {
      return false;
    }
    if (policy_.whose_ == PolicyOf::topic)
      return matches_wildcard(service, "sns") &&
             (has_wildcard(name) || is_one_of(kTopicActions, name));
    if (!matches_wildcard(service, "sqs")) return policy_.whose_ == PolicyOf::user;
    return has_wildcard(name) || is_one_of(kQueueActions, name);
  }

  bool read_resources(const PolicyJson& value, Statement& statement) {
    return each_text(value, "Resource", [&](const std::string& resource) {
      if (resource.size() > Condition::kValueBytesMax)
        return refuse(fmt::format("a Resource has more than {} bytes", Condition::kValueBytesMax));
      if (resource != "*" && !resource.starts_with("arn:"))
        return refuse(fmt::format("the Resource {} is no ARN", resource));
      if (resource.find("${") != std::string::npos) return refuse("policy variables are not known");
      statement.resources.push_back(resource);
      return true;
    });
  }

  bool read_principal(const PolicyJson& value, Statement& statement) {
    if (value == "*") return add_principal(statement, {Pattern::Kind::anybody, {}});
    if (!value.is_object() || value.empty()) return refuse("Principal is neither * nor an object");
    for (const auto& [kind, names] : value.items()) {
      if (kind != "AWS" && kind != "Service")
        return refuse(fmt::format("principals of the kind {} are not known", kind));
      const bool service = kind == "Service";
      const bool good = each_text(names, "Principal", [&](const std::string& name) {
        return service ? read_service(name, statement) : read_aws_principal(name, statement);
      });
      if (!good) return false;
    }
    return true;
  }

  bool read_service(const std::string& name, Statement& statement) {
    if (!name.ends_with(".amazonaws.com") || has_wildcard(name))
      return refuse(fmt::format("the service {} is not known", name));
    return add_principal(statement, {Pattern::Kind::service, name});
  }

  bool read_aws_principal(const std::string& name, Statement& statement) {
    if (name == "*") return add_principal(statement, {Pattern::Kind::anybody, {}});
    if (is_digits(name, 12)) return add_principal(statement, {Pattern::Kind::account, name});
    const std::string_view rest = std::string_view(name).substr(std::min(name.size(), kIam.size()));
    const std::string account(rest.substr(0, 12));
    const std::string_view who = rest.substr(std::min<size_t>(rest.size(), 12));
    if (name.starts_with(kIam) && is_digits(account, 12) && !has_wildcard(who)) {
      if (who == ":root") return add_principal(statement, {Pattern::Kind::account, account});
      for (const std::string_view kind : {":user/", ":role/"})
        if (who.starts_with(kind) && who.size() > kind.size())
          return add_principal(statement, {Pattern::Kind::exactly, name});
    }
    return refuse(fmt::format("the principal {} is not an account or a user", name));
  }

  bool add_principal(Statement& statement, Pattern pattern) {
    if (++principals_ > Policy::kPrincipalsMax)
      return refuse(fmt::format("a policy may name {} principals", Policy::kPrincipalsMax));
    statement.principals.push_back(std::move(pattern));
    return true;
  }

  bool read_conditions(const PolicyJson& value, Statement& statement) {
    if (!value.is_object()) return refuse("Condition is not an object");
    for (const auto& [operator_name, keys] : value.items()) {
      if (!keys.is_object()) return refuse("a condition is not an object");
      for (const auto& [key, values] : keys.items()) {
        if (++conditions_ > Policy::kConditionsMax)
          return refuse(fmt::format("a policy may have {} conditions", Policy::kConditionsMax));
        std::optional<Condition> condition =
            Condition::make(operator_name, key, texts_of(values), &refusal_.text);
        if (!condition) return false;
        statement.conditions.push_back(std::move(*condition));
      }
    }
    return true;
  }

  // Numbers and truths may be written as such. Empty if there is anything else.
  static std::vector<std::string> texts_of(const PolicyJson& value) {
    std::vector<std::string> texts;
    for (const PolicyJson& one : value.is_array() ? value : PolicyJson::array({value})) {
      if (one.is_string()) {
        texts.push_back(one.get<std::string>());
      } else if (one.is_boolean() || one.is_number()) {
        texts.push_back(one.dump());
      } else {
        return {};
      }
    }
    return texts;
  }

  Policy policy_;
  PolicyRefusal& refusal_;
  size_t principals_ = 0;
  size_t conditions_ = 0;
};

std::optional<Policy> Policy::parse(std::string_view text, PolicyOf whose, PolicyRefusal* refusal) {
  return PolicyParser(whose, refusal).parse(text);
}

}  // namespace millrace::net
