// ErrorKind, AwsError: what an AWS service refuses a request with.
//
// A kind is one row of a service's table and lives for ever: the kinds that every service has are
// below, SQS's own in net/sqs/errors.h. An AwsError is a kind and its text; without a kind it is
// none. It is never made on the path of a request that succeeds.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace millrace::net {

struct ErrorKind {
  std::string_view type;  // JSON's __type, with its prefix
  std::string_view code;  // the Query protocol's Code, and that of x-amzn-query-error
  uint16_t status = 400;

  // Whose fault it is.
  bool senders() const { return status < 500; }
};

struct [[nodiscard]] AwsError {
  const ErrorKind* kind = nullptr;
  std::string text{};

  AwsError() = default;
  AwsError(const ErrorKind& is, std::string says) : kind(&is), text(std::move(says)) {}
  explicit operator bool() const { return kind != nullptr; }
};

namespace errors {

inline constexpr ErrorKind kInvalidParameterValue{
    "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", 400};
inline constexpr ErrorKind kMissingParameter{
    "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter", 400};
inline constexpr ErrorKind kUnknownOperation{"com.amazon.coral.service#UnknownOperationException",
                                             "InvalidAction", 400};
inline constexpr ErrorKind kSerialization{"com.amazon.coral.service#SerializationException",
                                          "MalformedInput", 400};
inline constexpr ErrorKind kAccessDenied{"com.amazon.coral.service#AccessDeniedException",
                                         "AccessDenied", 403};
inline constexpr ErrorKind kMissingToken{
    "com.amazon.coral.service#MissingAuthenticationTokenException", "MissingAuthenticationToken",
    403};
inline constexpr ErrorKind kUnrecognizedClient{
    "com.amazon.coral.service#UnrecognizedClientException", "InvalidClientTokenId", 403};
inline constexpr ErrorKind kInvalidSignature{"com.amazon.coral.service#InvalidSignatureException",
                                             "SignatureDoesNotMatch", 403};
inline constexpr ErrorKind kRequestExpired{"com.amazon.coral.service#RequestExpiredException",
                                           "RequestExpired", 403};
inline constexpr ErrorKind kIncompleteSignature{
    "com.amazon.coral.service#IncompleteSignatureException", "IncompleteSignature", 400};
inline constexpr ErrorKind kInternalFailure{"com.amazon.coral.service#InternalFailure",
                                            "InternalError", 500};
inline constexpr ErrorKind kServiceUnavailable{"com.amazon.coral.service#ServiceUnavailable",
                                               "ServiceUnavailable", 503};

}  // namespace errors

// As much of a client's text, which is UTF-8, as an error shows: whole characters.
std::string_view shown(std::string_view text, size_t bytes_max = 256);
// "The request must contain the parameter P."
AwsError missing_parameter(std::string_view name);
// "Value V for parameter P is invalid. Reason: R". The value is cut to what is shown.
AwsError invalid_value(std::string_view name, std::string_view value, std::string_view reason);

}  // namespace millrace::net
