// An open file by its number. Fed by open(2); used where files are read and written without HDF5.
#pragma once

#include <unistd.h>

namespace bovila {

/// Closed at the end of its scope, unless `id` is negative: open(2) has failed.
struct Descriptor {
  int id;
  explicit Descriptor(int opened) : id(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (id >= 0) close(id);
  }
};

}  // namespace bovila
