#pragma once

#include <sys/types.h>

namespace bench {

/// Returns the CPU time that this process has used so far, in seconds.
double own_cpu_seconds();

/// Returns the CPU time that a server, its sessions and its helpers have used
/// so far, in seconds; 0 where `first`, its first process, is 0.
double server_cpu_seconds(pid_t first);

} // namespace bench
