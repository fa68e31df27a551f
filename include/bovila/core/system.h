// What the operating system says: why a call failed, the host and its size, the time, the
// environment of this process, files of /proc. Fed by the C library; feeds the messages of every
// stage, and the settings that Slurm passes on.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

/// By the clock that people read.
double seconds_since_1970();

/// All of a file; "" where it cannot be read.
std::string file_bytes(const std::filesystem::path& path);

/// The words of a process's or thread's /proc/.../stat behind its name, which may hold anything:
/// the letter of its state, and on as proc(5) lists them. Empty where there is no such process.
std::vector<std::string> stat_words(const std::filesystem::path& stat);
/// Of these, when it started: in ticks since the machine did.
inline constexpr size_t kStartTicks = 19;

}  // namespace bovila
