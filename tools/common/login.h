// LoginFlags: the access key that a program logs in with, as it is given.
//
//   --user ID --secret-file FILE     else MILLRACE_ACCESS_KEY_ID, MILLRACE_SECRET_ACCESS_KEY
//
// A secret is never an argument: those are there for everybody on the machine to read.
#pragma once

#include <string>

#include "clients/cpp/client.h"

namespace millrace::tools {

inline constexpr const char* kUserHelp =
    "id of the access key to log in with, if the server wants it [MILLRACE_ACCESS_KEY_ID]";
inline constexpr const char* kSecretFileHelp =
    "file with its secret, readable by you alone [the secret: MILLRACE_SECRET_ACCESS_KEY]";

struct LoginFlags {
  std::string user;
  std::string secret_file;

  // Fills in access key and secret, or leaves both empty if none is given. False, with one line in
  // `why`, if there is one without the other or the file can't be used.
  bool read(client::ClientOptions& options, std::string* why) const;
};

}  // namespace millrace::tools
