// toml++ for files that people write, and get wrong.
//
// Where a key begins with something else ("[%]") version 3.3 asserts that it does not, and then has
// an error for it. As it is, a mistake in a file ends the process; with NDEBUG the compiler is told
// that there can be none. So its assertions are taken out, and the errors stay.
#pragma once

#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
#include <cassert>  // as NDEBUG has it
