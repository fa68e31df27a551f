// What the operating system says: why a call failed, the host and its size, the environment of this
// process. Fed by the C library; feeds the messages of every stage, and the settings that Slurm
// passes on.
#pragma once

#include <string>

namespace bovila {

/// What an errno means: "No such file or directory". Any thread may call it; strerror(3) promises
/// that in new C libraries only.
std::string system_message(int error_number);

/// This machine's name for messages; "unknown" when it has none.
std::string host_name();

/// Bytes of this machine's memory, and its cores that are on, whoever may use them.
double machine_memory();
int machine_cores();

/// A variable of the environment, empty where it is not set. Not beside a thread that sets one.
std::string environment(const char* name);

}  // namespace bovila
