// A mapped segment that can't be read (the disk gives an error, the file was cut short) is a SIGBUS
// and no return code: what was asked for can't be answered, and which other answers lean on it
// nobody can tell. The process says which file it was and where, and ends as after a failed write.
#pragma once

namespace millrace::tools {

// From here on such a fault is one line on standard error and _exit(exit_code). A SIGBUS for any
// other reason stays what it is: a bug, and a core file.
void handle_read_faults(int exit_code);

}  // namespace millrace::tools
