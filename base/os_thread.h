// What a thread asks of the operating system's scheduler. Only the outermost layers and the real
// bindings of the seams include this.
#pragma once

namespace millrace::base {

// The calling thread is one that others wait for: it asks for short turns (0.1 ms) and so for
// taking the core at once when it wakes, also from a thread of ours that works in the background
// and would keep it for its whole slice, 3 to 10 ms. Its share of the core stays what it is.
// Linux 6.12 and later; nothing happens where it is refused or not known.
// Source: sched_setattr(2), sched_runtime of SCHED_OTHER; EEVDF's PREEMPT_SHORT.
void ask_for_short_turns();

}  // namespace millrace::base
